//! A ticket's way from seller to buyer. Each step works without JavaScript too, and is tested both ways.

use crate::people::{DECLINED_CARD, GOOD_CARD, POOR_CARD, member, title, visitor};
use crate::shared::{Scripts, default_stack, short_reservations};

#[tokio::test]
async fn a_ticket_is_sold_from_sign_up_to_paid() {
    a_sale(Scripts::On).await;
}

#[tokio::test]
async fn a_ticket_is_sold_from_sign_up_to_paid_without_javascript() {
    a_sale(Scripts::Off).await;
}

async fn a_sale(scripts: Scripts) {
    let stack = default_stack().await;
    let seller = visitor(stack, "seller", scripts).await;
    seller.browser.visit("/").await;
    seller.browser.follow("sell").await;
    // Sign-in is required, and returns to the requested page.
    seller.browser.arrives_at("/auth/signin").await;
    seller.browser.follow("create-account").await;
    seller.signs_up().await;
    seller.browser.arrives_at("/tickets/new").await;
    let title = title("Rusalka, row 7");
    let ticket = seller.lists(&title, "20.50").await;

    let buyer = visitor(stack, "buyer", scripts).await;
    buyer.browser.visit("/").await;
    buyer.browser.fill("q", &title).await;
    buyer.browser.press("search").await;
    buyer.browser.follow(&title).await;
    buyer.browser.sees("Sat 15 Jun 2041, 19:30").await;
    buyer.browser.follow("sign-in-to-buy").await;
    buyer.browser.follow("create-account").await;
    buyer.signs_up().await;
    buyer.browser.arrives_at(&ticket).await;
    buyer.browser.press("buy").await;

    buyer.browser.arrives_at("/orders/").await;
    buyer.browser.shows("order-unpaid").await;
    let order = buyer.path_of_page().await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.shows("receipt").await;
    for text in ["$20.50", &title, &seller.email, "State Opera"] {
        buyer.browser.sees(text).await;
    }
    buyer.browser.visit("/orders").await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.visit(&ticket).await;
    buyer.browser.shows("ticket-bought").await;

    seller.browser.visit("/sales").await;
    seller.browser.shows("listing-paid").await;
    seller.browser.follow("view-sale").await;
    seller.browser.arrives_at(&order).await;
    seller.browser.shows("contact").await;
    seller.browser.sees(&buyer.name).await;
    seller.browser.sees(&buyer.email).await;

    // The seller refunds the buyer, and the ticket is on sale again.
    seller.browser.follow("refund").await;
    seller.browser.choose("true").await;
    seller.browser.press("confirm-refund").await;
    buyer.browser.finds_at(&order, "money-refunded").await;
    buyer.browser.finds_at(&ticket, "ticket-available").await;
}

#[tokio::test]
async fn three_of_ten_tickets_are_sold() {
    three_of_ten(Scripts::On).await;
}

#[tokio::test]
async fn three_of_ten_tickets_are_sold_without_javascript() {
    three_of_ten(Scripts::Off).await;
}

async fn three_of_ten(scripts: Scripts) {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", scripts));
    let title = title("Ten of Libuše");
    let ticket = seller.lists_many(&title, "20", "10", "4").await;
    let search = format!("/?q={}", title.replace(' ', "+"));
    buyer.browser.finds_text_at(&search, "10 left").await;
    let order = buyer.reserves_many(&ticket, "3").await;
    buyer.browser.shows("order-unpaid").await;
    buyer.browser.sees("3 × $20.00 = $60.00").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.shows("receipt").await;
    buyer.browser.sees("You bought 3 tickets").await;
    buyer.browser.finds_text_at(&search, "7 left").await;

    seller.browser.finds_text_at("/sales", "7 left · 0 reserved · 3 sold").await;
    seller.browser.follow("view-orders").await;
    seller.browser.follow("view-sale").await;
    seller.browser.arrives_at(&order).await;
    seller.browser.sees("$60.00").await;
    seller.browser.visit(&ticket).await;
    seller.browser.press("close-sale").await;
    seller.browser.shows("notice-sale-closed").await;
    buyer.browser.finds_at(&ticket, "ticket-closed").await;
    seller.browser.press("reopen-sale").await;
    seller.browser.shows("notice-sale-reopened").await;
    buyer.browser.finds_at(&ticket, "buy").await;
}

#[tokio::test]
async fn a_declined_card_is_followed_by_a_good_one() {
    two_cards(Scripts::On).await;
}

#[tokio::test]
async fn a_declined_card_is_followed_by_a_good_one_without_javascript() {
    two_cards(Scripts::Off).await;
}

async fn two_cards(scripts: Scripts) {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", scripts));
    let ticket = seller.lists(&title("Jenůfa"), "1,250").await;
    buyer.reserves(&ticket).await;
    buyer.pays_with(DECLINED_CARD).await;
    buyer.browser.shows("attempts-left-2").await;
    buyer.pays_with(POOR_CARD).await;
    buyer.browser.shows("attempts-left-1").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    buyer.browser.sees("$1,250.00").await;
}

#[tokio::test]
async fn three_declined_cards_end_the_order() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let (seller, buyer) =
            tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", scripts));
        let ticket = seller.lists(&title("Dalibor"), "20").await;
        buyer.reserves(&ticket).await;
        for outcome in ["attempts-left-2", "attempts-left-1", "order-payment-failed"] {
            buyer.pays_with(DECLINED_CARD).await;
            buyer.browser.shows(outcome).await;
        }
        buyer.browser.shows("money-never-taken").await;
        buyer.browser.follow("back-to-ticket").await;
        buyer.browser.finds_at(&ticket, "ticket-available").await;
    }
}

#[tokio::test]
async fn a_cancelled_reservation_makes_the_ticket_available_to_others() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let (seller, buyer, other) = tokio::join!(
            member(stack, "seller", scripts),
            member(stack, "buyer", scripts),
            member(stack, "other", scripts)
        );
        let ticket = seller.lists(&title("Libuše"), "20").await;
        other.browser.visit(&ticket).await;
        buyer.reserves(&ticket).await;
        if scripts == Scripts::Off {
            // Without scripts, the page still shows it as available.
            other.browser.press("buy").await;
        } else {
            other.browser.visit(&ticket).await;
        }
        other.browser.shows("ticket-reserved").await;
        // The ticket's page links to the buyer's order.
        buyer.browser.visit(&ticket).await;
        buyer.browser.follow("continue-to-payment").await;
        buyer.browser.press("cancel-reservation").await;
        buyer.browser.shows("order-cancelled").await;
        other.browser.finds_at(&ticket, "ticket-available").await;
        other.browser.press("buy").await;
        other.browser.shows("order-unpaid").await;
    }
}

#[tokio::test]
async fn an_expired_reservation_is_shown_without_javascript() {
    let stack = short_reservations().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::Off), member(stack, "buyer", Scripts::Off));
    let ticket = seller.lists(&title("Armida"), "20").await;
    let order = buyer.reserves(&ticket).await;
    buyer.browser.shows("order-unpaid").await;
    buyer.browser.finds_at(&order, "order-expired").await;
    buyer.browser.follow("back-to-ticket").await;
    buyer.browser.press("buy").await;
    buyer.browser.shows("order-unpaid").await;
}
