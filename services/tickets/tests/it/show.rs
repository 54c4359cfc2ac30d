use std::time::Duration;

use serde_json::json;
use testkit::TestUser;

use crate::world::{World, path};

#[tokio::test]
async fn anyone_can_see_a_ticket() {
    let world = World::start().await;
    let ticket = world.default_ticket(&world.user()).await;
    let response = world.service.client().get(&path(&ticket)).await;
    assert_eq!(response.expect(200), ticket);
    assert_eq!(response.header("etag"), Some("\"1\""));
    assert_eq!(response.header("vary"), Some("Cookie, Authorization"));
    assert_eq!(response.header("cache-control"), Some("no-cache"));

    let signed_in = world.get(&world.user(), &ticket).await;
    assert_eq!(signed_in.expect(200), ticket);
    assert_eq!(signed_in.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_not_found() {
    let world = World::start().await;
    let client = world.service.client();
    let unknown = common::ids::TicketId::new(world.clock().now()).to_string();
    let capitals = unknown.to_uppercase();
    let ids =
        [unknown.as_str(), &capitals, "1", "%00", "null", "a%2Fb", "%FF", "..%2F", "%7B$gt:1%7D"];
    for id in ids {
        let response = client.get(&format!("/api/tickets/{id}")).await;
        response.problem(404, "not-found");
        assert_eq!(response.header("vary"), Some("Cookie, Authorization"));
    }
}

#[tokio::test]
async fn an_order_id_is_shown_to_its_buyer_the_seller_and_admins_only() {
    let world = World::start().await;
    let (seller, buyer, other) = (world.user(), world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    let order_of =
        async |user: &TestUser| world.get(user, &ticket).await.expect(200)["orderId"].clone();
    let admin = world.infra.admin();

    for state in [order.created(1), order.completed(2)] {
        world.deliver(&state).await;
        for user in [&seller, &buyer, &admin] {
            assert_eq!(order_of(user).await, order.id());
        }
        assert_eq!(order_of(&other).await, json!(null));
        let anyone = world.service.client().get(&path(&ticket)).await.expect(200);
        assert_eq!(anyone["orderId"], json!(null));
    }
}

#[tokio::test]
async fn a_ticket_is_reserved_until_its_reservation_expires_and_available_from_then_on() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let until = world.clock().now() + Duration::from_secs(900);
    world.deliver(&world.order(&buyer, &ticket).created(1)).await;

    let reserved = world.get(&buyer, &ticket).await.expect(200);
    assert_eq!(
        (&reserved["status"], &reserved["reservedUntil"]),
        (&json!("reserved"), &json!(until))
    );
    assert_eq!(reserved["version"], 2);

    world.clock().advance(Duration::from_millis(899_999));
    assert_eq!(world.get(&buyer, &ticket).await.expect(200)["status"], "reserved");
    world.clock().advance(Duration::from_millis(1));
    let free = world.get(&buyer, &ticket).await.expect(200);
    assert_eq!(free["status"], "available");
    assert_eq!((free.get("reservedUntil"), free.get("orderId")), (None, None));
}

#[tokio::test]
async fn a_copy_of_the_current_version_is_not_sent_again() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let get = async |client: testkit::Client, seen: &str| {
        client.header("if-none-match", seen).get(&path(&ticket)).await
    };
    let anyone = || world.service.client();
    for seen in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let response = get(anyone(), seen).await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (304, ""), "{seen}");
        assert_eq!(response.header("etag"), Some("\"1\""));
        assert_eq!(response.header("vary"), Some("Cookie, Authorization"));
        assert_eq!(response.header("cache-control"), Some("no-cache"));
    }
    for seen in ["\"2\"", "1", "", "\"11\""] {
        assert_eq!(get(anyone(), seen).await.expect(200), ticket, "{seen}");
    }

    // The order is personal, and a reservation that has expired has no new version yet.
    world.deliver(&world.order(&buyer, &ticket).created(1)).await;
    assert_eq!(get(anyone(), "\"2\"").await.status, 304);
    assert_eq!(get(world.client_as(&buyer), "\"2\"").await.expect(200)["status"], "reserved");
    world.clock().advance(Duration::from_secs(900));
    assert_eq!(get(anyone(), "\"2\"").await.expect(200)["status"], "available");
}
