//! `ticket.deleted`: an unpaid order ends, and a paid one requires a refund.

use common::events::{
    CancelReason, OrderStatus, PaymentRefunded, RefundReason, Ticket, TicketDeleted, TicketUpdated,
};
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, refund};

async fn delete(world: &World, ticket: &Ticket, version: i64) {
    let deleted = ticket.clone().with_version(version);
    world.bus().publish(&TicketDeleted(deleted)).await;
    world.settled().await;
}

#[tokio::test]
async fn a_deleted_ticket_can_not_be_ordered_despite_late_events() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    delete(&world, &ticket, 3).await;
    world.try_to_order(&world.buyer, ticket.id).await.problem(404, "not-found");
    world.bus().publish(&TicketUpdated(ticket.clone().with_version(2))).await;
    world.settled().await;
    world.try_to_order(&world.buyer, ticket.id).await.problem(404, "not-found");

    // Its deletion may be its first event to arrive.
    let other = world.unpublished_ticket();
    delete(&world, &other, 2).await;
    world.publish_ticket(&other).await;
    world.try_to_order(&world.buyer, other.id).await.problem(404, "not-found");
}

#[tokio::test]
async fn an_unpaid_order_is_cancelled() {
    let world = World::start().await;
    for confirmed in [false, true] {
        let ticket = world.ticket().await;
        let order = world.order(&ticket).await;
        if confirmed {
            world.confirm_reserved(&order).await;
        }
        delete(&world, &ticket, 3).await;
        let stored = world.stored(order.id).await;
        assert_eq!(stored.cancel_reason, Some(CancelReason::TicketDeleted));
        assert!(!stored.occupies);
        assert_eq!(stored.refund_required, None);
    }
}

#[tokio::test]
async fn a_paid_order_is_refunded_once() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let payment = world.pay(&order).await;
    // tickets publishes the deletion again, in a new version, when it receives the sale.
    for version in [2, 3] {
        delete(&world, &ticket, version).await;
        let stored = world.stored(order.id).await;
        assert_eq!(stored.status, OrderStatus::Complete, "until it is refunded");
    }
    let refunds = world.refunds_required(&order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].payment_id, refunds[0].why), (payment.id, RefundReason::TicketDeleted));

    world.bus().publish(&PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await.cancel_reason, Some(CancelReason::Refunded));
    delete(&world, &ticket, 4).await;
    assert_eq!(
        world.events_of(&order).await,
        [("created", 1), ("completed", 2), ("refund_required", 3), ("cancelled", 4)]
    );
}

/// The order was inserted by a replica of orders that had not received the deletion.
#[tokio::test]
async fn an_order_concurrent_with_the_deletion_ends_when_that_is_republished() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let tombstone = Ticket { version: 2, ..ticket.clone() };
    let tombstone = orders::domain::TicketReplica::of(&tombstone, true);
    world.app.store.apply_ticket(&tombstone).await.unwrap();
    assert_eq!(world.stored(order.id).await.status, OrderStatus::Created);

    delete(&world, &ticket, 3).await;
    assert_eq!(world.stored(order.id).await.cancel_reason, Some(CancelReason::TicketDeleted));
}
