//! Recovery after a restore: places are reserved in tickets for an order that is missing from the database.

use common::events::{OrderCancelled, PaymentCreated, Reserved, Ticket, TicketReserved};
use common::ids::OrderId;
use orders::domain::Order;
use store::RESTORE_VERSION_OFFSET;

use crate::world::{World, payment};

/// A place of the ticket is reserved for an order that is missing.
fn reserved_for_missing_order(world: &World, ticket: &Ticket) -> Reserved {
    let order_id = OrderId::new(world.infra.clock.now());
    Reserved { order_id, ticket_id: ticket.id, version: 1 }
}

async fn publish(world: &World, reserved: &Reserved) {
    world.bus().publish_again(&TicketReserved(reserved.clone())).await;
    world.settled().await;
    world.published().await;
}

/// The versions and tickets of the order's `order.cancelled` events.
async fn cancelled(world: &World, order: OrderId) -> Vec<(i64, String)> {
    let all = world.bus().published::<OrderCancelled>().await.into_iter().map(|event| event.0);
    let of_it = all.filter(|event| event.id == order && !event.occupies);
    of_it.map(|event| (event.version, event.ticket.id.to_string())).collect()
}

#[tokio::test]
async fn an_orphaned_reservation_is_released_once_in_a_newer_version() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let reserved = reserved_for_missing_order(&world, &ticket);
    for _ in 0..3 {
        publish(&world, &reserved).await;
    }
    let ended = [(RESTORE_VERSION_OFFSET + 1, ticket.id.to_string())];
    assert_eq!(cancelled(&world, reserved.order_id).await, ended);
    // A late duplicate doesn't take the place from the buyer who has it now.
    let holder = world.order(&ticket).await;
    publish(&world, &reserved).await;
    assert_eq!(cancelled(&world, reserved.order_id).await, ended);
    assert_eq!(world.stored(holder.id).await, holder);
}

#[tokio::test]
async fn it_is_released_whoever_has_the_place_by_now() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let other = world.order(&ticket).await;
    let reserved = reserved_for_missing_order(&world, &ticket);
    publish(&world, &reserved).await;
    assert_eq!(cancelled(&world, reserved.order_id).await.len(), 1);
    assert_eq!(world.stored(other.id).await, other);
}

#[tokio::test]
async fn an_orphaned_charge_is_refunded_whichever_event_arrives_first() {
    let world = World::start().await;
    for charge_first in [true, false] {
        let ticket = world.ticket().await;
        let reserved = reserved_for_missing_order(&world, &ticket);
        let id = reserved.order_id;
        let order = Order { id, ..world.order(&world.ticket().await).await };
        let charge = PaymentCreated(payment(&order));
        if charge_first {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            publish(&world, &reserved).await;
        } else {
            publish(&world, &reserved).await;
        }
        for _ in 0..2 {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            publish(&world, &reserved).await;
        }
        assert_eq!(world.refunds_required(&order).await.len(), 1);
        let released = cancelled(&world, id).await;
        assert_eq!(released.len(), 1);
        assert_eq!(released[0].1, ticket.id.to_string());
        let republished = world.infra.program("orders").run(&["republish"]).await;
        republished.expect_success();
        assert_eq!(cancelled(&world, id).await.len(), 2);
        assert_eq!(world.refunds_required(&order).await.len(), 2);
    }
}
