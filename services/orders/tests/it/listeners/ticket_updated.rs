//! `ticket.updated`: the replica, and the lock confirmed.

use common::Money;
use common::events::{OrderStatus, Ticket, TicketUpdated};
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, locked};

#[tokio::test]
async fn an_update_that_is_older_than_what_is_known_does_not_undo_it() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for (version, price) in [(3, 3000), (2, 2000)] {
        let price = Money::from_minor(price);
        let update = ticket.clone().with_price(price).with_version(version);
        world.bus().publish(&TicketUpdated(update)).await;
        world.settled().await;
    }
    let order = world.order(&ticket).await;
    assert_eq!(order.ticket.listing.price, Money::from_minor(3000));
}

#[tokio::test]
async fn a_confirmed_lock_moves_the_order_to_awaiting_payment_once() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_lock(&ticket, &order).await;
    assert_eq!(world.stored(order.id).await.status, OrderStatus::AwaitingPayment);
    let later = Ticket { version: 3, ..locked(&ticket, &order) };
    world.bus().publish(&TicketUpdated(later)).await;
    world.settled().await;
    assert_eq!(world.told(&order).await, [("created", 1), ("updated", 2)]);
}

#[tokio::test]
async fn a_lock_of_another_hold_confirms_nothing() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    world.cancel(&world.order(&ticket).await).await;
    let order = world.order(&ticket).await;
    let stale = Ticket { hold: 1, ..locked(&ticket, &order) };
    world.bus().publish(&TicketUpdated(stale)).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await.status, OrderStatus::Created);
}

#[tokio::test]
async fn a_lock_that_is_confirmed_too_late_revives_nothing() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let cancelled = world.order(&ticket).await;
    world.cancel(&cancelled).await;
    let complete = world.order(&ticket).await;
    world.pay(&complete).await;
    let before = [world.stored(cancelled.id).await, world.stored(complete.id).await];
    for order in [&cancelled, &complete] {
        world.confirm_lock(&ticket, order).await;
    }
    assert_eq!([world.stored(cancelled.id).await, world.stored(complete.id).await], before);
}
