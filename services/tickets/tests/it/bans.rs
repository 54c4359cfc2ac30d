//! `user.updated` of a banned seller: their listings go off sale, and back when the ban is lifted.

use std::time::Duration;

use common::events::{Ban, TicketUpdated, User, UserStatus, UserUpdated};
use serde_json::{Value, json};
use testkit::{TestUser, fixtures};

use crate::world::World;

fn user(world: &World, seller: &TestUser, version: i64, is_banned: bool) -> User {
    let at = world.clock().now();
    User {
        id: seller.id,
        status: if is_banned { UserStatus::Banned } else { UserStatus::Active },
        ban: is_banned.then_some(Ban { at, refund: false }),
        version,
        ..fixtures::user(at)
    }
}

/// Delivers it twice, so late that the second look is the first.
async fn deliver(world: &World, user: &User) {
    world.clock().advance(Duration::from_secs(16));
    for _ in 0..2 {
        world.infra.bus().publish_again(&UserUpdated(user.clone())).await;
        world.infra.bus().settled("tickets").await;
    }
}

async fn status(world: &World, ticket: &Value) -> Value {
    let shown = world.service.client().get(&format!("/api/tickets/{}", id(ticket))).await;
    shown.expect(200)["status"].clone()
}

async fn on_sale(world: &World) -> Vec<Value> {
    let list = world.service.client().get("/api/tickets?limit=100").await.expect(200);
    list["tickets"].as_array().unwrap().iter().map(|ticket| ticket["id"].clone()).collect()
}

fn id(ticket: &Value) -> &str {
    ticket["id"].as_str().unwrap()
}

#[tokio::test]
async fn the_listings_of_a_banned_seller_are_off_sale_until_the_ban_is_lifted() {
    let world = World::start().await;
    let (seller, other) = (world.user(), world.user());
    let one = world.default_ticket(&seller).await;
    let many = world.listing_of(&seller, 5).await;
    let others = world.default_ticket(&other).await;
    let closed = json!({ "title": "Closed", "price": "20.50", "closed": true });
    let closed = world.list_ticket(&seller, closed).await;

    deliver(&world, &user(&world, &seller, 2, true)).await;
    for ticket in [&one, &many, &closed] {
        assert_eq!(status(&world, ticket).await, "closed");
    }
    assert_eq!(on_sale(&world).await, [others["id"].clone()]);
    let events = world.infra.bus().published::<TicketUpdated>().await;
    assert_eq!(events.len(), 3, "once each");
    assert!(events.iter().all(|event| event.0.listing.closed), "orders takes no orders");

    deliver(&world, &user(&world, &seller, 3, false)).await;
    assert_eq!(status(&world, &one).await, "available");
    assert_eq!(status(&world, &closed).await, "closed", "its seller has closed it");
    assert_eq!(on_sale(&world).await.len(), 3);

    // Late: it was lifted.
    deliver(&world, &user(&world, &seller, 2, true)).await;
    assert_eq!(status(&world, &one).await, "available");
}

/// A request that had begun before: its listing is off sale by the second look.
#[tokio::test]
async fn a_listing_that_was_being_created_goes_off_sale_too() {
    let world = World::start().await;
    let seller = world.user();
    let first = world.default_ticket(&seller).await;
    let banned = user(&world, &seller, 2, true);
    world.clock().advance(Duration::from_secs(12));
    world.infra.bus().publish(&UserUpdated(banned)).await;
    testkit::eventually("the first look", || async {
        (status(&world, &first).await == "closed").then_some(())
    })
    .await;
    let second = world.default_ticket(&seller).await;
    assert_eq!(status(&world, &second).await, "available");
    world.clock().advance(Duration::from_secs(4));
    world.infra.bus().settled("tickets").await;
    assert_eq!(status(&world, &second).await, "closed");
}

/// What has been sold stays sold; what is edited stays off sale.
#[tokio::test]
async fn a_suspended_listing_that_changes_stays_off_sale() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.listing_of(&seller, 2).await;
    deliver(&world, &user(&world, &seller, 2, true)).await;
    let admin = world.client_as(&world.infra.admin());
    let body = json!({ "title": "Edited", "price": "21", "closed": false });
    let path = format!("/api/tickets/{}", id(&ticket));
    assert_eq!(admin.put(&path, body).await.expect(200)["status"], "closed");
    let order = world.order(&world.user(), &ticket);
    world.deliver(&order.created(1)).await;
    world.deliver(&order.completed(2)).await;
    let shown = world.shows(&ticket, [1, 0, 1]).await;
    assert_eq!(shown["status"], "closed");
}
