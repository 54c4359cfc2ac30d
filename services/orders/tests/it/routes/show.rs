//! `GET /api/orders/{id}`.

use serde_json::json;

use crate::world::{World, path};

#[tokio::test]
async fn an_order_is_seen_by_its_buyer_its_tickets_seller_and_an_admin_and_by_no_one_else() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for user in [&world.buyer, &world.seller, &world.infra.admin()] {
        let answer = world.client(user).get(&path(&order)).await;
        assert_eq!(answer.expect(200)["id"], json!(order.id));
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let other = world.client(&world.infra.user());
    other.get(&path(&order)).await.problem(403, "not-allowed");
}

#[tokio::test]
async fn an_order_is_followed_through_its_life() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_lock(&ticket, &order).await;
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["version"]), (&json!("awaiting:payment"), &json!(2)));

    let payment = world.pay(&order).await;
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["version"]), (&json!("complete"), &json!(3)));
    assert_eq!(seen["paymentId"], json!(payment.id));
    assert!(seen.get("cancelReason").is_none());
    let answer = world.client(&world.buyer).get(&path(&order)).await;
    assert_eq!(answer.header("etag"), Some("\"3\""));
}

#[tokio::test]
async fn from_the_second_when_its_time_has_run_out_an_order_is_cancelled_for_its_readers() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.infra.clock.advance(std::time::Duration::from_millis(899_999));
    assert_eq!(world.seen(&order).await["status"], "created");
    world.infra.clock.advance(std::time::Duration::from_millis(1));
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["cancelReason"]), (&json!("cancelled"), &json!("expired")));
    assert_eq!(world.stored(order.id).await, order, "nobody has written that down");
}

#[tokio::test]
async fn what_is_paid_does_not_run_out() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    world.let_it_run_out();
    assert_eq!(world.seen(&order).await["status"], "complete");
}
