//! Two at once.

use common::events::{
    CancelReason, OrderRefundRequired, PaymentRefunded, RefundReason, RefundRequired,
};
use common::ids::PaymentId;
use futures::future::join_all;

use crate::world::World;

#[tokio::test]
async fn sixteen_payments_at_once_for_one_order_charge_once() {
    let world = World::start().await;
    let order = world.order().await;
    let answers = join_all((0..16).map(|_| world.pay(&order, "tok_visa"))).await;
    let paid = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(paid, 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.status, 409, "{answer:?}");
    }
    assert_eq!(world.taken().await, (1, 2050));
    assert_eq!(world.ledger().await["payment_intents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_that_ends_while_it_is_paid_is_paid_or_canceled_at_stripe_but_not_both() {
    let world = World::start().await;
    for _ in 0..20 {
        let order = world.order().await;
        let before = world.taken().await.0;
        let (answer, ()) =
            tokio::join!(world.pay(&order, "tok_visa"), world.cancel(&order, CancelReason::User));
        match answer.status.as_u16() {
            201 => assert_eq!(world.taken().await.0, before + 1),
            409 => {
                assert_eq!(world.taken().await.0, before);
                if world.payment(&order).await["stripeId"].is_string() {
                    world.payment_is(&order, "failed").await;
                }
            }
            status => panic!("{status}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_to_be_refunded_is_refunded_once_however_often_it_is_told() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let payment_id: PaymentId = payment["id"].as_str().unwrap().parse().unwrap();
    let required = OrderRefundRequired(RefundRequired {
        order_id: order.id,
        payment_id,
        why: RefundReason::TooLate,
        version: 3,
    });
    world.infra.bus().publish(&required).await;
    join_all((0..4).map(|_| world.infra.bus().publish_again(&required))).await;
    world.infra.bus().settled("payments").await;

    let refunded = world.payment_is(&order, "refunded").await;
    assert!(refunded["stripeRefundId"].as_str().unwrap().starts_with("re_"));
    let told = world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await.0;
    assert_eq!((told.id, told.amount.minor()), (payment_id, 2050));
    assert_eq!(world.taken().await, (1, 0));
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 1);
    world.pay(&order, "tok_visa").await.problem(409, "order-cancelled");
}
