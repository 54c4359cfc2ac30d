//! `GET /api/orders/{id}`.

use common::Time;
use common::events::{PaymentRefunded, User, UserCreated};
use serde_json::json;
use testkit::TestUser;
use testkit::fixtures::{self, UserChanges as _};

use crate::world::{World, path};

#[tokio::test]
async fn only_its_buyer_its_seller_and_an_admin_see_an_order() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for user in [&world.buyer, &world.seller, &world.infra.admin()] {
        let response = world.client(user).get(&path(&order)).await;
        assert_eq!(response.expect(200)["id"], json!(order.id));
        assert_eq!(response.header("etag"), Some("\"1\""));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let other = world.client(&world.infra.user());
    other.get(&path(&order)).await.problem(403, "not-allowed");
}

#[tokio::test]
async fn an_order_shows_each_status_in_turn() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["version"]), (&json!("awaiting:payment"), &json!(2)));

    let payment = world.pay(&order).await;
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["version"]), (&json!("complete"), &json!(3)));
    assert_eq!(seen["paymentId"], json!(payment.id));
    assert!(seen.get("cancelReason").is_none());
    let response = world.client(&world.buyer).get(&path(&order)).await;
    assert_eq!(response.header("etag"), Some("\"3\""));
}

#[tokio::test]
async fn from_the_moment_of_expiry_readers_see_an_order_as_cancelled() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.infra.clock.advance(std::time::Duration::from_millis(899_999));
    assert_eq!(world.seen(&order).await["status"], "created");
    world.infra.clock.advance(std::time::Duration::from_millis(1));
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["cancelReason"]), (&json!("cancelled"), &json!("expired")));
    assert_eq!(world.stored(order.id).await, order, "the database doesn't record it yet");
}

#[tokio::test]
async fn a_paid_order_does_not_expire() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    world.advance_to_expiry();
    assert_eq!(world.seen(&order).await["status"], "complete");
}

#[tokio::test]
async fn only_buyer_and_seller_see_each_others_contact_details_once_the_order_is_paid() {
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
        assert_eq!(contact(user).await, None, "it is only reserved");
    }
    let payment = world.pay(&order).await;
    let sal = json!({ "email": "Sal@example.com", "name": "Sal" });
    let bo = json!({ "email": "Bo@example.com", "name": "Bo" });
    assert_eq!(contact(&world.buyer).await, Some(sal));
    assert_eq!(contact(&world.seller).await, Some(bo));
    assert_eq!(contact(&admin).await, None);

    world.bus().publish(&common::events::PaymentRefunded(crate::world::refund(&payment))).await;
    world.settled().await;
    assert_eq!(contact(&world.buyer).await, None, "the sale was refunded");
}

fn signed_up(user: &TestUser, name: &str, now: Time) -> User {
    let signed_up = fixtures::user(now).with_id(user.id).with_name(name.to_owned());
    signed_up.with_email(format!("{name}@example.com"))
}

#[tokio::test]
async fn a_paid_order_has_a_receipt_which_its_refund_does_not_take_away() {
    let world = World::start().await;
    let seller = signed_up(&world.seller, "Sal", world.infra.clock.now());
    world.bus().publish(&UserCreated(seller.clone())).await;
    let order = world.order(&world.ticket().await).await;
    world.settled().await;
    assert!(world.seen(&order).await.get("receipt").is_none());

    world.infra.clock.advance(std::time::Duration::from_secs(60));
    let payment = world.pay(&order).await;
    let paid_at = world.infra.clock.now();
    let receipt = json!({
        "number": common::display::receipt_number(order.id),
        "paidAt": paid_at,
        "seller": { "email": seller.email, "name": "Sal" },
    });
    for user in [&world.buyer, &world.seller] {
        let seen = world.client(user).get(&path(&order)).await.expect(200);
        assert_eq!(seen["receipt"], receipt);
    }
    world.infra.clock.advance(std::time::Duration::from_secs(60));
    world.bus().publish(&PaymentRefunded(fixtures::refund(&payment))).await;
    world.settled().await;
    let seen = world.seen(&order).await;
    assert_eq!((&seen["status"], &seen["receipt"]), (&json!("cancelled"), &receipt));
}

/// The account is from before the setting; or somebody has signed up with another's address, which its owner has disowned.
#[tokio::test]
async fn an_address_that_nobody_has_confirmed_is_not_shown_while_that_is_required() {
    for world in [World::start().await, World::with_verified_emails().await] {
        let is_required = world.app.require_verified_email;
        let buyer = signed_up(&world.buyer, "Bo", world.infra.clock.now());
        let seller = signed_up(&world.seller, "Sal", world.infra.clock.now());
        let seller = common::events::User { email_verified: false, ..seller };
        for user in [&buyer, &seller] {
            world.bus().publish(&UserCreated(user.clone())).await;
        }
        let order = world.order(&world.ticket().await).await;
        world.pay(&order).await;
        let seen = async |user| world.client(user).get(&path(&order)).await.expect(200);
        let of_seller = seen(&world.buyer).await;
        assert_eq!(of_seller.get("contact").is_some(), !is_required, "{of_seller}");
        assert_eq!(of_seller["receipt"].get("seller").is_some(), !is_required, "{of_seller}");
        assert!(seen(&world.seller).await.get("contact").is_some(), "the buyer's is confirmed");

        let closed = common::events::User {
            email: "closed:1".to_owned(),
            status: common::events::UserStatus::Closed,
            version: 2,
            ..buyer
        };
        world.bus().publish(&common::events::UserUpdated(closed)).await;
        world.settled().await;
        assert!(seen(&world.seller).await.get("contact").is_none());
    }
}
