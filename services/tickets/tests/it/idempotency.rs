//! `POST /api/tickets` under an `Idempotency-Key`.

use std::time::Duration;
use store::REQUESTS;
use store::RETENTION;

use bson::{Document, doc};
use common::events::TicketCreated;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Response};

use crate::market::{Market, path};

const PATH: &str = "/api/tickets";
const ROUNDS: usize = 10;

fn body() -> Value {
    json!({ "title": "Motörhead", "price": "20.50" })
}

/// Ten equal requests at once.
async fn ten(client: &Client) -> Vec<Response> {
    join_all((0..10).map(|_| client.post(PATH, body()))).await
}

async fn tickets(market: &Market) -> u64 {
    let tickets = market.infra.database("tickets").await.collection::<Document>("tickets");
    tickets.count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn ten_equal_offers_at_once_are_one_ticket_and_ten_equal_answers() {
    let market = Market::open().await;
    let seller = market.client_as(&market.user());
    for round in 0..ROUNDS {
        let answers = ten(&seller.with_idempotency_key(&format!("round-{round}"))).await;
        answers[0].expect(201);
        for answer in &answers {
            assert_eq!(answer.stored_parts(), answers[0].stored_parts());
        }
        assert_eq!(tickets(&market).await, round as u64 + 1);
    }
    market.infra.bus().wait_for::<TicketCreated>(|_| true).await;
    testkit::eventually("all to be told", || async {
        (market.infra.bus().published::<TicketCreated>().await.len() == ROUNDS).then_some(())
    })
    .await;
}

/// The control run: without the guard the same race offers the ticket more than once.
#[tokio::test]
async fn without_the_unique_index_the_same_race_offers_more_than_one_ticket() {
    let market = Market::open().await;
    let database = market.infra.database("tickets").await;
    database.collection::<Document>("tickets").drop_index(REQUESTS).await.unwrap();
    let seller = market.client_as(&market.user());
    for round in 0..ROUNDS {
        ten(&seller.with_idempotency_key(&format!("round-{round}"))).await;
        if tickets(&market).await > round as u64 + 1 {
            return;
        }
    }
    panic!("in {ROUNDS} rounds no ticket was offered twice: the race is none");
}

#[tokio::test]
async fn the_first_answer_is_given_again_when_the_ticket_has_moved_on() {
    let market = Market::open().await;
    let user = market.user();
    let (client, seller) =
        (market.client_as(&user).with_idempotency_key("1"), market.client_as(&user));
    let date = market.clock().now() + Duration::from_secs(60);
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
    // The same body would be refused by now, as its date has passed.
    market.clock().advance(Duration::from_secs(61));
    again().await;
    seller.post(PATH, body.clone()).await.problem(400, "invalid");
    assert_eq!(tickets(&market).await, 1);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user() {
    let market = Market::open().await;
    let user = market.user();
    let client = market.client_as(&user).with_idempotency_key("1");
    let ticket = client.post(PATH, body()).await.expect(201);
    let other = json!({ "title": "Girlschool", "price": "20.50" });
    client.post(PATH, other.clone()).await.problem(422, "idempotency-key-reused");
    // It is compared before anything is said of the body's rules.
    client.post(PATH, json!({ "title": "" })).await.problem(422, "idempotency-key-reused");

    let someone = market.client_as(&market.user()).with_idempotency_key("1");
    let theirs = someone.post(PATH, body()).await.expect(201);
    assert_ne!(theirs["id"], ticket["id"]);
    assert_eq!(
        market.client_as(&user).with_idempotency_key("2").post(PATH, other).await.expect(201)["title"],
        "Girlschool"
    );
    assert_eq!(client.post(PATH, body()).await.expect(201), ticket);
}

#[tokio::test]
async fn without_a_key_each_request_is_a_new_one() {
    let market = Market::open().await;
    let client = market.client_as(&market.user());
    assert_ne!(
        client.post(PATH, body()).await.body["id"],
        client.post(PATH, body()).await.body["id"]
    );
    let remembering = doc! { "requests": { "$exists": true } };
    let database = market.infra.database("tickets").await;
    let stored = database.collection::<Document>("tickets");
    assert_eq!(stored.count_documents(remembering).await.unwrap(), 0);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_and_nothing_is_done() {
    let market = Market::open().await;
    let client = market.client_as(&market.user());
    for key in ["", "two words", "tab\there", &"x".repeat(256)] {
        client.with_idempotency_key(key).post(PATH, body()).await.problem(400, "malformed");
    }
    client
        .with_idempotency_key("1")
        .header("idempotency-key", "1")
        .post(PATH, body())
        .await
        .problem(400, "malformed");
    market
        .service
        .client()
        .with_idempotency_key("")
        .post(PATH, body())
        .await
        .problem(401, "not-signed-in");
    assert_eq!(tickets(&market).await, 0);
    client.with_idempotency_key(&"x".repeat(255)).post(PATH, body()).await.expect(201);
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let market = Market::open().await;
    let client = market.client_as(&market.user()).with_idempotency_key("1");
    for _ in 0..2 {
        client.post(PATH, json!({ "title": "" })).await.problem(400, "invalid");
    }
    client.post(PATH, body()).await.expect(201);
}

#[tokio::test]
async fn after_a_day_a_key_is_free_again() {
    let market = Market::open().await;
    let client = market.client_as(&market.user()).with_idempotency_key("1");
    let first = client.post(PATH, body()).await;
    market.clock().advance(RETENTION - Duration::from_millis(1));
    assert_eq!(client.post(PATH, body()).await.stored_parts(), first.stored_parts());
    market.clock().advance(Duration::from_millis(1));

    let answers = ten(&client).await;
    assert_ne!(answers[0].expect(201)["id"], first.body["id"]);
    for answer in &answers {
        assert_eq!(answer.stored_parts(), answers[0].stored_parts());
    }
    assert_eq!(tickets(&market).await, 2);
}
