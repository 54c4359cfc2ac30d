//! Live updates: changes appear without a reload of the page.

use system_tests::Browser;

use crate::people::{GOOD_CARD, member, member_at, member_in, title, visitor, visitor_at};
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
async fn what_is_left_is_shown_live_and_a_quantity_that_was_chosen_is_kept() {
    let stack = default_stack().await;
    let (seller, buyer, other) = tokio::join!(
        member(stack, "seller", Scripts::On),
        member(stack, "buyer", Scripts::On),
        member(stack, "other", Scripts::On),
    );
    let ticket = seller.lists_many(&title("Nine of Luisa"), "20", "9", "4").await;
    let page = Watched::at(&other.browser, &ticket).await;
    other.browser.pick("quantity", "2").await;
    let own = Watched::at(&seller.browser, &ticket).await;
    buyer.reserves_many(&ticket, "4").await;
    page.sees("5 left").await;
    assert_eq!(other.browser.value("quantity").await, "2");
    assert_eq!(count(&own, "reserved", "4").await, "4");
    buyer.browser.press("cancel-reservation").await;
    page.sees("9 left").await;
    assert_eq!(other.browser.value("quantity").await, "2");
    other.browser.press("buy").await;
    other.browser.shows("order-unpaid").await;
    other.browser.sees("2 × $20.00 = $40.00").await;
}

/// Waits until a count of the seller's has this value.
async fn count(page: &Watched<'_>, name: &str, value: &str) -> String {
    let script = format!("return document.querySelector('[data-test={name}]')?.innerText ?? ''");
    testkit::eventually(&format!("{name} to be {value}"), || async {
        let shown = page.browser.evaluate(&script).await.as_str().unwrap().to_owned();
        (shown == value).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_page_follows_a_rush_every_other_second_and_ends_up_right() {
    const INTERVAL_MS: f64 = 2000.0;
    const BURST: usize = 3;
    let stack = default_stack().await;
    let (seller, other) =
        tokio::join!(stack.person("seller"), visitor(stack, "other", Scripts::On));
    let ticket = seller.offers_many("Forty of Ernani", "20", 40).await;
    seller.sees_ticket(&ticket, "available").await;
    let page = Watched::at(&other.browser, &format!("/tickets/{ticket}")).await;
    page.sees("40 left").await;
    for _ in 0..8 {
        let buyer = stack.person("buyer").await;
        for _ in 0..5 {
            buyer.orders_many(&ticket, 1).await.expect(201);
        }
    }
    page.shows("ticket-reserved").await;
    let fetched = "return performance.getEntriesByType('resource') \
        .filter(entry => entry.initiatorType === 'fetch' && entry.name === location.href) \
        .map(entry => entry.startTime)";
    let fetched = other.browser.evaluate(fetched).await;
    let fetched: Vec<f64> =
        fetched.as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect();
    println!("40 orders, {} refreshes", fetched.len());
    assert!(!fetched.is_empty());
    // However fast the orders are: beyond a burst, so many refreshes take so long. A timer may be a moment early.
    let span = fetched.last().unwrap() - fetched[0];
    let least = INTERVAL_MS * fetched.len().saturating_sub(BURST) as f64;
    assert!(span + 20.0 >= least, "{} refreshes in {span} ms: {fetched:?}", fetched.len());
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
    let home = &stack.url();
    let (seller, buyer) = tokio::join!(
        async { member_in(Browser::open_with_history_without_scripts(home).await, "seller").await },
        async { member_in(Browser::open_with_history(home).await, "buyer").await },
    );
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
