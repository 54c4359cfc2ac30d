//! Cards on the order's page: Stripe's Payment Element, and 3-D Secure with and without scripts. (The local Stripe serves the
//! script and the bank's page.)

use system_tests::Stack;
use testkit::eventually;

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

/// The buyer leaves the bank's page alone, or answers there when it is too late.
#[tokio::test]
async fn a_challenge_that_outlives_the_reservation_charges_nobody() {
    let stack = shared::short_reservations().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let seller = member(stack, "seller", scripts).await;
        for answers in [false, true] {
            let buyer = member(stack, "buyer", scripts).await;
            let ticket = seller.lists(&title("Tosca"), "20.50").await;
            let order = buyer.reserves(&ticket).await;
            buyer.pays_with(CHALLENGED_CARD).await;
            buyer.browser.shows("order-action-required").await;
            if answers {
                buyer.browser.follow("confirm-with-bank").await;
                buyer.browser.sees("3-D Secure test page").await;
                is_cancelled_at_stripe(stack, &order).await;
                buyer.browser.press("complete").await;
                buyer.browser.sees("This challenge is closed").await;
            }
            buyer.browser.finds_at(&order, "order-expired").await;
            buyer.browser.finds_at(&order, "money-never-taken").await;
            let ledger = stack.stripe_ledger().await;
            assert!(ledger.authorisations(order.trim_start_matches("/orders/")).is_empty());
        }
    }
}

async fn is_cancelled_at_stripe(stack: &Stack, order: &str) {
    let order = order.trim_start_matches("/orders/");
    eventually("the PaymentIntent to be cancelled", || async {
        let ledger = stack.stripe_ledger().await;
        ledger.intents(order).iter().all(|intent| intent["status"] == "canceled").then_some(())
    })
    .await;
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

/// The bank's page is open in both of a browser's tabs, and the buyer confirms in one, then in the other.
#[tokio::test]
async fn in_two_tabs_the_card_is_charged_once() {
    let stack = shared::default_stack().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let seller = member(stack, "seller", scripts).await;
        let buyer = member(stack, "buyer", scripts).await;
        let browser = &buyer.browser;
        let ticket = seller.lists(&title("Norma"), "20.50").await;
        let order = buyer.reserves(&ticket).await;
        buyer.pays_with(CHALLENGED_CARD).await;
        let first = browser.tab().await;
        let second = browser.opens_tab(&order).await;
        let third = browser.opens_tab(&order).await;
        for tab in [&first, &second] {
            browser.switches_to(tab).await;
            browser.shows("order-action-required").await;
            browser.follow("confirm-with-bank").await;
            browser.sees("3-D Secure test page").await;
        }
        browser.press("complete").await;
        browser.arrives_at(&order).await;
        browser.finds_at(&order, "order-paid").await;
        browser.switches_to(&third).await;
        if scripts == Scripts::Off {
            browser.shows("order-action-required").await;
            browser.reload().await;
        }
        browser.shows("order-paid").await;
        browser.switches_to(&first).await;
        browser.press("complete").await;
        browser.sees("This challenge is closed").await;
        browser.finds_at(&order, "order-paid").await;
        let ledger = stack.stripe_ledger().await;
        assert_eq!(ledger.charges(order.trim_start_matches("/orders/")).len(), 1);
    }
}

#[tokio::test]
async fn while_the_bank_asks_no_other_card_is_taken() {
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
