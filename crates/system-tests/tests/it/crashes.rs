//! payments dies after it has sent a card to Stripe, and before it has heard what became of it.

use futures::future::join;
use testkit::eventually;

use crate::shared;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";

#[tokio::test]
async fn a_payments_that_was_killed_after_sending_asks_stripe_and_charges_once() {
    let stack = shared::fragile().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    // Stripe never does it; has done it; does it when nobody waits any more.
    for (fault, card, end) in [
        ("hang", "tok_visa", "completed"),
        ("slow", "tok_visa", "completed"),
        ("late", "tok_visa", "completed"),
        ("slow", "tok_chargeDeclined", "created"),
    ] {
        let order = buyer.holds(&seller.offers("Elektra", "20.50").await).await;
        stack.stripe_fails(CONFIRM, fault, Some(1), 4000).await;
        let kill = async {
            eventually("the confirmation to be under way", || async {
                let armed = stack.stripe().get("/_faults").await.expect(200);
                (armed[0]["hits"] == 1).then_some(())
            })
            .await;
            stack.kill("payments").await;
        };
        let (answer, ()) = join(buyer.pays(&order, card), kill).await;
        answer.problem(503, "unavailable");
        stack.is_ready("payments").await;
        let payment = buyer.sees_payment(&order, end).await;
        let (paid, declined) = if end == "completed" { (1, 0) } else { (0, 1) };
        assert_eq!(payment["declines"], declined, "{fault}");
        assert_eq!(stack.stripe_ledger().await.charges(&order).len(), paid, "{fault}");
        stack.stripe_is_well().await;
    }
}
