//! What happens is seen without a reload: by its load, a page is told from the same one loaded again.

use system_tests::Browser;

use crate::people::{GOOD_CARD, member, member_at, title, visitor, visitor_at};
use crate::replica::Replica;
use crate::shared::{Scripts, hasty, usual};

/// A page that is only watched.
struct Watched<'a> {
    browser: &'a Browser,
    load: serde_json::Value,
}

impl<'a> Watched<'a> {
    async fn at(browser: &'a Browser, path: &str) -> Watched<'a> {
        browser.visit(path).await;
        Watched { browser, load: browser.load().await }
    }

    async fn sees(&self, text: &str) {
        self.browser.sees(text).await;
        assert_eq!(self.browser.load().await, self.load, "the page was loaded again");
    }

    async fn no_longer_sees(&self, text: &str) {
        self.browser.no_longer_sees(text).await;
        assert_eq!(self.browser.load().await, self.load, "the page was loaded again");
    }
}

#[tokio::test]
async fn a_ticket_is_seen_to_go_and_to_come_back() {
    let stack = usual().await;
    let (seller, buyer, other, idler) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        visitor(stack, "other", Scripts::On),
        visitor(stack, "idler", Scripts::On),
    );
    let title = title("Turandot");
    let ticket = seller.lists(&title, "20").await;
    let query = format!("/?q={}", title.replace(' ', "+"));
    let page = Watched::at(&other.browser, &ticket).await;
    let list = Watched::at(&idler.browser, &query).await;
    let sales = Watched::at(&seller.browser, "/sales").await;

    buyer.holds(&ticket).await;
    page.sees("held until").await;
    list.sees("held until").await;
    sales.sees("held until").await;

    buyer.browser.press("Give the ticket up").await;
    page.sees("On sale.").await;
    list.no_longer_sees("held until").await;
    sales.no_longer_sees("held until").await;

    buyer.holds(&ticket).await;
    page.sees("held until").await;
    buyer.pays_with(GOOD_CARD).await;
    page.sees("This one is gone").await;
    sales.sees("sold").await;
    list.no_longer_sees("$20.00").await;
}

#[tokio::test]
async fn the_page_of_a_sale_follows_the_purchase() {
    let stack = usual().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let ticket = seller.lists(&title("Nabucco"), "20").await;
    let order = buyer.holds(&ticket).await;
    let sale = Watched::at(&seller.browser, &order).await;
    sale.sees("Someone is buying it").await;
    buyer.pays_with(GOOD_CARD).await;
    sale.sees("Sold for $20.00").await;
    sale.sees(&buyer.email).await;
}

#[tokio::test]
async fn a_hold_is_seen_to_run_out() {
    let stack = hasty().await;
    let (seller, buyer, other) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        visitor(stack, "other", Scripts::On)
    );
    let ticket = seller.lists(&title("Attila"), "20").await;
    other.browser.visit(&ticket).await;
    let order = buyer.holds(&ticket).await;
    let page = Watched::at(&other.browser, &ticket).await;
    let held = Watched::at(&buyer.browser, &order).await;
    page.sees("held until").await;
    held.sees("Held for you until").await;
    let shown = clock(&held).await;
    held.sees("The time ran out").await;
    assert!(shown.starts_with("0:"), "the countdown showed {shown}");
    page.sees("On sale.").await;

    // The bar with what is held has gone with it.
    held.no_longer_sees("You hold").await;
}

/// What the countdown shows, once it does.
async fn clock(page: &Watched<'_>) -> String {
    page.sees("0:").await;
    let script = "return document.querySelector('main time[data-seconds-left]')?.innerText ?? ''";
    page.browser.evaluate(script).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_replicas_show_the_same_each_to_a_browser_of_its_own() {
    let stack = usual().await;
    let seller = member(stack, "seller", Scripts::On).await;
    let ticket = seller.lists(&title("Oberon"), "20").await;

    let buyer = member_at(&stack.url_of("web-1"), "buyer", Scripts::On).await;
    let other = member_at(&stack.url_of("web-2"), "other", Scripts::On).await;
    let page = Watched::at(&other.browser, &ticket).await;
    let order = buyer.holds(&ticket).await;
    page.sees("held until").await;
    buyer.browser.press("Give the ticket up").await;
    page.sees("On sale.").await;

    // And the other way round: who holds it now, and what the first one sees.
    let page = Watched::at(&buyer.browser, &ticket).await;
    assert_ne!(other.holds(&ticket).await, order);
    page.sees("held until").await;
    other.pays_with(GOOD_CARD).await;
    page.sees("This one is gone").await;
}

#[tokio::test]
async fn a_page_goes_on_following_when_its_replica_was_started_again() {
    let stack = usual().await;
    let mut replica = Replica::of_web(stack, &[]).await;
    let (seller, buyer, other) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        visitor_at(&replica.url, "other", Scripts::On)
    );
    let ticket = seller.lists(&title("Ariodante"), "20").await;
    let page = Watched::at(&other.browser, &ticket).await;
    page.sees("On sale.").await;
    other.browser.forgives_the_network();
    replica.is_killed();
    buyer.holds(&ticket).await;
    replica.starts_again().await;
    page.sees("held until").await;
    buyer.browser.press("Give the ticket up").await;
    page.sees("On sale.").await;
}

#[tokio::test]
async fn a_double_click_and_a_page_that_was_gone_back_to_do_nothing_twice() {
    let stack = usual().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::Off), member(stack, "buyer", Scripts::On));
    let title = title("Euryanthe");
    let ticket = seller.lists(&title, "20").await;
    // Back to the form, as it was sent, and sent again.
    seller.browser.back().await;
    seller.browser.press("Put it on sale").await;
    seller.browser.arrives_at(&ticket).await;
    seller.browser.visit("/sales").await;
    assert_eq!(
        seller.browser.text().await.matches(&title).count(),
        3,
        "its name, in *Edit* and in *List another* too"
    );

    let order = buyer.holds(&ticket).await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.sees("It is yours").await;
    buyer.browser.back().await;
    if buyer.browser.has("button", "Pay").await {
        buyer.browser.press("Pay").await;
    }
    buyer.browser.finds_at(&order, "You have paid").await;
    let charges = stack.stripe_ledger().await["charges"].clone();
    let intents = stack.stripe_ledger().await["payment_intents"].clone();
    let id = order.trim_start_matches("/orders/");
    let intent = intents
        .as_array()
        .unwrap()
        .iter()
        .find(|intent| intent["metadata"]["order_id"] == id)
        .unwrap();
    let of_order = charges
        .as_array()
        .unwrap()
        .iter()
        .filter(|charge| charge["payment_intent"] == intent["id"]);
    assert_eq!(of_order.count(), 1);
}
