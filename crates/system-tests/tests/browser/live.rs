//! Live updates: changes appear without a reload of the page.

use system_tests::Browser;

use crate::people::{GOOD_CARD, member, member_at, title, visitor, visitor_at};
use crate::replica::Replica;
use crate::shared::{Scripts, default_stack, short_reservations};

/// A page that must update without a reload.
struct Watched<'a> {
    browser: &'a Browser,
    load: serde_json::Value,
}

impl<'a> Watched<'a> {
    async fn at(browser: &'a Browser, path: &str) -> Watched<'a> {
        browser.visit(path).await;
        Watched { browser, load: browser.load().await }
    }

    async fn shows(&self, name: &str) {
        self.browser.shows(name).await;
        self.is_the_same_load().await;
    }

    async fn no_longer_shows(&self, name: &str) {
        self.browser.no_longer_shows(name).await;
        self.is_the_same_load().await;
    }

    async fn sees(&self, text: &str) {
        self.browser.sees(text).await;
        self.is_the_same_load().await;
    }

    async fn no_longer_sees(&self, text: &str) {
        self.browser.no_longer_sees(text).await;
        self.is_the_same_load().await;
    }

    async fn is_the_same_load(&self) {
        assert_eq!(self.browser.load().await, self.load, "the page was reloaded");
    }
}

#[tokio::test]
async fn a_ticket_is_reserved_released_and_sold_live() {
    let stack = default_stack().await;
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

    buyer.reserves(&ticket).await;
    page.shows("ticket-reserved").await;
    list.shows("ticket-reserved").await;
    sales.shows("listing-reserved").await;

    buyer.browser.press("cancel-reservation").await;
    page.shows("ticket-available").await;
    list.no_longer_shows("ticket-reserved").await;
    sales.no_longer_shows("listing-reserved").await;

    buyer.reserves(&ticket).await;
    page.shows("ticket-reserved").await;
    buyer.pays_with(GOOD_CARD).await;
    page.shows("ticket-sold").await;
    sales.shows("listing-sold").await;
    list.no_longer_sees("$20.00").await;
}

#[tokio::test]
async fn the_page_of_a_sale_follows_the_purchase() {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let ticket = seller.lists(&title("Nabucco"), "20").await;
    let order = buyer.reserves(&ticket).await;
    let sale = Watched::at(&seller.browser, &order).await;
    sale.shows("order-unpaid").await;
    buyer.pays_with(GOOD_CARD).await;
    sale.shows("order-paid").await;
    sale.sees(&buyer.email).await;
}

#[tokio::test]
async fn a_reservation_expires_live() {
    let stack = short_reservations().await;
    let (seller, buyer, other) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        visitor(stack, "other", Scripts::On)
    );
    let ticket = seller.lists(&title("Attila"), "20").await;
    other.browser.visit(&ticket).await;
    let order = buyer.reserves(&ticket).await;
    let page = Watched::at(&other.browser, &ticket).await;
    let reserved = Watched::at(&buyer.browser, &order).await;
    page.shows("ticket-reserved").await;
    reserved.shows("order-unpaid").await;
    let shown = clock(&reserved).await;
    reserved.shows("order-expired").await;
    assert!(shown.starts_with("0:"), "the countdown showed {shown}");
    page.shows("ticket-available").await;

    // The reservation bar has disappeared with it.
    reserved.no_longer_shows("reservation-bar").await;
}

/// The text of the countdown.
async fn clock(page: &Watched<'_>) -> String {
    page.sees("0:").await;
    let script = "return document.querySelector('main time[data-seconds-left]')?.innerText ?? ''";
    page.browser.evaluate(script).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_replicas_show_the_same_to_their_browsers() {
    let stack = default_stack().await;
    let seller = member(stack, "seller", Scripts::On).await;
    let ticket = seller.lists(&title("Oberon"), "20").await;

    let buyer = member_at(&stack.url_of("web-1"), "buyer", Scripts::On).await;
    let other = member_at(&stack.url_of("web-2"), "other", Scripts::On).await;
    let page = Watched::at(&other.browser, &ticket).await;
    let order = buyer.reserves(&ticket).await;
    page.shows("ticket-reserved").await;
    buyer.browser.press("cancel-reservation").await;
    page.shows("ticket-available").await;

    // And the other way round.
    let page = Watched::at(&buyer.browser, &ticket).await;
    assert_ne!(other.reserves(&ticket).await, order);
    page.shows("ticket-reserved").await;
    other.pays_with(GOOD_CARD).await;
    page.shows("ticket-sold").await;
}

#[tokio::test]
async fn a_page_resumes_live_updates_after_its_replica_restarts() {
    let stack = default_stack().await;
    let mut replica = Replica::of_web(stack, &[]).await;
    let (seller, buyer, other) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        visitor_at(&replica.url, "other", Scripts::On)
    );
    let ticket = seller.lists(&title("Ariodante"), "20").await;
    let page = Watched::at(&other.browser, &ticket).await;
    page.shows("ticket-available").await;
    other.browser.ignores_network_errors();
    replica.kill();
    buyer.reserves(&ticket).await;
    replica.restart().await;
    page.shows("ticket-reserved").await;
    buyer.browser.press("cancel-reservation").await;
    page.shows("ticket-available").await;
}

#[tokio::test]
async fn going_back_and_submitting_again_does_nothing_twice() {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::Off), member(stack, "buyer", Scripts::On));
    let title = title("Euryanthe");
    let ticket = seller.lists(&title, "20").await;
    // Back to the form, which is submitted again.
    seller.browser.back().await;
    seller.browser.press("list-ticket").await;
    seller.browser.arrives_at(&ticket).await;
    seller.browser.visit("/sales").await;
    assert_eq!(
        seller.browser.text().await.matches(&title).count(),
        3,
        "its name, in *Edit* and in *List similar* too"
    );

    let order = buyer.reserves(&ticket).await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.back().await;
    if buyer.browser.has("button", "pay").await {
        buyer.browser.press("pay").await;
    }
    buyer.browser.finds_at(&order, "order-paid").await;
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
