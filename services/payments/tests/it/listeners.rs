//! Each listener gets its event twice, late and out of order: the same end state.

use common::events::{
    CancelReason, Event, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    OrderStatus, RefundReason, Stream,
};
use common::ids::PaymentId;
use payments::app;
use testkit::eventually;
use testkit::fixtures::{self, RefundRequiredChanges as _};

use crate::world::{World, cancelled, completed, order};

/// Every subject that the map names has a case here, or this fails.
#[tokio::test]
async fn every_listener_has_the_same_end_state_when_its_event_comes_twice_late_and_out_of_order() {
    let world = World::start().await;
    for subject in app::listeners(world.app.clone()).subjects() {
        match subject {
            OrderCreated::SUBJECT => created(&world).await,
            OrderCancelled::SUBJECT => {
                ended(&world, |order| cancelled(order, CancelReason::Expired)).await
            }
            OrderCompleted::SUBJECT => ended(&world, completed).await,
            OrderRefundRequired::SUBJECT => refund_required(&world).await,
            other => panic!("no case for {other}"),
        }
    }
    assert_eq!(world.infra.bus().dead_letters().await.len(), 0);
}

async fn created(world: &World) {
    let order = world.order().await;
    let before = world.app.store.payments.get(order.id).await.unwrap();
    world.infra.bus().publish_again(&OrderCreated(order.clone())).await;
    world.infra.bus().settled("payments").await;
    assert_eq!(world.app.store.payments.get(order.id).await.unwrap(), before);
    world.pay(&order, "tok_visa").await.expect(201);
    // Late: after it was paid.
    world.infra.bus().publish_again(&OrderCreated(order.clone())).await;
    world.infra.bus().settled("payments").await;
    world.pay(&order, "tok_visa").await.problem(409, "already-paid");
}

/// The end overtakes the beginning, and comes again: nothing can be paid.
async fn ended(world: &World, end: impl Fn(&common::events::Order) -> common::events::Order) {
    let bus = world.infra.bus();
    let order = order(
        world.infra.clock.now(),
        std::time::Duration::from_secs(900),
        world.buyer.id,
        world.seller.id,
    );
    let last = end(&order);
    let publish = async || {
        if last.status == OrderStatus::Complete {
            bus.publish_again(&OrderCompleted(last.clone())).await;
        } else {
            bus.publish_again(&OrderCancelled(last.clone())).await;
        }
    };
    publish().await;
    bus.publish(&OrderCreated(order.clone())).await;
    publish().await;
    bus.publish_again(&OrderCreated(order.clone())).await;
    bus.settled("payments").await;
    let payment = world.app.store.payments.get(order.id).await.unwrap().unwrap();
    assert_eq!(payment.order.status, last.status);
    assert_eq!(world.pay(&order, "tok_visa").await.status, 409);
    assert_eq!(world.app.store.payments.get(order.id).await.unwrap(), Some(payment));
}

/// It may come before payments itself knows of its charge (a restored database): then it waits.
async fn refund_required(world: &World) {
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let payment_id: PaymentId = payment["id"].as_str().unwrap().parse().unwrap();
    let required = fixtures::refund_required(order.id, payment_id);
    let event = OrderRefundRequired(required.with_reason(RefundReason::OrderCancelled));
    world.infra.bus().publish(&event).await;
    let refunded = world.payment_is(&order, "refunded").await;
    world.infra.bus().publish_again(&event).await;
    world.infra.bus().settled("payments").await;
    assert_eq!(world.payment(&order).await, refunded);
}

#[tokio::test]
async fn a_message_that_is_no_event_lands_in_the_dead_letters_and_the_consumer_goes_on() {
    let world = World::start().await;
    world.infra.bus().publish_raw("order.created", "{\"id\":7}").await;
    let letter =
        eventually("a dead letter", || async { world.infra.bus().dead_letters().await.pop() })
            .await;
    assert_eq!(letter.subject, "order.created");
    assert_eq!(letter.stream, Stream::Orders.name());
    assert!(letter.reason.contains("not a order.created"), "{}", letter.reason);
    let order = world.order().await;
    world.pay(&order, "tok_visa").await.expect(201);
}
