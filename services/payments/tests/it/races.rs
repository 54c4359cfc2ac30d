//! Concurrent requests and events.

use common::events::{
    CancelReason, OrderRefundRequired, PaymentRefunded, RefundReason, RefundRequired,
};
use common::ids::PaymentId;
use futures::future::join_all;
use serde_json::Value;
use testkit::eventually;

use crate::world::World;

#[tokio::test]
async fn sixteen_concurrent_payments_of_one_order_charge_once() {
    let world = World::start().await;
    let order = world.order().await;
    let responses = join_all((0..16).map(|_| world.pay(&order, "tok_visa"))).await;
    let paid = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(paid, 1);
    for response in responses.iter().filter(|response| response.status != 201) {
        assert_eq!(response.status, 409, "{response:?}");
    }
    assert_eq!(world.charged().await, (1, 2050));
    assert_eq!(world.ledger().await["payment_intents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_cancelled_while_it_is_paid_is_either_charged_or_cancelled_at_stripe() {
    let world = World::start().await;
    for _ in 0..20 {
        let order = world.order().await;
        let before = world.charged().await.0;
        let (response, ()) =
            tokio::join!(world.pay(&order, "tok_visa"), world.cancel(&order, CancelReason::User));
        match response.status.as_u16() {
            201 => assert_eq!(world.charged().await.0, before + 1),
            409 => {
                assert_eq!(world.charged().await.0, before);
                let Value::String(intent) = &world.payment(&order).await["stripeId"] else {
                    continue;
                };
                // Released, if it was authorised before.
                eventually("the PaymentIntent to be cancelled", || async {
                    world.answer().await;
                    let ledger = world.ledger().await;
                    let mut intents = ledger["payment_intents"].as_array().unwrap().iter();
                    let found = intents.find(|found| found["id"] == intent.as_str()).unwrap();
                    (found["status"] == "canceled").then_some(())
                })
                .await;
            }
            status => panic!("{status}: {response:?}"),
        }
    }
}

#[tokio::test]
async fn a_refund_that_is_required_repeatedly_happens_once() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let payment_id: PaymentId = payment["id"].as_str().unwrap().parse().unwrap();
    let required = OrderRefundRequired(RefundRequired {
        order_id: order.id,
        payment_id,
        why: RefundReason::TooLate,
        reminder: false,
        version: 3,
    });
    world.infra.bus().publish(&required).await;
    join_all((0..4).map(|_| world.infra.bus().publish_again(&required))).await;
    world.infra.bus().settled("payments").await;

    let refunded = world.payment_is(&order, "refunded").await;
    assert!(refunded["stripeRefundId"].as_str().unwrap().starts_with("re_"));
    let refund = world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await.0;
    assert_eq!((refund.id, refund.amount.minor()), (payment_id, 2050));
    assert_eq!(world.charged().await, (1, 0));
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 1);
    world.pay(&order, "tok_visa").await.problem(409, "order-cancelled");
}
