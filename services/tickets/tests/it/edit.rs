use std::time::Duration;

use common::events::TicketUpdated;
use serde_json::{Value, json};
use testkit::{Client, Method, Response};

use crate::market::{Market, path};

fn new_words() -> Value {
    json!({ "title": "Hawkwind", "price": "30" })
}

async fn put_if(client: &Client, ticket: &Value, seen: &str, body: Value) -> Response {
    client.request(Method::PUT, &path(ticket)).header("if-match", seen).json(body).send().await
}

#[tokio::test]
async fn a_seller_says_everything_anew_and_what_is_left_out_is_cleared() {
    let market = Market::open().await;
    let seller = market.user();
    let date = market.clock().now() + Duration::from_secs(3600);
    let ticket = market
        .offer(
            &seller,
            json!({ "title": "x", "price": 1, "description": "d", "date": date, "venue": "v",
                    "timeZone": "Europe/Berlin" }),
        )
        .await;
    let answer = market.client_as(&seller).put(&path(&ticket), new_words()).await;
    let edited = answer.expect(200);
    assert_eq!(
        edited,
        json!({
            "id": ticket["id"], "title": "Hawkwind", "price": "30.00", "currency": "usd",
            "timeZone": "UTC", "userId": seller.id, "status": "available", "version": 2,
            "createdAt": ticket["createdAt"],
        })
    );
    assert_eq!(answer.header("etag"), Some("\"2\""));
    assert_eq!(market.look(&seller, &ticket).await.expect(200), edited);

    let event = market.infra.bus().wait_for::<TicketUpdated>(|_| true).await.0;
    assert_eq!(
        (event.listing.title.as_str(), event.listing.price.minor(), event.version),
        ("Hawkwind", 3000, 2)
    );
    assert_eq!((event.listing.date, event.listing.venue), (None, None));

    let search = |q: &str| {
        let (client, path) = (market.service.client(), format!("/api/tickets?q={q}"));
        async move { client.get(&path).await.expect(200)["tickets"].as_array().unwrap().len() }
    };
    assert_eq!((search("hawk").await, search("x").await), (1, 0), "it is found by its new words");
}

#[tokio::test]
async fn refusals_come_in_their_order() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    market.tell(&market.buying(&buyer, &ticket).created(1, 1)).await;
    let wrong = json!({ "title": 7 });

    // Each of these breaks the rules that follow too.
    let unknown = format!("/api/tickets/{}", common::ids::TicketId::new(market.clock().now()));
    market.service.client().put(&unknown, wrong.clone()).await.problem(401, "not-signed-in");
    market.client_as(&buyer).put(&unknown, wrong.clone()).await.problem(404, "not-found");
    market.client_as(&buyer).put("/api/tickets/1", wrong.clone()).await.problem(404, "not-found");
    let theirs = put_if(&market.client_as(&buyer), &ticket, "\"1\"", wrong.clone()).await;
    theirs.problem(403, "not-allowed");
    let stale = put_if(&market.client_as(&seller), &ticket, "\"1\"", wrong.clone()).await;
    stale.problem(412, "precondition-failed");
    let held = market.client_as(&seller).put(&path(&ticket), wrong.clone()).await;
    held.problem(409, "ticket-reserved");
    market.tell(&market.buying(&buyer, &ticket).cancelled(1, 2)).await;
    let free = market.client_as(&seller).put(&path(&ticket), wrong).await;
    assert_eq!(free.invalid_fields(), ["title"]);
}

#[tokio::test]
async fn a_body_is_held_to_the_rules_of_a_new_ticket() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let client = market.client_as(&seller);
    let answer = client.put(&path(&ticket), json!({ "price": "0.49", "venue": "a\nb" })).await;
    assert_eq!(answer.invalid_fields(), ["price", "title", "venue"]);
    let request = || client.request(Method::PUT, &path(&ticket));
    request().send().await.problem(415, "unsupported-media-type");
    let broken = request().header("content-type", "application/json").body("{").send().await;
    broken.problem(400, "malformed");
    assert_eq!(market.look(&seller, &ticket).await.expect(200), ticket);
}

#[tokio::test]
async fn a_hold_that_has_run_out_still_guards_until_its_end_is_told() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    let buying = market.buying(&buyer, &ticket);
    market.tell(&buying.created(1, 1)).await;
    market.clock().advance(Duration::from_secs(901));
    let client = market.client_as(&seller);
    client.put(&path(&ticket), new_words()).await.problem(409, "ticket-reserved");

    market.tell(&buying.completed(1, 2)).await;
    client.put(&path(&ticket), new_words()).await.problem(409, "ticket-sold");
    market.tell(&buying.cancelled(1, 3)).await;
    client.put(&path(&ticket), new_words()).await.expect(200);
}

#[tokio::test]
async fn an_admin_may_edit_and_the_ticket_stays_its_sellers() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let admin = market.client_as(&market.infra.admin());
    let edited = admin.put(&path(&ticket), new_words()).await.expect(200);
    assert_eq!(edited["userId"], json!(seller.id));
}

#[tokio::test]
async fn of_many_who_have_seen_one_version_one_changes_it() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let client = market.client_as(&seller);
    let all = (0..12).map(|_| put_if(&client, &ticket, "\"1\"", new_words()));
    let answers = futures::future::join_all(all).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(412)), (1, 11));
    assert_eq!(market.look(&seller, &ticket).await.expect(200)["version"], 2);
    put_if(&client, &ticket, "\"1\", \"2\"", new_words()).await.expect(200);
    put_if(&client, &ticket, "*", new_words()).await.expect(200);
    put_if(&client, &ticket, "W/\"4\"", new_words()).await.problem(412, "precondition-failed");
}

#[tokio::test]
async fn edits_that_cross_are_all_made_and_all_told() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let client = market.client_as(&seller);
    let edits = (0..8).map(|_| async { client.put(&path(&ticket), new_words()).await.expect(200) });
    let mut versions: Vec<i64> = futures::future::join_all(edits)
        .await
        .iter()
        .map(|ticket| ticket["version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=9).collect::<Vec<_>>());

    market.infra.bus().wait_for::<TicketUpdated>(|event| event.0.version == 9).await;
    let told = market.infra.bus().published::<TicketUpdated>().await;
    assert_eq!(told.iter().map(|event| event.0.version).collect::<Vec<_>>(), versions);
}
