//! `ticket.reserved`: the order may await its payment.

use common::events::OrderStatus;

use orders::listeners::confirm_all_reserved;

use crate::world::{World, reserved};

#[tokio::test]
async fn a_confirmed_reservation_moves_the_order_to_awaiting_payment_once() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for _ in 0..2 {
        world.bus().publish_again(&reserved(&order)).await;
        world.settled().await;
        let stored = world.stored(order.id).await;
        assert_eq!((stored.status, stored.version), (OrderStatus::AwaitingPayment, 2));
    }
    // No service needs to know.
    assert_eq!(world.events_of(&order).await, [("created", 1)]);
}

#[tokio::test]
async fn a_late_confirmation_does_not_revive_an_order() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let cancelled = world.order(&ticket).await;
    world.cancel(&cancelled).await;
    let complete = world.order(&ticket).await;
    world.pay(&complete).await;
    let before = [world.stored(cancelled.id).await, world.stored(complete.id).await];
    for order in [&cancelled, &complete] {
        world.confirm_reserved(order).await;
    }
    assert_eq!([world.stored(cancelled.id).await, world.stored(complete.id).await], before);
}

#[tokio::test]
async fn several_confirmations_move_their_orders_together_unless_one_is_not_awaited() {
    let world = World::start().await;
    let ticket = world.listing_of(10).await;
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(world.order_as(&world.infra.user(), &ticket).await);
    }
    let all: Vec<_> = orders.iter().map(|order| reserved(order).0).collect();
    let [first, .., last] = &all[..] else { unreachable!("there are four") };
    let confirm = |batch: &[_]| confirm_all_reserved(world.app.clone(), batch.to_vec());
    confirm(&[first.clone(), first.clone()]).await.unwrap();
    // Each of them is then handled alone.
    confirm(&all).await.unwrap_err();
    for order in &orders {
        let stored = world.stored(order.id).await;
        assert_eq!((stored.status, stored.version), (OrderStatus::AwaitingPayment, 2));
    }
    confirm(std::slice::from_ref(last)).await.unwrap_err();
    assert_eq!(world.stored(last.order_id).await.version, 2);
}
