//! `POST /api/tickets` under an `Idempotency-Key`.

use std::time::Duration;
use store::REQUESTS;
use store::RETENTION;

use bson::{Document, doc};
use common::events::TicketCreated;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Response};

use crate::world::{World, path};

const PATH: &str = "/api/tickets";
const ROUNDS: usize = 10;

fn body() -> Value {
    json!({ "title": "Motörhead", "price": "20.50" })
}

/// Ten identical concurrent requests.
async fn ten(client: &Client) -> Vec<Response> {
    join_all((0..10).map(|_| client.post(PATH, body()))).await
}

async fn tickets(world: &World) -> u64 {
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    tickets.count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn ten_identical_concurrent_requests_create_one_ticket_and_get_ten_identical_responses() {
    let world = World::start().await;
    let seller = world.client_as(&world.user());
    for round in 0..ROUNDS {
        let responses = ten(&seller.with_idempotency_key(&format!("round-{round}"))).await;
        responses[0].expect(201);
        for response in &responses {
            assert_eq!(response.stored_parts(), responses[0].stored_parts());
        }
        assert_eq!(tickets(&world).await, round as u64 + 1);
    }
    world.infra.bus().wait_for::<TicketCreated>(|_| true).await;
    testkit::eventually("all events to be published", || async {
        (world.infra.bus().published::<TicketCreated>().await.len() == ROUNDS).then_some(())
    })
    .await;
}

/// The control run: without the guard the same race creates more than one ticket.
#[tokio::test]
async fn without_the_unique_index_the_same_race_creates_more_than_one_ticket() {
    let world = World::start().await;
    let database = world.infra.database("tickets").await;
    database.collection::<Document>("tickets").drop_index(REQUESTS).await.unwrap();
    let seller = world.client_as(&world.user());
    for round in 0..ROUNDS {
        ten(&seller.with_idempotency_key(&format!("round-{round}"))).await;
        if tickets(&world).await > round as u64 + 1 {
            return;
        }
    }
    panic!("in {ROUNDS} rounds no ticket was created twice: the test has no race");
}

#[tokio::test]
async fn the_first_response_is_repeated_when_the_ticket_has_changed_since() {
    let world = World::start().await;
    let user = world.user();
    let (client, seller) =
        (world.client_as(&user).with_idempotency_key("1"), world.client_as(&user));
    let date = world.clock().now() + Duration::from_secs(60);
    let body = json!({ "title": "Motörhead", "price": "20.50", "date": date });
    let first = client.post(PATH, body.clone()).await;
    let ticket = first.expect(201);
    assert_eq!(first.header("location"), Some(path(&ticket).as_str()));
    assert_eq!(first.header("etag"), Some("\"1\""));

    let again = async || {
        let again = client.post(PATH, body.clone()).await;
        assert_eq!(again.stored_parts(), first.stored_parts());
        for header in ["content-type", "cache-control", "vary"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
    };
    again().await;
    seller.put(&path(&ticket), json!({ "title": "Girlschool", "price": 1 })).await.expect(200);
    again().await;
    seller.delete(&path(&ticket)).await.expect(204);
    again().await;
    // The same body would be refused by now, because its date has passed.
    world.clock().advance(Duration::from_secs(61));
    again().await;
    seller.post(PATH, body.clone()).await.problem(400, "invalid");
    assert_eq!(tickets(&world).await, 1);
}

#[tokio::test]
async fn a_key_identifies_one_request_of_one_user() {
    let world = World::start().await;
    let user = world.user();
    let client = world.client_as(&user).with_idempotency_key("1");
    let ticket = client.post(PATH, body()).await.expect(201);
    let other = json!({ "title": "Girlschool", "price": "20.50" });
    client.post(PATH, other.clone()).await.problem(422, "idempotency-key-reused");
    // The key is checked before the body is validated.
    client.post(PATH, json!({ "title": "" })).await.problem(422, "idempotency-key-reused");

    let someone = world.client_as(&world.user()).with_idempotency_key("1");
    let theirs = someone.post(PATH, body()).await.expect(201);
    assert_ne!(theirs["id"], ticket["id"]);
    assert_eq!(
        world.client_as(&user).with_idempotency_key("2").post(PATH, other).await.expect(201)["title"],
        "Girlschool"
    );
    assert_eq!(client.post(PATH, body()).await.expect(201), ticket);
}

#[tokio::test]
async fn without_a_key_each_request_creates_a_ticket() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    assert_ne!(
        client.post(PATH, body()).await.body["id"],
        client.post(PATH, body()).await.body["id"]
    );
    let with_requests = doc! { "requests": { "$exists": true } };
    let database = world.infra.database("tickets").await;
    let stored = database.collection::<Document>("tickets");
    assert_eq!(stored.count_documents(with_requests).await.unwrap(), 0);
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_nothing_is_created() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    for key in ["", "two words", "tab\there", &"x".repeat(256)] {
        client.with_idempotency_key(key).post(PATH, body()).await.problem(400, "malformed");
    }
    client
        .with_idempotency_key("1")
        .header("idempotency-key", "1")
        .post(PATH, body())
        .await
        .problem(400, "malformed");
    world
        .service
        .client()
        .with_idempotency_key("")
        .post(PATH, body())
        .await
        .problem(401, "not-signed-in");
    assert_eq!(tickets(&world).await, 0);
    client.with_idempotency_key(&"x".repeat(255)).post(PATH, body()).await.expect(201);
}

#[tokio::test]
async fn a_refusal_is_not_stored() {
    let world = World::start().await;
    let client = world.client_as(&world.user()).with_idempotency_key("1");
    for _ in 0..2 {
        client.post(PATH, json!({ "title": "" })).await.problem(400, "invalid");
    }
    client.post(PATH, body()).await.expect(201);
}

#[tokio::test]
async fn a_key_can_be_reused_after_a_day() {
    let world = World::start().await;
    let client = world.client_as(&world.user()).with_idempotency_key("1");
    let first = client.post(PATH, body()).await;
    world.clock().advance(RETENTION - Duration::from_millis(1));
    assert_eq!(client.post(PATH, body()).await.stored_parts(), first.stored_parts());
    world.clock().advance(Duration::from_millis(1));

    let responses = ten(&client).await;
    assert_ne!(responses[0].expect(201)["id"], first.body["id"]);
    for response in &responses {
        assert_eq!(response.stored_parts(), responses[0].stored_parts());
    }
    assert_eq!(tickets(&world).await, 2);
}
