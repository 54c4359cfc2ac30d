//! What becomes of a ticket that is locked for an order which a restored database has lost.

use common::events::{OrderCancelled, PaymentCreated, Ticket, TicketUpdated};
use common::ids::OrderId;
use orders::domain::Order;
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, payment};

/// A ticket that tickets says is locked for an order that nobody here knows.
async fn locked_for_nobody(world: &World) -> Ticket {
    let order_id = OrderId::new(world.infra.clock.now());
    world.ticket().await.with_order(order_id).with_hold(5).with_version(7)
}

async fn tell(world: &World, ticket: &Ticket) {
    world.bus().publish_again(&TicketUpdated(ticket.clone())).await;
    world.settled().await;
    world.published().await;
}

/// What was said about the order.
async fn cancelled(world: &World, ticket: &Ticket) -> Vec<(i64, String)> {
    let all = world.bus().published::<OrderCancelled>().await.into_iter().map(|event| event.0);
    let of_it = all.filter(|event| Some(event.id) == ticket.order_id);
    of_it.map(|event| (event.hold, event.ticket.id.to_string())).collect()
}

#[tokio::test]
async fn it_is_free_again_told_once_and_under_a_newer_hold() {
    let world = World::start().await;
    let ticket = locked_for_nobody(&world).await;
    for _ in 0..3 {
        tell(&world, &ticket).await;
    }
    assert_eq!(cancelled(&world, &ticket).await, [(6, ticket.id.to_string())]);
    assert_eq!(world.order(&ticket).await.hold(), 7);
    // A late echo doesn't take it from the buyer who has it now.
    tell(&world, &ticket).await;
    assert_eq!(cancelled(&world, &ticket).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_said_while_somebody_else_has_it() {
    let world = World::start().await;
    let ticket = locked_for_nobody(&world).await;
    let other = world.order(&ticket).await;
    tell(&world, &ticket).await;
    assert!(cancelled(&world, &ticket).await.is_empty());
    world.cancel(&other).await;
    tell(&world, &ticket).await;
    assert_eq!(cancelled(&world, &ticket).await.len(), 1);
}

#[tokio::test]
async fn its_charge_is_given_back_whichever_is_heard_of_first() {
    let world = World::start().await;
    for charge_first in [true, false] {
        let ticket = locked_for_nobody(&world).await;
        let id = ticket.order_id.unwrap();
        let order = Order { id, ..world.order(&world.ticket().await).await };
        let charge = PaymentCreated(payment(&order));
        if charge_first {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            tell(&world, &ticket).await;
        } else {
            tell(&world, &ticket).await;
        }
        for _ in 0..2 {
            world.bus().publish_again(&charge).await;
            world.settled().await;
            tell(&world, &ticket).await;
        }
        assert_eq!(world.refunds_required(&order).await.len(), 1);
        assert_eq!(cancelled(&world, &ticket).await, [(6, ticket.id.to_string())]);
        let told = world.infra.program("orders").run(&["reannounce"]).await;
        told.expect_success();
        assert_eq!(cancelled(&world, &ticket).await.len(), 2);
        assert_eq!(world.refunds_required(&order).await.len(), 2);
    }
}
