//! `POST /api/orders` under an `Idempotency-Key`.

use std::time::Duration;
use store::REQUESTS;
use store::RETENTION;

use bson::doc;
use common::events::{OrderCreated, Ticket, TicketDeleted};
use futures::future::join_all;
use serde_json::json;
use testkit::fixtures::TicketChanges as _;
use testkit::{Client, Response, eventually};

use crate::world::{World, connect};

const PATH: &str = "/api/orders";
const ROUNDS: usize = 10;

async fn order(client: &Client, ticket: &Ticket) -> Response {
    client.post(PATH, json!({ "ticketId": ticket.id })).await
}

fn buyer(world: &World, key: &str) -> Client {
    world.client(&world.buyer).with_idempotency_key(key)
}

async fn orders(world: &World) -> u64 {
    world.app.store.documents().collection().count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn ten_identical_concurrent_requests_create_one_order_and_get_equal_responses() {
    let world = World::start().await;
    for round in 0..2 * ROUNDS {
        if round == ROUNDS {
            // A recreated index is the last that an insert is checked against, no longer the first.
            world.app.store.documents().collection().drop_index(REQUESTS).await.unwrap();
            connect(&world.infra).await;
        }
        let ticket = world.ticket().await;
        let client = buyer(&world, &format!("round-{round}"));
        let responses = join_all((0..10).map(|_| order(&client, &ticket))).await;
        responses[0].expect(201);
        for response in &responses {
            assert_eq!(response.stored_parts(), responses[0].stored_parts(), "round {round}");
        }
        assert_eq!(orders(&world).await, round as u64 + 1);
    }
    world.published().await;
    assert_eq!(world.bus().published::<OrderCreated>().await.len(), 2 * ROUNDS);
}

/// One key for ten tickets concurrently: how many orders are created.
async fn ten_tickets(world: &World, key: &str) -> usize {
    let tickets = join_all((0..10).map(|_| async {
        let ticket = world.unpublished_ticket();
        world.publish_ticket(&ticket).await;
        ticket
    }));
    let (tickets, client) = (tickets.await, buyer(world, key));
    let responses = join_all(tickets.iter().map(|ticket| order(&client, ticket))).await;
    let (placed, refused): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status == 201);
    for response in refused {
        response.problem(422, "idempotency-key-reused");
    }
    placed.len()
}

#[tokio::test]
async fn of_ten_different_concurrent_requests_under_one_key_one_creates_an_order() {
    let world = World::start().await;
    for round in 0..ROUNDS {
        assert_eq!(ten_tickets(&world, &format!("round-{round}")).await, 1);
    }
    assert_eq!(orders(&world).await, ROUNDS as u64);
}

/// The control run: without the guard the same race creates more than one order.
#[tokio::test]
async fn without_the_unique_index_the_same_race_creates_more_than_one() {
    let world = World::start().await;
    world.app.store.documents().collection().drop_index(REQUESTS).await.unwrap();
    for round in 0..ROUNDS {
        if ten_tickets(&world, &format!("round-{round}")).await > 1 {
            return;
        }
    }
    panic!("in {ROUNDS} rounds no key created two orders: the test has no race");
}

#[tokio::test]
async fn the_first_response_is_returned_again_after_the_order_has_changed() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let client = buyer(&world, "1");
    let first = order(&client, &ticket).await;
    assert_eq!(first.expect(201)["status"], "created");
    let again = async || {
        let again = order(&client, &ticket).await;
        assert_eq!(again.stored_parts(), first.stored_parts());
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        assert_eq!(again.media_type(), first.media_type());
    };
    again().await;
    let placed = world.stored(first.body["id"].as_str().unwrap().parse().unwrap()).await;
    world.confirm_reserved(&placed).await;
    again().await;
    world.cancel(&placed).await;
    again().await;
    world.order_as(&world.infra.user(), &ticket).await;
    again().await;
    world.bus().publish(&TicketDeleted(ticket.clone().with_version(9))).await;
    world.settled().await;
    again().await;
    assert_eq!(orders(&world).await, 2);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user() {
    let world = World::start().await;
    let (ticket, other) = (world.ticket().await, world.ticket().await);
    let client = buyer(&world, "1");
    let placed = order(&client, &ticket).await.expect(201);
    order(&client, &other).await.problem(422, "idempotency-key-reused");
    let body = json!({ "ticketId": ticket.id, "price": "20.50" });
    client.post(PATH, body).await.problem(422, "idempotency-key-reused");
    // The key is checked before the ticket.
    client.post(PATH, json!({ "ticketId": "?" })).await.problem(422, "idempotency-key-reused");

    let other_user = world.client(&world.infra.user()).with_idempotency_key("1");
    order(&other_user, &ticket).await.problem(409, "ticket-reserved");
    assert_ne!(order(&other_user, &other).await.expect(201)["id"], placed["id"]);
    // Without the key, or under another one, it is another request.
    for client in [world.client(&world.buyer), buyer(&world, "2")] {
        let refused = order(&client, &ticket).await.problem(409, "ticket-reserved");
        assert_eq!(refused["orderId"], placed["id"]);
    }
}

#[tokio::test]
async fn a_refusal_is_not_stored() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let reserved = world.order_as(&world.infra.user(), &ticket).await;
    let client = buyer(&world, "1");
    order(&client, &ticket).await.problem(409, "ticket-reserved");
    buyer(&world, "").post(PATH, json!({})).await.problem(400, "malformed");
    world.advance_to_expiry();
    assert_ne!(order(&client, &ticket).await.expect(201)["id"], json!(reserved.id));
}

#[tokio::test]
async fn after_a_day_a_key_is_free_again() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let client = buyer(&world, "1");
    let first = order(&client, &ticket).await;
    world.infra.clock.advance(RETENTION - Duration::from_millis(1));
    assert_eq!(order(&client, &ticket).await.stored_parts(), first.stored_parts());
    world.infra.clock.advance(Duration::from_millis(1));

    let responses = join_all((0..10).map(|_| order(&client, &ticket))).await;
    assert_ne!(responses[0].expect(201)["id"], first.body["id"]);
    for response in &responses {
        assert_eq!(response.stored_parts(), responses[0].stored_parts());
    }
    assert_eq!(orders(&world).await, 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_changes_nothing() {
    let world = World::start().await;
    for repeat_at_once in [true, false] {
        let ticket = world.unpublished_ticket();
        let client = buyer(&world, &format!("{repeat_at_once}"));
        // The request waits for the ticket when its client is gone.
        let hung_up = tokio::time::timeout(Duration::from_millis(200), order(&client, &ticket));
        assert!(hung_up.await.is_err(), "it was answered before the client hung up");
        let (response, ()) = if repeat_at_once {
            tokio::join!(order(&client, &ticket), world.publish_ticket(&ticket))
        } else {
            world.publish_ticket(&ticket).await;
            let live = || async { world.holder(ticket.id).await };
            let placed = eventually("the request to end its work", live).await;
            let response = order(&client, &ticket).await;
            assert_eq!(response.expect(201)["id"], json!(placed.id));
            (response, ())
        };
        let placed = response.expect(201);
        let of_ticket = doc! { "ticketId": ticket.id };
        let orders = world.app.store.documents().collection();
        assert_eq!(orders.count_documents(of_ticket).await.unwrap(), 1);
        assert_eq!(order(&client, &ticket).await.expect(201), placed);
    }
}
