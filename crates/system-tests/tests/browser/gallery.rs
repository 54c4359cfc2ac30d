//! Every page in every state, inspected and photographed.

use std::time::Duration;

use bson::{Document, doc};
use common::{Clock, Time};
use serde_json::json;
use system_tests::{Browser, Stack};
use tokio::sync::OnceCell;

use crate::inspection::Inspection;
use crate::people::{DECLINED_CARD, GOOD_CARD, PASSWORD, POOR_CARD, member, member_at, visitor_at};
use crate::replica::Replica;
use crate::shared::{Scripts, short_reservations};

static GALLERY: OnceCell<Stack> = OnceCell::const_new();

const DAY: Duration = Duration::from_secs(86_400);

/// The tickets on sale: title, venue, price, days from now, time zone.
const OFFERS: [(&str, &str, &str, u32, &str); 12] = [
    ("Rusalka, stalls, row 7", "National Theatre, Prague", "68.00", 9, "Europe/Prague"),
    ("Berliner Philharmoniker: Mahler 2", "Philharmonie, Berlin", "124.50", 16, "Europe/Berlin"),
    ("Sigur Rós, standing", "Harpa, Reykjavík", "89.00", 23, "Atlantic/Reykjavik"),
    ("Hamlet, royal circle B 14", "Globe Theatre, London", "45.00", 31, "Europe/London"),
    ("Sparta – Slavia, sector C 12", "epet ARENA, Prague", "32.00", 5, "Europe/Prague"),
    (
        "Swan Lake, balcony, two seats together",
        "Palais Garnier, Paris",
        "310.00",
        44,
        "Europe/Paris",
    ),
    (
        "Comedy night with Aisling Bea and friends, one seat at the very front",
        "Vicar Street, Dublin",
        "27.50",
        3,
        "Europe/Dublin",
    ),
    ("Blue Note: late set", "Blue Note, New York", "55.00", 12, "America/New_York"),
    (
        "Wimbledon, Centre Court, day 9",
        "All England Club, London",
        "1,240.00",
        210,
        "Europe/London",
    ),
    ("Kyoto Jazz Massive", "Metro, Kyoto", "38.00", 60, "Asia/Tokyo"),
    ("Die Zauberflöte, Parkett links, Reihe 3", "Staatsoper, Wien", "95.00", 27, "Europe/Vienna"),
    ("Museum pass, one day", "Rijksmuseum, Amsterdam", "22.50", 0, "UTC"),
];

/// A marketplace with sample tickets, used by these tests only.
async fn gallery() -> &'static Stack {
    let open = async || {
        let start = || Stack::start("browser-gallery", &[]);
        let stack = tokio::task::spawn_blocking(start).await.expect("the marketplace starts");
        let empty = Browser::open(&stack.url()).await;
        empty.visit("/").await;
        let mut inspection = Inspection::default();
        inspection.page(&empty, "browse-empty").await;
        inspection.passes();
        fill(&stack).await;
        stack
    };
    GALLERY.get_or_init(open).await
}

async fn fill(stack: &Stack) {
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let now = Clock::system().now();
    for (number, (title, venue, price, days, zone)) in OFFERS.into_iter().enumerate() {
        let date = (days > 0).then(|| evening(now + DAY * days));
        let body = json!({
            "title": title, "venue": venue, "price": price.replace(',', ""), "timeZone": zone, "date": date,
            "description": "Bought for a friend who can't come after all.\nSent as a PDF within a day; you show it at the door.",
        });
        let ticket = seller.client.post("/api/tickets", body).await.expect(201);
        let id = ticket["id"].as_str().unwrap();
        if number % 5 == 3 {
            buyer.reserves(id).await;
            seller.sees_ticket(id, "reserved").await;
        }
    }
}

/// Half past six of that day.
fn evening(time: Time) -> String {
    let day = time.to_string();
    format!("{}T18:30:00Z", day.split('T').next().unwrap())
}

#[tokio::test]
async fn the_pages_for_anybody() {
    let stack = gallery().await;
    let (seller, browser) = (stack.person("seller").await, Browser::open(&stack.url()).await);
    let mut inspection = Inspection::default();
    browser.visit("/").await;
    browser.sees("Rusalka").await;
    inspection.page(&browser, "browse").await;
    browser.visit("/?q=prague&min_price=10&max_price=100&sort=price").await;
    inspection.page(&browser, "browse-searched").await;
    browser.visit("/?q=nothing+of+the+kind").await;
    inspection.page(&browser, "browse-nothing-found").await;
    browser.visit("/?min_price=a+lot&from=2020-13-45").await;
    inspection.page(&browser, "browse-refused").await;
    browser.visit("/docs").await;
    inspection.page(&browser, "docs").await;

    let body = json!({
        "title": "La Traviata, box 4", "price": "140.00", "venue": "La Scala, Milano", "timeZone": "Europe/Rome",
        "date": evening(Clock::system().now() + DAY * 19),
        "description": "Two of us had planned to go, and now it is only one.\n\nThe ticket is in my name; I send you the PDF and a note for the box office.",
    });
    let ticket = seller.client.post("/api/tickets", body).await.expect(201);
    let id = ticket["id"].as_str().unwrap();
    let page = format!("/tickets/{id}");
    browser.visit(&page).await;
    browser.shows("sign-in-to-buy").await;
    inspection.page(&browser, "ticket").await;
    let buyer = stack.person("buyer").await;
    let order = buyer.reserves(id).await;
    browser.finds_at(&page, "ticket-reserved").await;
    inspection.page(&browser, "ticket-reserved").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    browser.finds_at(&page, "ticket-sold").await;
    inspection.page(&browser, "ticket-sold").await;

    browser.visit("/auth/signup").await;
    inspection.page(&browser, "signup").await;
    browser.fill("email", "someone@example.com").await;
    browser.fill("password", "short").await;
    browser.press("sign-up").await;
    browser.shows("form-errors").await;
    assert_eq!(browser.value("email").await, "someone@example.com");
    inspection.page(&browser, "signup-refused").await;
    browser.visit("/auth/signin").await;
    inspection.page(&browser, "signin").await;
    browser.fill("email", "someone@example.com").await;
    browser.fill("password", "wrong password").await;
    browser.press("sign-in").await;
    browser.shows("form-errors").await;
    inspection.page(&browser, "signin-refused").await;
    browser.visit("/nowhere").await;
    inspection.page(&browser, "not-found").await;
    browser.evaluate("document.cookie = 'flash=signed-out'").await;
    browser.visit("/").await;
    inspection.page(&browser, "notice").await;
    inspection.passes();
}

#[tokio::test]
async fn the_pages_of_a_buyer() {
    let stack = gallery().await;
    let (seller, buyer) = (stack.person("seller").await, member(stack, "buyer", Scripts::On).await);
    let browser = &buyer.browser;
    let mut inspection = Inspection::default();
    browser.visit("/orders").await;
    inspection.page(browser, "orders-empty").await;
    browser.visit("/account").await;
    inspection.page(browser, "account").await;
    let ticket = async |title| format!("/tickets/{}", seller.offers(title, "48.00").await);

    let first = ticket("Carmen, stalls, row 12").await;
    browser.visit(&first).await;
    inspection.page(browser, "ticket-signed-in").await;
    buyer.reserves(&first).await;
    browser.shows("order-unpaid").await;
    inspection.page(browser, "order").await;
    browser.visit("/").await;
    inspection.page(browser, "browse-with-a-reservation").await;
    browser.visit(&first).await;
    browser.shows("ticket-reserved-for-me").await;
    inspection.page(browser, "ticket-mine-to-pay").await;
    browser.follow("continue-to-payment").await;
    buyer.pays_with(POOR_CARD).await;
    browser.shows("declined").await;
    inspection.page(browser, "order-declined").await;
    buyer.pays_with(GOOD_CARD).await;
    browser.shows("order-paid").await;
    browser.shows("contact").await;
    inspection.page(browser, "order-paid").await;
    browser.follow("to-history").await;
    browser.shows("happened").await;
    inspection.page(browser, "order-history").await;
    browser.finds_at(&first, "ticket-bought").await;
    inspection.page(browser, "ticket-mine").await;

    buyer.reserves(&ticket("Fidelio, gallery").await).await;
    browser.press("cancel-reservation").await;
    browser.shows("order-cancelled").await;
    inspection.page(browser, "order-cancelled").await;

    buyer.reserves(&ticket("Salome, box 2").await).await;
    for outcome in ["attempts-left-2", "attempts-left-1", "order-payment-failed"] {
        buyer.pays_with(DECLINED_CARD).await;
        browser.shows(outcome).await;
    }
    inspection.page(browser, "order-failed").await;

    buyer.reserves(&ticket("Parsifal, stalls").await).await;
    stack.inject_stripe_fault("/v1/payment_intents/*/confirm", "hang", Some(1), 60_000).await;
    buyer.pays_with(GOOD_CARD).await;
    browser.shows("order-processing").await;
    inspection.page(browser, "order-processing").await;

    browser.visit("/orders").await;
    inspection.page(browser, "orders").await;
    browser.visit("/auth/signout").await;
    inspection.page(browser, "signout").await;
    inspection.passes();
}

#[tokio::test]
async fn the_page_of_an_expired_reservation() {
    let stack = short_reservations().await;
    let (seller, buyer) = (stack.person("seller").await, member(stack, "buyer", Scripts::On).await);
    let ticket = format!("/tickets/{}", seller.offers("Elektra, row 1", "48.00").await);
    buyer.reserves(&ticket).await;
    buyer.browser.shows("order-expired").await;
    let mut inspection = Inspection::default();
    inspection.page(&buyer.browser, "order-expired").await;
    inspection.passes();
}

#[tokio::test]
async fn the_pages_of_a_seller() {
    let stack = gallery().await;
    let (buyer, seller) = (stack.person("buyer").await, member(stack, "seller", Scripts::On).await);
    let browser = &seller.browser;
    let mut inspection = Inspection::default();
    browser.visit("/sales").await;
    inspection.page(browser, "sales-empty").await;
    browser.visit("/tickets/new").await;
    inspection.page(browser, "ticket-new").await;
    browser.fill("title", "Lohengrin, row 5").await;
    browser.fill("price", "a lot").await;
    browser.pick("date", "2001-01-01T19:00").await;
    browser.press("list-ticket").await;
    browser.shows("form-errors").await;
    assert_eq!(browser.value("title").await, "Lohengrin, row 5");
    inspection.page(browser, "ticket-new-refused").await;

    let ticket = seller.lists("Lohengrin, row 5", "72.00").await;
    inspection.page(browser, "ticket-listed").await;
    browser.visit(&format!("{ticket}/edit")).await;
    assert_eq!(browser.value("date").await, "2041-06-15T19:30");
    browser.fill("venue", "Deutsche Oper").await;
    inspection.page(browser, "ticket-edit").await;
    browser.press("save").await;
    browser.shows("notice-edited").await;
    browser.visit(&format!("{ticket}/delete")).await;
    inspection.page(browser, "ticket-delete").await;

    let id = ticket.trim_start_matches("/tickets/");
    let order = buyer.reserves(id).await;
    browser.finds_at(&ticket, "ticket-reserved").await;
    inspection.page(browser, "ticket-of-mine-reserved").await;
    let sale = format!("/orders/{order}");
    browser.finds_at(&sale, "order-unpaid").await;
    inspection.page(browser, "sale-reserved").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    browser.finds_at(&sale, "order-paid").await;
    browser.finds_at(&sale, "contact").await;
    inspection.page(browser, "sale").await;
    browser.finds_at(&ticket, "ticket-sold").await;
    inspection.page(browser, "ticket-of-mine-sold").await;
    seller.lists("Tannhäuser, row 9", "64.00").await;
    browser.visit("/sales").await;
    inspection.page(browser, "sales").await;
    browser.visit(&format!("{sale}/refund")).await;
    inspection.page(browser, "refund").await;
    browser.press("confirm-refund").await;
    browser.finds_at(&sale, "order-refunded").await;
    inspection.page(browser, "sale-refunded").await;

    // Another user's.
    let other = member(stack, "other", Scripts::On).await;
    other.browser.visit(&sale).await;
    other.browser.shows("error-403").await;
    inspection.page(&other.browser, "forbidden").await;
    inspection.passes();
}

#[tokio::test]
async fn the_pages_of_a_listing_of_many() {
    let stack = gallery().await;
    let (seller, buyer, other) = (
        member(stack, "seller", Scripts::On).await,
        member(stack, "buyer", Scripts::On).await,
        stack.person("other").await,
    );
    let anybody = Browser::open(&stack.url()).await;
    let mut inspection = Inspection::default();
    let ticket = seller.lists_many("Má vlast, standing, forty of them", "24.00", "40", "6").await;
    let id = ticket.trim_start_matches("/tickets/");
    inspection.page(&seller.browser, "many-listed").await;
    anybody.finds_at(&ticket, "sign-in-to-buy").await;
    inspection.page(&anybody, "many").await;
    buyer.browser.visit(&ticket).await;
    buyer.browser.pick("quantity", "3").await;
    inspection.page(&buyer.browser, "many-signed-in").await;
    let order = buyer.reserves_many(&ticket, "3").await;
    buyer.browser.shows("order-unpaid").await;
    inspection.page(&buyer.browser, "many-order").await;
    anybody.finds_text_at("/?q=vlast", "37 left").await;
    inspection.page(&anybody, "many-browse").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.shows("contact").await;
    inspection.page(&buyer.browser, "many-order-paid").await;
    buyer.browser.visit("/orders").await;
    inspection.page(&buyer.browser, "many-orders").await;

    other.orders_many(id, 2).await.expect(201);
    seller.browser.finds_text_at(&ticket, "Reserved 2").await;
    inspection.page(&seller.browser, "many-of-mine").await;
    seller.browser.follow("view-orders").await;
    inspection.page(&seller.browser, "many-orders-of-mine").await;
    seller.browser.visit(&format!("{ticket}/edit")).await;
    seller.browser.shows("details-fixed").await;
    inspection.page(&seller.browser, "many-edit").await;
    seller.browser.fill("title", "Another title").await;
    seller.browser.fill("quantity", "39").await;
    seller.browser.press("save").await;
    seller.browser.shows("form-errors").await;
    inspection.page(&seller.browser, "many-edit-refused").await;
    seller.browser.visit(&order).await;
    seller.browser.follow("refund").await;
    inspection.page(&seller.browser, "many-refund").await;
    seller.browser.visit("/sales").await;
    inspection.page(&seller.browser, "many-sales").await;
    seller.browser.visit(&ticket).await;
    seller.browser.press("close-sale").await;
    seller.browser.shows("ticket-closed").await;
    inspection.page(&seller.browser, "many-closed-by-me").await;
    anybody.finds_at(&ticket, "ticket-closed").await;
    inspection.page(&anybody, "many-closed").await;

    // Fewer are left than were chosen, and then none.
    let ticket = seller.lists_many("Four of Dalibor", "24.00", "4", "4").await;
    let id = ticket.trim_start_matches("/tickets/");
    buyer.browser.visit(&ticket).await;
    buyer.browser.pick("quantity", "4").await;
    other.orders_many(id, 2).await.expect(201);
    buyer.browser.press("buy").await;
    buyer.browser.shows("form-errors").await;
    inspection.page(&buyer.browser, "many-not-enough-left").await;
    other.orders_many(id, 2).await.expect(201);
    anybody.finds_at(&ticket, "ticket-reserved").await;
    inspection.page(&anybody, "many-all-reserved").await;
    inspection.passes();
}

#[tokio::test]
async fn the_pages_of_an_administrator() {
    let stack = gallery().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let order = buyer.reserves(&seller.offers("Euryanthe, stalls", "48.00").await).await;
    buyer.pays(&order, GOOD_CARD).await.expect(201);
    let admin = member(stack, "admin", Scripts::On).await;
    let users = stack.database("auth").await.collection::<Document>("users");
    let group = doc! { "$set": { "groups": ["admin"] } };
    users.update_one(doc! { "email": &admin.email }, group).await.expect("MongoDB");
    // The group is in the next session.
    let browser = &admin.browser;
    browser.visit("/auth/signout").await;
    browser.press("sign-out").await;
    browser.shows("notice-signed-out").await;
    browser.visit("/auth/signin?next=/admin").await;
    browser.fill("email", &admin.email).await;
    browser.fill("password", PASSWORD).await;
    browser.press("sign-in").await;
    browser.arrives_at("/admin").await;
    let mut inspection = Inspection::default();
    inspection.page(browser, "admin").await;
    browser.fill("email", &admin.email).await;
    browser.press("find").await;
    browser.shows("found-user").await;
    inspection.page(browser, "admin-user").await;
    browser.visit("/admin/audit").await;
    inspection.page(browser, "admin-audit").await;
    browser.visit("/admin").await;
    browser.fill("id", &order).await;
    browser.press("find-order").await;
    browser.shows("trace").await;
    inspection.page(browser, "admin-order-history").await;
    browser.visit("/account/tokens").await;
    inspection.page(browser, "tokens").await;
    inspection.passes();
}

#[tokio::test]
async fn the_pages_while_a_service_is_down() {
    let stack = gallery().await;
    let seller = stack.person("seller").await;
    let title = "Elegy for a lost ticket";
    let ticket = format!("/tickets/{}", seller.offers(title, "48.00").await);
    let mut inspection = Inspection::default();

    let without = Replica::without(stack, "PAYMENTS_URL").await;
    let buyer = member_at(&without.url, "buyer", Scripts::On).await;
    let order = buyer.reserves(&ticket).await;
    buyer.browser.shows("order-unknown").await;
    inspection.page(&buyer.browser, "payments-down").await;

    let without = Replica::without(stack, "ORDERS_URL").await;
    let buyer = member_at(&without.url, "buyer", Scripts::On).await;
    buyer.browser.visit("/").await;
    buyer.browser.sees("Rusalka").await;
    inspection.page(&buyer.browser, "orders-down").await;
    buyer.browser.visit(&order).await;
    buyer.browser.shows("error-503").await;
    inspection.page(&buyer.browser, "down").await;

    let without = Replica::without(stack, "TICKETS_URL").await;
    let browser = Browser::open(&without.url).await;
    browser.visit("/").await;
    browser.shows("error-503").await;
    inspection.page(&browser, "tickets-down").await;

    let without = Replica::without(stack, "AUTH_URL").await;
    let anybody = visitor_at(&without.url, "anybody", Scripts::On).await;
    anybody.browser.visit(&ticket).await;
    anybody.browser.sees(title).await;
    anybody.browser.visit("/auth/signup").await;
    anybody.signs_up().await;
    anybody.browser.shows("form-errors").await;
    inspection.page(&anybody.browser, "auth-down").await;
    inspection.passes();
}
