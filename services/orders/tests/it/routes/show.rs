//! `GET /api/orders/{id}`.

use common::Time;
use common::events::{User, UserCreated};
use serde_json::json;
use testkit::TestUser;
use testkit::fixtures::{self, UserChanges as _};

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

#[tokio::test]
async fn buyer_and_seller_reach_each_other_once_it_is_paid_and_nobody_else_does() {
    let world = World::start().await;
    let admin = world.infra.admin();
    for (user, name) in [(&world.buyer, "Bo"), (&world.seller, "Sal")] {
        world.bus().publish(&UserCreated(signed_up(user, name, world.infra.clock.now()))).await;
    }
    let order = world.order(&world.ticket().await).await;
    let contact = async |user| {
        let seen = world.client(user).get(&path(&order)).await.expect(200);
        seen.get("contact").cloned()
    };
    world.settled().await;
    for user in [&world.buyer, &world.seller, &admin] {
        assert_eq!(contact(user).await, None, "it is only held");
    }
    let payment = world.pay(&order).await;
    let sal = json!({ "email": "Sal@example.com", "name": "Sal" });
    let bo = json!({ "email": "Bo@example.com", "name": "Bo" });
    assert_eq!(contact(&world.buyer).await, Some(sal));
    assert_eq!(contact(&world.seller).await, Some(bo));
    assert_eq!(contact(&admin).await, None);

    world.bus().publish(&common::events::PaymentRefunded(crate::world::refund(&payment))).await;
    world.settled().await;
    assert_eq!(contact(&world.buyer).await, None, "the sale was undone");
}

fn signed_up(user: &TestUser, name: &str, now: Time) -> User {
    let signed_up = fixtures::user(now).with_id(user.id).with_name(name.to_owned());
    signed_up.with_email(format!("{name}@example.com"))
}
