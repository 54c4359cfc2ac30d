use std::time::Duration;

use common::events::TicketUpdated;
use serde_json::{Value, json};
use testkit::{Client, Method, Response};

use crate::world::{World, path};

fn new_content() -> Value {
    json!({ "title": "Hawkwind", "price": "30" })
}

async fn put_if(client: &Client, ticket: &Value, seen: &str, body: Value) -> Response {
    client.request(Method::PUT, &path(ticket)).header("if-match", seen).json(body).send().await
}

#[tokio::test]
async fn an_edit_replaces_everything_and_clears_what_is_omitted() {
    let world = World::start().await;
    let seller = world.user();
    let date = world.clock().now() + Duration::from_secs(3600);
    let ticket = world
        .list_ticket(
            &seller,
            json!({ "title": "x", "price": 1, "description": "d", "date": date, "venue": "v",
                    "timeZone": "Europe/Berlin" }),
        )
        .await;
    let response = world.client_as(&seller).put(&path(&ticket), new_content()).await;
    let edited = response.expect(200);
    assert_eq!(
        edited,
        json!({
            "id": ticket["id"], "title": "Hawkwind", "price": "30.00", "currency": "usd",
            "timeZone": "UTC", "userId": seller.id, "status": "available", "version": 2,
            "createdAt": ticket["createdAt"],
            "quantity": 1, "available": 1, "reserved": 0, "sold": 0, "maxPerOrder": 10,
            "soldTogether": false, "delivery": "seller_delivers",
        })
    );
    assert_eq!(response.header("etag"), Some("\"2\""));
    assert_eq!(world.get(&seller, &ticket).await.expect(200), edited);

    let event = world.infra.bus().wait_for::<TicketUpdated>(|_| true).await.0;
    assert_eq!(
        (event.listing.title.as_str(), event.listing.price.minor(), event.version),
        ("Hawkwind", 3000, 2)
    );
    assert_eq!((event.listing.date, event.listing.venue), (None, None));

    let search = |q: &str| {
        let (client, path) = (world.service.client(), format!("/api/tickets?q={q}"));
        async move { client.get(&path).await.expect(200)["tickets"].as_array().unwrap().len() }
    };
    assert_eq!(
        (search("hawk").await, search("x").await),
        (1, 0),
        "searches find it by its new title"
    );
}

#[tokio::test]
async fn refusals_have_a_fixed_precedence() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    let wrong = json!({ "title": 7 });

    // Each of these would be refused by the checks that follow, too.
    let unknown = format!("/api/tickets/{}", common::ids::TicketId::new(world.clock().now()));
    world.service.client().put(&unknown, wrong.clone()).await.problem(401, "not-signed-in");
    world.client_as(&buyer).put(&unknown, wrong.clone()).await.problem(404, "not-found");
    world.client_as(&buyer).put("/api/tickets/1", wrong.clone()).await.problem(404, "not-found");
    let theirs = put_if(&world.client_as(&buyer), &ticket, "\"1\"", wrong.clone()).await;
    theirs.problem(403, "not-allowed");
    let stale = put_if(&world.client_as(&seller), &ticket, "\"1\"", wrong.clone()).await;
    stale.problem(412, "precondition-failed");
    let reserved = world.client_as(&seller).put(&path(&ticket), wrong.clone()).await;
    reserved.problem(409, "ticket-reserved");
    world.deliver(&order.cancelled(2)).await;
    let free = world.client_as(&seller).put(&path(&ticket), wrong).await;
    assert_eq!(free.invalid_fields(), ["title"]);
}

#[tokio::test]
async fn a_body_is_validated_like_that_of_a_new_ticket() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let client = world.client_as(&seller);
    let response = client.put(&path(&ticket), json!({ "price": "0.49", "venue": "a\nb" })).await;
    assert_eq!(response.invalid_fields(), ["price", "title", "venue"]);
    let request = || client.request(Method::PUT, &path(&ticket));
    request().send().await.problem(415, "unsupported-media-type");
    let broken = request().header("content-type", "application/json").body("{").send().await;
    broken.problem(400, "malformed");
    assert_eq!(world.get(&seller, &ticket).await.expect(200), ticket);
}

#[tokio::test]
async fn an_expired_reservation_prevents_changes_until_its_order_ends() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    world.clock().advance(Duration::from_secs(901));
    let client = world.client_as(&seller);
    client.put(&path(&ticket), new_content()).await.problem(409, "ticket-reserved");

    world.deliver(&order.completed(2)).await;
    client.put(&path(&ticket), new_content()).await.problem(409, "ticket-sold");
    world.deliver(&order.cancelled(3)).await;
    client.put(&path(&ticket), new_content()).await.expect(200);
}

#[tokio::test]
async fn an_admin_may_edit_and_the_seller_stays_the_same() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let admin = world.client_as(&world.infra.admin());
    let edited = admin.put(&path(&ticket), new_content()).await.expect(200);
    assert_eq!(edited["userId"], json!(seller.id));
}

#[tokio::test]
async fn of_concurrent_edits_of_one_version_exactly_one_succeeds() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let client = world.client_as(&seller);
    let all = (0..12).map(|_| put_if(&client, &ticket, "\"1\"", new_content()));
    let responses = futures::future::join_all(all).await;
    let count = |status: u16| responses.iter().filter(|response| response.status == status).count();
    assert_eq!((count(200), count(412)), (1, 11));
    assert_eq!(world.get(&seller, &ticket).await.expect(200)["version"], 2);
    put_if(&client, &ticket, "\"1\", \"2\"", new_content()).await.expect(200);
    put_if(&client, &ticket, "*", new_content()).await.expect(200);
    put_if(&client, &ticket, "W/\"4\"", new_content()).await.problem(412, "precondition-failed");
}

#[tokio::test]
async fn concurrent_edits_without_if_match_all_succeed_and_are_all_published() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let client = world.client_as(&seller);
    let edits =
        (0..8).map(|_| async { client.put(&path(&ticket), new_content()).await.expect(200) });
    let mut versions: Vec<i64> = futures::future::join_all(edits)
        .await
        .iter()
        .map(|ticket| ticket["version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=9).collect::<Vec<_>>());

    world.infra.bus().wait_for::<TicketUpdated>(|event| event.0.version == 9).await;
    let published = world.infra.bus().published::<TicketUpdated>().await;
    assert_eq!(published.iter().map(|event| event.0.version).collect::<Vec<_>>(), versions);
}

#[tokio::test]
async fn a_typo_can_be_corrected_after_the_event_has_begun() {
    let world = World::start().await;
    let seller = world.user();
    let date = world.clock().now() + Duration::from_secs(3600);
    let body = |title: &str, date| json!({ "title": title, "price": 1, "date": date });
    let ticket = world.list_ticket(&seller, body("Rusalak", date)).await;
    world.clock().advance(Duration::from_secs(3700));
    let client = world.client_as(&seller);
    let edited = client.put(&path(&ticket), body("Rusalka", date)).await.expect(200);
    assert_eq!((&edited["title"], &edited["date"]), (&json!("Rusalka"), &ticket["date"]));
    let moved = client.put(&path(&ticket), body("Rusalka", date + Duration::from_secs(1))).await;
    assert_eq!(moved.invalid_fields(), ["date"], "another date is judged");
}
