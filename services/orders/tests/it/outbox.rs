//! Every change is published once with its whole state, also after a crash.

use std::collections::{BTreeMap, BTreeSet};

use common::Place;
use common::events::{
    self, CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    OrderStatus, RefundReason, Stream,
};
use common::ids::OrderId;
use orders::app;
use orders::domain::Order;
use orders::store::InsertOutcome;
use testkit::fixtures::{self, OrderChanges as _, RefundRequiredChanges as _, TicketChanges as _};
use testkit::{Infra, TestService};

use crate::world::{RESERVATION, World, connect};

#[tokio::test]
async fn each_change_is_published_once_with_its_state_and_version() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    world.expire(&order).await;
    world.pay(&order).await;
    let deleted = ticket.clone().with_version(5);
    world.bus().publish(&events::TicketDeleted(deleted)).await;
    world.settled().await;
    world.published().await;

    let reserved = fixtures::order(&ticket, order.created_at)
        .with_id(order.id)
        .with_buyer(world.buyer.id)
        .with_expiry(order.created_at + RESERVATION);
    let state = |status: OrderStatus, version: i64, cancel_reason: Option<CancelReason>| {
        let state = reserved.clone().with_status(status).with_version(version);
        state.with_cancel_reason(cancel_reason).with_occupies(status.is_live())
    };
    let bus = world.bus();
    let created = state(OrderStatus::Created, 1, None);
    assert_eq!(bus.published::<OrderCreated>().await, [OrderCreated(created)]);
    let cancelled = state(OrderStatus::Cancelled, 3, Some(CancelReason::Expired));
    assert_eq!(bus.published::<OrderCancelled>().await, [OrderCancelled(cancelled)]);
    let completed = state(OrderStatus::Complete, 4, None);
    let completed = completed.with_payment_version(3);
    let stored = world.stored(order.id).await;
    let completed = completed.with_paid_at(stored.paid_at);
    assert_eq!(bus.published::<OrderCompleted>().await, [OrderCompleted(completed)]);
    let payment_id = world.stored(order.id).await.payment.unwrap().id;
    let required = fixtures::refund_required(order.id, payment_id)
        .with_reason(RefundReason::TicketDeleted)
        .with_version(5);
    assert_eq!(bus.published::<OrderRefundRequired>().await, [OrderRefundRequired(required)]);
    assert_eq!(bus.count(Stream::Orders, "order.>").await, 4);

    // CloudEvents, with an id of its own for each.
    let mut headers = bus.headers::<OrderCreated>().await;
    headers.extend(bus.headers::<OrderCancelled>().await);
    headers.extend(bus.headers::<OrderCompleted>().await);
    headers.extend(bus.headers::<OrderRefundRequired>().await);
    let id = |headers: &BTreeMap<String, String>| headers["ce-id"].clone();
    assert_eq!(headers.iter().map(id).collect::<BTreeSet<_>>().len(), 4);
    for headers in &headers {
        assert_eq!(headers["Nats-Msg-Id"], headers["ce-id"]);
        assert_eq!(headers["ce-source"], "/services/orders");
        assert_eq!(headers["ce-subject"], order.id.to_string());
        assert_eq!(headers["ce-specversion"], "1.0");
    }
}

/// What a process leaves that crashes between its write and its publishing.
async fn unpublished_order(infra: &Infra, app: &orders::state::App) -> Order {
    let (buyer, seller, now) = (infra.user(), infra.user(), infra.clock.now());
    let ticket = fixtures::ordered_ticket(&fixtures::ticket(now).with_seller(seller.id));
    let id = OrderId::new(now);
    let slot = app.slots.all().next().unwrap();
    let places = vec![Place::FIRST];
    let change = Order::reserve(id, buyer.id, ticket, places, slot, now, RESERVATION);
    assert_eq!(app.store.insert(&change).await.unwrap(), InsertOutcome::Inserted);
    change.thing
}

#[tokio::test]
async fn what_a_crash_left_unpublished_is_published_at_the_next_start() {
    let infra = Infra::start().await;
    let app = connect(&infra).await;
    let order = unpublished_order(&infra, &app).await;
    let cancelled = order.cancel(CancelReason::User).unwrap();
    assert_eq!(
        app.store.replace(order.version, &cancelled).await.unwrap(),
        InsertOutcome::Inserted
    );
    drop(app);
    assert!(infra.bus().published::<OrderCreated>().await.is_empty());

    let service = TestService::serve(app::service(connect(&infra).await, infra.verifier())).await;
    infra.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await;
    let created = infra.bus().published::<OrderCreated>().await;
    assert_eq!(created.iter().map(|event| event.0.id).collect::<Vec<_>>(), [order.id]);
    service.stop().await;
    assert_eq!(infra.bus().count(Stream::Orders, "order.>").await, 2);
}

#[tokio::test]
async fn two_replicas_that_relay_the_same_order_publish_it_once() {
    let infra = Infra::start().await;
    let app = connect(&infra).await;
    for _ in 0..20 {
        unpublished_order(&infra, &app).await;
    }
    let first = TestService::serve(app::service(connect(&infra).await, infra.verifier())).await;
    let second = TestService::serve(app::service(connect(&infra).await, infra.verifier())).await;
    testkit::eventually("all orders to be published", || async {
        (infra.bus().count(Stream::Orders, "order.>").await >= 20).then_some(())
    })
    .await;
    first.stop().await;
    second.stop().await;
    assert_eq!(infra.bus().count(Stream::Orders, "order.>").await, 20);
}
