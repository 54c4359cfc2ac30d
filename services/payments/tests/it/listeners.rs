//! Every listener is idempotent: duplicate, late and reordered events lead to the same state.

use std::time::Duration;

use common::Clock;
use common::events::{
    CancelReason, Order, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    OrderStatus, OrderUpdated, PaymentCreated, PaymentRefunded, Refund, RefundReason,
    RefundRequired, Stream, Subject,
};
use common::ids::PaymentId;
use payments::app;
use payments::domain::Version;
use payments::listeners::follow_all;
use serde_json::json;
use testkit::eventually;
use testkit::fixtures::{self, RefundRequiredChanges as _};

use crate::world::{World, cancelled, completed, order};

/// Fails if a subscribed subject has no case here.
#[tokio::test]
async fn every_listener_is_idempotent_for_duplicate_late_and_reordered_events() {
    let world = World::start().await;
    for subject in app::listeners(world.app.clone()).subjects() {
        match subject {
            Subject::OrderCreated => created(&world).await,
            Subject::OrderCancelled => {
                ended(&world, |order| cancelled(order, CancelReason::Expired)).await;
            }
            Subject::OrderCompleted => ended(&world, completed).await,
            Subject::OrderRefundRequired => refund_required(&world).await,
            Subject::OrderUpdated => updated(&world).await,
            Subject::TicketCreated
            | Subject::TicketUpdated
            | Subject::TicketDeleted
            | Subject::TicketReserved
            | Subject::PaymentCreated
            | Subject::PaymentCaptured
            | Subject::PaymentFailed
            | Subject::PaymentReleased
            | Subject::PaymentRefunded
            | Subject::PaymentDisputed
            | Subject::ExpirationComplete
            | Subject::UserCreated
            | Subject::UserUpdated
            | Subject::UserSessionEnded => panic!("no case for {subject}"),
        }
    }
    assert_eq!(world.infra.bus().dead_letters().await.len(), 0);
}

async fn created(world: &World) {
    let order = world.order().await;
    let before = world.app.store.find(order.id).await.unwrap();
    world.infra.bus().publish_again(&OrderCreated(order.clone())).await;
    world.infra.bus().settled("payments").await;
    assert_eq!(world.app.store.find(order.id).await.unwrap(), before);
    world.pay(&order, "tok_visa").await.expect(201);
    // Late: after it was paid.
    world.infra.bus().publish_again(&OrderCreated(order.clone())).await;
    world.infra.bus().settled("payments").await;
    world.pay(&order, "tok_visa").await.problem(409, "already-paid");
}

/// The order's end arrives before its creation, and is delivered again: nothing can be paid.
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
    let payment = world.app.store.find(order.id).await.unwrap().unwrap();
    assert_eq!(payment.order.status, last.status);
    assert_eq!(world.pay(&order, "tok_visa").await.status, 409);
    assert_eq!(world.app.store.find(order.id).await.unwrap(), Some(payment));
}

/// orders has seen what became of the payment; that arrives twice, and after a newer state.
async fn updated(world: &World) {
    let bus = world.infra.bus();
    let order = world.order().await;
    let updated = Order { version: 2, payment_version: Some(7), ..order.clone() };
    for _ in 0..2 {
        bus.publish_again(&OrderUpdated(updated.clone())).await;
        bus.settled("payments").await;
        let replica = world.app.store.find(order.id).await.unwrap().unwrap().order;
        assert_eq!(replica.payment_version, Some(Version::from(7)));
    }
    let newest = world.app.store.find(order.id).await.unwrap();
    bus.publish_again(&OrderUpdated(Order { payment_version: Some(5), ..updated })).await;
    bus.publish_again(&OrderCreated(order.clone())).await;
    bus.settled("payments").await;
    assert_eq!(world.app.store.find(order.id).await.unwrap(), newest);
}

/// The payment may have been lost by a restore: then the event is retried.
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
async fn a_malformed_message_becomes_a_dead_letter_and_the_consumer_continues() {
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

#[tokio::test]
async fn an_authorisation_is_published_again_until_orders_has_answered() {
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let order = world.order().await;
    world.authorise(&order).await;
    let bus = world.infra.bus();
    let published = |count: usize| {
        eventually("the event of the authorisation", move || async move {
            Some(bus.published::<PaymentCreated>().await).filter(|events| events.len() == count)
        })
    };
    assert!(!published(1).await[0].0.reminder);
    // Its message is lost.
    world.infra.clock.advance(Duration::from_secs(10));
    let events = published(2).await;
    assert!(events[1].0.reminder);
    assert_eq!(events[1].0.version, events[0].0.version);
    world.infra.clock.advance(Duration::from_secs(20));
    published(3).await;

    bus.publish(&OrderCompleted(completed(&order))).await;
    bus.settled("payments").await;
    world.payment_is(&order, "completed").await;
    world.a_day_passes().await;
    published(3).await;
}

#[tokio::test]
async fn a_reminder_of_a_refund_that_has_succeeded_publishes_it_again() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let payment_id: PaymentId = payment["id"].as_str().unwrap().parse().unwrap();
    let required = fixtures::refund_required(order.id, payment_id);
    let reminder = OrderRefundRequired(RefundRequired { reminder: true, ..required.clone() });
    let bus = world.infra.bus();
    bus.publish(&OrderRefundRequired(required)).await;
    world.payment_is(&order, "refunded").await;
    let refunds = refunds_published(&world, 1).await;
    // Its message is lost, and orders asks again, twice.
    for count in [2, 3] {
        bus.publish_again(&reminder).await;
        assert_eq!(refunds_published(&world, count).await.last(), refunds.last());
    }
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sellers_refund_is_published_again_until_the_order_has_ended() {
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let bus = world.infra.bus();
    let complete = completed(&order);
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
    world.payment_is(&order, "refunded").await;
    assert!(!refunds_published(&world, 1).await[0].reminder);
    world.infra.clock.advance(Duration::from_secs(10));
    let refunds = refunds_published(&world, 2).await;
    assert!(refunds[1].reminder);
    assert_eq!(refunds[1].version, refunds[0].version);

    // The order's end alone doesn't say that orders has seen the refund: it may have ended before.
    let ended = |version, payment_version| {
        let ended = cancelled(&order, CancelReason::Refunded);
        Order { version, payment_version, ..ended }
    };
    bus.publish(&OrderCancelled(ended(complete.version + 1, None))).await;
    bus.settled("payments").await;
    world.infra.clock.advance(Duration::from_secs(20));
    refunds_published(&world, 3).await;
    let ended = ended(complete.version + 2, Some(refunds[0].version));
    bus.publish(&OrderCancelled(ended)).await;
    bus.settled("payments").await;
    world.a_day_passes().await;
    refunds_published(&world, 3).await;
}

async fn refunds_published(world: &World, count: usize) -> Vec<Refund> {
    let bus = world.infra.bus();
    let events = eventually("the event of the refund", || async {
        Some(bus.published::<PaymentRefunded>().await).filter(|events| events.len() == count)
    });
    events.await.into_iter().map(|event| event.0).collect()
}

#[tokio::test]
async fn batches_lead_to_the_same_as_their_newest_events_however_they_are_drawn() {
    let world = World::start().await;
    for seed in 0..12 {
        let (now, buyer, seller) = (world.app.clock.now(), world.buyer.id, world.seller.id);
        let new = || order(now, Duration::from_secs(900), buyer, seller);
        let orders: Vec<Order> = (0..6).map(|_| new()).collect();
        let ends = orders[..3].iter().map(|order| cancelled(order, CancelReason::User));
        let events: Vec<Order> = orders.iter().cloned().chain(ends).collect();
        for batch in testkit::batches(seed, &events) {
            follow_all(world.app.clone(), batch).await.unwrap();
        }
        for (index, order) in orders.iter().enumerate() {
            let known = world.app.store.find(order.id).await.unwrap().unwrap();
            let expected = if index < 3 { OrderStatus::Cancelled } else { OrderStatus::Created };
            assert_eq!((known.order.status, known.next_run_at), (expected, None), "seed {seed}");
        }
    }
}
