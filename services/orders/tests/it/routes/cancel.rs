//! `DELETE /api/orders/{id}`.

use common::events::{
    CancelReason, OrderCancelled, OrderStatus, PaymentFailed, PaymentRefunded, TicketDeleted,
};

use crate::world::{World, failed, path, refund};

#[tokio::test]
async fn its_buyer_gives_an_order_up_and_may_say_so_twice() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for confirmed in [false, true] {
        let order = world.order(&ticket).await;
        if confirmed {
            world.confirm_lock(&ticket, &order).await;
        }
        for _ in 0..2 {
            let answer = world.client(&world.buyer).delete(&path(&order)).await;
            answer.expect(204);
            assert_eq!(answer.text, "");
        }
        let seen = world.seen(&order).await;
        assert_eq!(seen["status"], "cancelled");
        assert_eq!(seen["cancelReason"], "user");
        let event = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await.0;
        assert_eq!((event.hold, event.version), (order.hold(), seen["version"].as_i64().unwrap()));
        assert_eq!(event.cancel_reason, Some(CancelReason::User));
        let told = world.told(&order).await;
        assert_eq!(told.iter().filter(|(subject, _)| *subject == "cancelled").count(), 1);
    }
}

#[tokio::test]
async fn no_one_else_may_cancel_it_but_an_admin() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for user in [&world.seller, &world.infra.user()] {
        world.client(user).delete(&path(&order)).await.problem(403, "not-allowed");
    }
    assert_eq!(world.stored(order.id).await, order);
    world.client(&world.infra.admin()).delete(&path(&order)).await.expect(204);
}

#[tokio::test]
async fn what_is_paid_can_not_be_cancelled() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-complete");

    world.bus().publish(&PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-cancelled");
}

#[tokio::test]
async fn what_has_run_out_can_not_be_cancelled_whether_that_is_written_or_not() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.let_it_run_out();
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-expired");
    world.time_out(&order).await;
    assert_eq!(world.stored(order.id).await.status, OrderStatus::Cancelled);
    world.client(&world.buyer).delete(&path(&order)).await.problem(409, "order-expired");
}

#[tokio::test]
async fn what_ended_otherwise_can_not_be_cancelled() {
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
async fn it_is_cancelled_only_at_the_version_that_the_client_names() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_lock(&ticket, &order).await;
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
async fn an_order_that_is_not_there_can_not_be_cancelled() {
    let world = World::start().await;
    let id = common::ids::OrderId::new(world.infra.clock.now());
    let client = world.client(&world.buyer);
    client.delete(&format!("/api/orders/{id}")).await.problem(404, "not-found");
    client.get(&format!("/api/orders/{id}")).await.problem(404, "not-found");
}
