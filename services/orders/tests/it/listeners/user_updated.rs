//! `user.updated` of a banned user: their orders end, or are refunded.

use std::time::Duration;

use common::events::{Ban, CancelReason, OrderStatus, RefundReason, User, UserStatus, UserUpdated};
use common::ids::UserId;
use orders::domain::Order;
use testkit::fixtures;

use crate::world::{World, payment};

fn user(world: &World, id: UserId, version: i64, ban: Option<bool>) -> User {
    let at = world.infra.clock.now();
    User {
        id,
        status: if ban.is_some() { UserStatus::Banned } else { UserStatus::Active },
        ban: ban.map(|refund| Ban { at, refund }),
        version,
        ..fixtures::user(at)
    }
}

/// Delivers it twice, so late that the second look is the first.
async fn deliver(world: &World, user: &User) {
    world.infra.clock.advance(Duration::from_secs(16));
    for _ in 0..2 {
        world.bus().publish_again(&UserUpdated(user.clone())).await;
        world.settled().await;
    }
}

async fn paid(world: &World) -> Order {
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    world.stored(order.id).await
}

#[tokio::test]
async fn unpaid_orders_of_a_banned_buyer_or_seller_end() {
    for banned in [0, 1] {
        let world = World::start().await;
        let parties = [world.buyer.id, world.seller.id];
        let unpaid = world.order(&world.ticket().await).await;
        let confirmed = world.order(&world.ticket().await).await;
        world.confirm_reserved(&confirmed).await;
        let (paid, ended) = (paid(&world).await, world.order(&world.ticket().await).await);
        world.cancel(&ended).await;
        deliver(&world, &user(&world, parties[banned], 2, Some(false))).await;
        for order in [&unpaid, &confirmed] {
            let stored = world.stored(order.id).await;
            assert_eq!(stored.cancel_reason, Some(CancelReason::Banned));
            assert!(!stored.occupies && !stored.unpaid);
        }
        assert_eq!(world.stored(paid.id).await, paid, "it is kept");
        assert_eq!(world.stored(ended.id).await.cancel_reason, Some(CancelReason::User));
        let events = world.events_of(&unpaid).await;
        assert_eq!(events.last().unwrap().0, "cancelled");
    }
}

#[tokio::test]
async fn paid_orders_are_refunded_once_if_that_is_wanted_unless_their_event_is_over() {
    let world = World::start().await;
    let undated = paid(&world).await;
    let dated = |seconds: u64| {
        let date = world.infra.clock.now() + Duration::from_secs(seconds);
        let mut ticket = world.unpublished_ticket();
        ticket.listing.date = Some(date);
        ticket
    };
    let (soon, later) = (dated(60), dated(3_600));
    let mut orders = Vec::new();
    for ticket in [&soon, &later] {
        world.publish_ticket(ticket).await;
        let order = world.order(ticket).await;
        world.pay(&order).await;
        orders.push(order);
    }
    world.infra.clock.advance(Duration::from_secs(61));
    deliver(&world, &user(&world, world.seller.id, 2, Some(true))).await;
    for order in [&undated, &orders[1]] {
        let stored = world.stored(order.id).await;
        assert_eq!(stored.status, OrderStatus::Complete, "until it is refunded");
        assert_eq!(stored.refund_required, Some(RefundReason::Banned));
        assert_eq!(world.refunds_required(order).await.len(), 1);
    }
    assert_eq!(world.stored(orders[0].id).await.refund_required, None);
}

/// The buyer had paid, but orders receives that only after the ban.
#[tokio::test]
async fn what_is_paid_after_the_end_is_released() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    deliver(&world, &user(&world, world.buyer.id, 2, Some(false))).await;
    world.bus().publish(&common::events::PaymentCreated(payment(&order))).await;
    world.settled().await;
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(CancelReason::Banned));
    assert_eq!(stored.refund_required, Some(RefundReason::OrderCancelled));
}

/// The newest state decides: a ban that was lifted, and arrives afterwards, ends nothing.
#[tokio::test]
async fn a_late_ban_ends_nothing() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    deliver(&world, &user(&world, world.buyer.id, 3, None)).await;
    deliver(&world, &user(&world, world.buyer.id, 2, Some(true))).await;
    assert!(world.stored(order.id).await.unpaid);
}

/// A request that had begun before: its order ends by the second look.
#[tokio::test]
async fn an_order_that_was_being_placed_ends_too() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let banned = user(&world, world.buyer.id, 2, Some(false));
    world.infra.clock.advance(Duration::from_secs(12));
    world.bus().publish(&UserUpdated(banned)).await;
    testkit::eventually("the first look", || async {
        let user = world.app.store.user(world.buyer.id).await.unwrap();
        user.filter(|user| user.ban.is_some())
    })
    .await;
    let order = world.order(&ticket).await;
    assert!(world.stored(order.id).await.unpaid);
    world.infra.clock.advance(Duration::from_secs(16));
    world.settled().await;
    assert_eq!(world.stored(order.id).await.cancel_reason, Some(CancelReason::Banned));
}
