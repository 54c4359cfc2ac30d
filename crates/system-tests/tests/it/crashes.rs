//! payments is killed after it has sent a card to Stripe, and before the response; or the order is cancelled meanwhile.

use futures::future::join;
use serde_json::json;
use testkit::eventually;

use crate::shared;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";

#[tokio::test]
async fn payments_recovers_the_outcome_from_stripe_after_a_kill_and_charges_once() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    // Stripe executes it never, before the kill, or after the client has disconnected.
    for (fault, card, end) in [
        ("hang", "tok_visa", "completed"),
        ("slow", "tok_visa", "completed"),
        ("late", "tok_visa", "completed"),
        ("slow", "tok_chargeDeclined", "created"),
    ] {
        let order = buyer.reserves(&seller.offers("Elektra", "20.50").await).await;
        stack.inject_stripe_fault(CONFIRM, fault, Some(1), 4000).await;
        let kill = async {
            eventually("the confirmation to be in flight", || async {
                let armed = stack.stripe().get("/_faults").await.expect(200);
                (armed[0]["hits"] == 1).then_some(())
            })
            .await;
            stack.kill("payments").await;
        };
        let (response, ()) = join(buyer.pays(&order, card), kill).await;
        response.problem(503, "unavailable");
        stack.is_ready("payments").await;
        let payment = buyer.sees_payment(&order, end).await;
        let (paid, declined) = if end == "completed" { (1, 0) } else { (0, 1) };
        assert_eq!(payment["declines"], declined, "{fault}");
        assert_eq!(stack.stripe_ledger().await.charges(&order).len(), paid, "{fault}");
        stack.clear_stripe_faults().await;
    }
}

#[tokio::test]
async fn a_payment_for_an_order_that_is_cancelled_meanwhile_is_released() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Wozzeck", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    stack.lose_webhooks().await;
    stack.inject_stripe_fault(CONFIRM, "slow", Some(1), 2000).await;
    stack.inject_stripe_fault("/v1/payment_intents/*/cancel", "error_after", Some(1), 0).await;
    let cancel = async {
        eventually("Stripe to have authorised", || async {
            (stack.stripe_ledger().await.authorisations(&order).len() == 1).then_some(())
        })
        .await;
        buyer.cancels(&order).await.expect(204);
    };
    let (paid, ()) = join(buyer.pays(&order, "tok_visa"), cancel).await;
    assert!([202, 409].contains(&paid.status.as_u16()), "{}", paid.text);
    buyer.sees_payment(&order, "released").await;
    stack.clear_stripe_faults().await;
    let ended = buyer.order(&order).await;
    assert_eq!((&ended["status"], &ended["cancelReason"]), (&json!("cancelled"), &json!("user")));
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&order).len(), ledger.refunds(&order).len()), (0, 0));
    seller.sees_ticket(&ticket, "available").await;
}
