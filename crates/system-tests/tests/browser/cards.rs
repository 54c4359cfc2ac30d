//! Cards on the order's page: Stripe's Payment Element, and 3-D Secure with and without scripts. (The local Stripe serves the
//! script and the bank's page.)

use crate::people::{DECLINED_CARD, GOOD_CARD, Visitor, member, title};
use crate::shared::{self, Scripts};

/// Always requires a challenge.
const CHALLENGED_CARD: &str = "tok_threeDSecure2Required";

/// Types a card into Stripe's frame, and pays.
async fn types_card(buyer: &Visitor, number: &str) {
    let browser = &buyer.browser;
    browser.enters_frame("Secure payment input frame").await;
    browser.fill("number", number).await;
    browser.fill("expiry", "1234").await;
    browser.fill("cvc", "123").await;
    browser.leaves_frame().await;
    browser.press("pay").await;
}

#[tokio::test]
async fn the_bank_asks_and_the_buyer_confirms_fails_or_leaves() {
    let stack = shared::default_stack().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let seller = member(stack, "seller", scripts).await;
        let buyer = member(stack, "buyer", scripts).await;
        let ticket = seller.lists(&title("Aida"), "20.50").await;
        let order = buyer.reserves(&ticket).await;
        buyer.pays_with(CHALLENGED_CARD).await;
        buyer.browser.shows("order-action-required").await;
        // The buyer leaves the bank's page, and goes there again.
        buyer.browser.follow("confirm-with-bank").await;
        buyer.browser.sees("3-D Secure test page").await;
        buyer.browser.press("leave").await;
        buyer.browser.shows("order-action-required").await;
        buyer.browser.follow("confirm-with-bank").await;
        buyer.browser.press("fail").await;
        buyer.browser.shows("declined").await;
        buyer.browser.sees("You haven’t been charged").await;

        buyer.pays_with(CHALLENGED_CARD).await;
        buyer.browser.shows("order-action-required").await;
        buyer.browser.follow("confirm-with-bank").await;
        buyer.browser.press("complete").await;
        buyer.browser.arrives_at(&order).await;
        buyer.browser.finds_at(&order, "order-paid").await;
    }
}

#[tokio::test]
async fn a_challenge_that_outlives_the_reservation_charges_nobody() {
    let stack = shared::short_reservations().await;
    let seller = member(stack, "seller", Scripts::On).await;
    let buyer = member(stack, "buyer", Scripts::On).await;
    let ticket = seller.lists(&title("Tosca"), "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.pays_with(CHALLENGED_CARD).await;
    buyer.browser.shows("order-action-required").await;
    buyer.browser.finds_at(&order, "order-expired").await;
    buyer.browser.finds_at(&order, "money-never-taken").await;
}

#[tokio::test]
async fn a_card_is_typed_into_the_payment_element() {
    let stack = shared::with_payment_element().await;
    let seller = member(stack, "seller", Scripts::On).await;
    let buyer = member(stack, "buyer", Scripts::On).await;
    let ticket = seller.lists(&title("Carmen"), "20.50").await;
    let order = buyer.reserves(&ticket).await;
    types_card(&buyer, "4000000000000002").await;
    buyer.browser.shows("declined").await;
    // The script opens the bank's page by itself.
    types_card(&buyer, "4000002760003184").await;
    buyer.browser.sees("3-D Secure test page").await;
    buyer.browser.press("complete").await;
    buyer.browser.arrives_at(&order).await;
    buyer.browser.finds_at(&order, "order-paid").await;
}

/// Two tabs: the challenge is open in one, and the other shows it, too.
#[tokio::test]
async fn in_two_tabs_the_card_is_charged_once() {
    let stack = shared::default_stack().await;
    let seller = member(stack, "seller", Scripts::On).await;
    let buyer = member(stack, "buyer", Scripts::Off).await;
    let ticket = seller.lists(&title("Norma"), "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.pays_with(DECLINED_CARD).await;
    buyer.browser.shows("declined").await;
    buyer.pays_with(CHALLENGED_CARD).await;
    buyer.browser.shows("order-action-required").await;
    // *Back*, to the form: another card is not taken while the bank asks.
    buyer.browser.back().await;
    if buyer.browser.has("button", "pay").await {
        buyer.pays_with(GOOD_CARD).await;
    }
    buyer.browser.finds_at(&order, "order-action-required").await;
    buyer.browser.follow("confirm-with-bank").await;
    buyer.browser.press("complete").await;
    buyer.browser.finds_at(&order, "order-paid").await;
    let ledger = stack.stripe_ledger().await;
    assert_eq!(ledger.charges(order.trim_start_matches("/orders/")).len(), 1);
}
