//! Recovery after a restore: a ticket is locked for an order that is missing from the database.

use common::events::{OrderCancelled, PaymentCreated, Ticket, TicketUpdated};
use common::ids::OrderId;
use orders::domain::Order;
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, payment};

/// A ticket that is locked for an order that is missing.
async fn locked_for_missing_order(world: &World) -> Ticket {
    let order_id = OrderId::new(world.infra.clock.now());
    world.ticket().await.with_order(order_id).with_hold(5).with_version(7)
}

async fn publish(world: &World, ticket: &Ticket) {
    world.bus().publish_again(&TicketUpdated(ticket.clone())).await;
    world.settled().await;
    world.published().await;
}

/// The fencing numbers and tickets of the order's `order.cancelled` events.
async fn cancelled(world: &World, ticket: &Ticket) -> Vec<(i64, String)> {
    let all = world.bus().published::<OrderCancelled>().await.into_iter().map(|event| event.0);
    let of_it = all.filter(|event| Some(event.id) == ticket.order_id);
    of_it.map(|event| (event.hold, event.ticket.id.to_string())).collect()
}

#[tokio::test]
async fn an_orphaned_reservation_is_released_once_under_a_newer_fencing_number() {
    let world = World::start().await;
    let ticket = locked_for_missing_order(&world).await;
    for _ in 0..3 {
        publish(&world, &ticket).await;
    }
    assert_eq!(cancelled(&world, &ticket).await, [(6, ticket.id.to_string())]);
    assert_eq!(world.order(&ticket).await.hold(), 7);
    // A late duplicate doesn't take it from the buyer who has it now.
    publish(&world, &ticket).await;
    assert_eq!(cancelled(&world, &ticket).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_published_while_another_order_has_the_ticket() {
    let world = World::start().await;
    let ticket = locked_for_missing_order(&world).await;
    let other = world.order(&ticket).await;
    publish(&world, &ticket).await;
    assert!(cancelled(&world, &ticket).await.is_empty());
    world.cancel(&other).await;
    publish(&world, &ticket).await;
    assert_eq!(cancelled(&world, &ticket).await.len(), 1);
}

#[tokio::test]
async fn an_orphaned_charge_is_refunded_whichever_event_arrives_first() {
    let world = World::start().await;
    for charge_first in [true, false] {
        let ticket = locked_for_missing_order(&world).await;
        let id = ticket.order_id.unwrap();
        let order = Order { id, ..world.order(&world.ticket().await).await };
        let charge = PaymentCreated(payment(&order));
        if charge_first {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            publish(&world, &ticket).await;
        } else {
            publish(&world, &ticket).await;
        }
        for _ in 0..2 {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            publish(&world, &ticket).await;
        }
        assert_eq!(world.refunds_required(&order).await.len(), 1);
        assert_eq!(cancelled(&world, &ticket).await, [(6, ticket.id.to_string())]);
        let republished = world.infra.program("orders").run(&["republish"]).await;
        republished.expect_success();
        assert_eq!(cancelled(&world, &ticket).await.len(), 2);
        assert_eq!(world.refunds_required(&order).await.len(), 2);
    }
}
