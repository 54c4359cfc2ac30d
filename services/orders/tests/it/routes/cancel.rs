//! `DELETE /api/orders/{id}`.

use common::events::{
    CancelReason, OrderCancelled, OrderStatus, PaymentFailed, PaymentRefunded, TicketDeleted,
};

use crate::world::{World, failed, path, refund};

#[tokio::test]
async fn its_buyer_cancels_an_order_and_may_repeat_that() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for confirmed in [false, true] {
        let order = world.order(&ticket).await;
        if confirmed {
            world.confirm_reserved(&order).await;
        }
        for _ in 0..2 {
            let response = world.client(&world.buyer).delete(&path(&order)).await;
            response.expect(204);
            assert_eq!(response.text, "");
        }
        let seen = world.seen(&order).await;
        assert_eq!(seen["status"], "cancelled");
        assert_eq!(seen["cancelReason"], "user");
        let event = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await.0;
        assert_eq!(event.version, seen["version"].as_i64().unwrap());
        assert_eq!(event.cancel_reason, Some(CancelReason::User));
        let published = world.events_of(&order).await;
        assert_eq!(published.iter().filter(|(subject, _)| *subject == "cancelled").count(), 1);
    }
}

#[tokio::test]
async fn only_its_buyer_and_an_admin_may_cancel_an_order() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for user in [&world.seller, &world.infra.user()] {
        world.client(user).delete(&path(&order)).await.problem(403, "not-allowed");
    }
    assert_eq!(world.stored(order.id).await, order);
    world.client(&world.infra.admin()).delete(&path(&order)).await.expect(204);
}

#[tokio::test]
async fn a_paid_order_can_not_be_cancelled() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-complete");

    world.bus().publish(&PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-cancelled");
}

#[tokio::test]
async fn an_expired_order_can_not_be_cancelled_whether_that_is_recorded_or_not() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.advance_to_expiry();
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-expired");
    world.publish_expiration(&order).await;
    assert_eq!(world.stored(order.id).await.status, OrderStatus::Cancelled);
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-expired");
}

#[tokio::test]
async fn an_order_that_was_cancelled_for_another_reason_can_not_be_cancelled() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.bus().publish(&PaymentFailed(failed(&order, 3, true))).await;
    world.settled().await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-cancelled");

    let mut ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    ticket.version = 2;
    world.bus().publish(&TicketDeleted(ticket)).await;
    world.settled().await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-cancelled");
}

#[tokio::test]
async fn an_order_is_cancelled_only_at_the_version_in_if_match() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    for stale in ["\"1\"", "\"3\"", "2", "W/\"2\"", "\"\"", "\"1\", \"3\""] {
        let client = world.client(&world.buyer).header("if-match", stale);
        client.delete(&path(&order)).await.problem(412, "precondition-failed");
    }
    let client = world.client(&world.buyer).header("if-match", "\"1\", \"2\"");
    client.delete(&path(&order)).await.expect(204);

    let order = world.order(&ticket).await;
    let client = world.client(&world.buyer).header("if-match", "*");
    client.delete(&path(&order)).await.expect(204);
}

#[tokio::test]
async fn a_missing_order_can_not_be_cancelled() {
    let world = World::start().await;
    let id = common::ids::OrderId::new(world.infra.clock.now());
    let client = world.client(&world.buyer);
    client.delete(&format!("/api/orders/{id}")).await.problem(404, "not-found");
    client.get(&format!("/api/orders/{id}")).await.problem(404, "not-found");
}
