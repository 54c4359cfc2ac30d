//! Paying and refunding under an `Idempotency-Key`.

use std::time::Duration;

use bson::{Document, doc};
use common::Clock;
use common::events::{Order, PaymentFailed, PaymentRefunded};
use futures::future::join_all;
use httpkit::idempotency::RequestIdentity;
use payments::store::Begun;
use serde_json::{Value, json};
use store::{REQUESTS, RETENTION};
use testkit::{Client, Method, Response};

use crate::world::{World, order};

const PATH: &str = "/api/payments";
const CONFIRM: &str = "/v1/payment_intents/*/confirm";

fn body(order: &Order, token: &str) -> Value {
    json!({ "orderId": order.id, "token": token })
}

async fn pay(world: &World, key: &str, order: &Order, token: &str) -> Response {
    let buyer = world.as_buyer().with_idempotency_key(key);
    world.answering(buyer.post(PATH, body(order, token))).await
}

/// Ten identical concurrent payments.
async fn ten(world: &World, key: &str, order: &Order, token: &str) -> Vec<Response> {
    join_all((0..10).map(|_| pay(world, key, order, token))).await
}

#[track_caller]
fn all_equal(responses: &[Response]) {
    for response in responses {
        assert_eq!(response.stored_parts(), responses[0].stored_parts());
    }
}

async fn manual() -> World {
    World::start_at(Clock::manual(Clock::system().now())).await
}

fn refund_path(payment: &Value) -> String {
    format!("{PATH}/{}/refund", payment["id"].as_str().unwrap())
}

#[tokio::test]
async fn ten_identical_concurrent_payments_charge_once_and_get_the_same_response() {
    let world = World::start().await;
    for round in 1..=5 {
        let order = world.order().await;
        let responses = ten(&world, &format!("round-{round}"), &order, "tok_visa").await;
        assert_eq!(responses[0].expect(201)["status"], "completed");
        all_equal(&responses);
        assert_eq!(world.charged().await, (round, round * 2050));
    }
    assert_eq!(world.ledger().await["payment_intents"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn ten_identical_concurrent_payments_with_a_declined_card_are_one_decline() {
    let world = World::start().await;
    let order = world.order().await;
    let responses = ten(&world, "1", &order, "tok_chargeDeclinedInsufficientFunds").await;
    let declined = responses[0].problem(402, "card-declined");
    assert_eq!(
        (&declined["attemptsLeft"], &declined["declineCode"]),
        (&json!(2), &json!("insufficient_funds"))
    );
    all_equal(&responses);
    assert_eq!(world.payment(&order).await["declines"], 1);

    // Also when other attempts have followed.
    let again = async || {
        let again = pay(&world, "1", &order, "tok_chargeDeclinedInsufficientFunds").await;
        assert_eq!(again.stored_parts(), responses[0].stored_parts());
    };
    let second = pay(&world, "2", &order, "tok_chargeDeclined").await;
    assert_eq!(second.problem(402, "card-declined")["attemptsLeft"], 1);
    again().await;
    let paid = pay(&world, "3", &order, "tok_visa").await;
    assert_eq!(paid.expect(201)["declines"], 2);
    again().await;
    assert_eq!(
        pay(&world, "2", &order, "tok_chargeDeclined").await.stored_parts(),
        second.stored_parts()
    );
    assert_eq!(pay(&world, "3", &order, "tok_visa").await.stored_parts(), paid.stored_parts());
    world.published().await;
    assert_eq!(world.infra.bus().published::<PaymentFailed>().await.len(), 2);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn the_last_decline_is_repeated_after_the_payment_has_failed() {
    let world = World::start().await;
    let order = world.order().await;
    let mut responses = Vec::new();
    for key in ["1", "2", "3"] {
        responses.push(pay(&world, key, &order, "tok_chargeDeclined").await);
    }
    assert_eq!(responses[2].problem(402, "card-declined")["attemptsLeft"], 0);
    world.payment_is(&order, "failed").await;
    for (key, first) in ["1", "2", "3"].into_iter().zip(&responses) {
        assert_eq!(
            pay(&world, key, &order, "tok_chargeDeclined").await.stored_parts(),
            first.stored_parts()
        );
    }
    pay(&world, "4", &order, "tok_chargeDeclined").await.problem(409, "payment-failed");
}

#[tokio::test]
async fn ten_identical_concurrent_refunds_refund_once_and_get_the_same_response() {
    let world = World::start().await;
    let order = world.order().await;
    let paid = pay(&world, "1", &order, "tok_visa").await;
    let path = refund_path(&paid.body);
    let refund = async |client: Client, key: &str| {
        client.with_idempotency_key(key).post(&path, json!({})).await
    };
    let seller = || world.service.client_as(&world.seller);

    let responses = join_all((0..10).map(|_| refund(seller(), "1"))).await;
    assert_eq!(responses[0].expect(202)["status"], "refunding");
    all_equal(&responses);
    world.payment_is(&order, "refunded").await;
    assert_eq!(refund(seller(), "1").await.stored_parts(), responses[0].stored_parts());
    refund(seller(), "2").await.problem(409, "not-refundable");
    refund(world.service.client_as(&world.infra.admin()), "1").await.problem(409, "not-refundable");
    seller().post(&path, json!({})).await.problem(409, "not-refundable");
    world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await;
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 1);
    // The payment's response is the one of that time, too.
    assert_eq!(pay(&world, "1", &order, "tok_visa").await.stored_parts(), paid.stored_parts());
}

#[tokio::test]
async fn a_key_identifies_one_request_of_one_user() {
    let world = World::start().await;
    let (first, second) = (world.order().await, world.order().await);
    let paid = pay(&world, "1", &first, "tok_visa").await;
    paid.expect(201);
    pay(&world, "1", &first, "tok_mastercard").await.problem(422, "idempotency-key-reused");
    pay(&world, "1", &second, "tok_visa").await.problem(422, "idempotency-key-reused");
    // This check comes before those for the order and for permissions.
    let buyer = world.as_buyer().with_idempotency_key("1");
    buyer
        .post(PATH, json!({ "orderId": "?", "token": "tok_visa" }))
        .await
        .problem(422, "idempotency-key-reused");
    buyer.post(&refund_path(&paid.body), json!({})).await.problem(422, "idempotency-key-reused");
    buyer
        .header("idempotency-key", "2")
        .post(PATH, body(&second, "tok_visa"))
        .await
        .problem(400, "malformed");

    // Keys are per user.
    let (someone, now) = (world.infra.user(), world.infra.clock.now());
    let theirs = order(now, Duration::from_secs(900), someone.id, world.seller.id);
    world.create(&theirs).await;
    let someone = world.service.client_as(&someone).with_idempotency_key("1");
    someone.post(PATH, body(&first, "tok_visa")).await.problem(403, "not-allowed");
    world.answering(someone.post(PATH, body(&theirs, "tok_visa"))).await.expect(201);

    let seller = world.service.client_as(&world.seller).with_idempotency_key("1");
    let other = pay(&world, "2", &second, "tok_visa").await.expect(201);
    seller.post(&refund_path(&paid.body), json!({})).await.expect(202);
    seller.post(&refund_path(&other), json!({})).await.problem(422, "idempotency-key-reused");
    assert_eq!(world.charged().await.0, 3);
}

/// Pays ten orders concurrently with one key. Returns how many were paid.
async fn ten_orders(world: &World, key: &str) -> usize {
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(world.order().await);
    }
    let responses = join_all(orders.iter().map(|order| pay(world, key, order, "tok_visa"))).await;
    let (paid, refused): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status == 201);
    for response in refused {
        response.problem(422, "idempotency-key-reused");
    }
    paid.len()
}

#[tokio::test]
async fn of_ten_orders_paid_concurrently_with_one_key_one_is_charged() {
    let world = World::start().await;
    for round in 1..=5 {
        assert_eq!(ten_orders(&world, &format!("round-{round}")).await, 1);
        assert_eq!(world.charged().await.0, round);
    }
}

/// The control: without the guard the same race charges more than one order.
#[tokio::test]
async fn without_the_unique_index_the_same_race_charges_more_than_one_order() {
    let world = World::start().await;
    world.app.store.documents().collection().drop_index(REQUESTS).await.unwrap();
    for round in 0..10 {
        if ten_orders(&world, &format!("round-{round}")).await > 1 {
            return;
        }
    }
    panic!("in 10 rounds no key charged two orders: the test doesn't race");
}

#[tokio::test]
async fn after_a_day_a_key_may_be_used_again_for_any_order() {
    let world = manual().await;
    let order = world.order_for(3 * RETENTION).await;
    let declined = pay(&world, "1", &order, "tok_chargeDeclined").await;
    world.infra.clock.advance(RETENTION - Duration::from_millis(1));
    assert_eq!(
        pay(&world, "1", &order, "tok_chargeDeclined").await.stored_parts(),
        declined.stored_parts()
    );
    world.infra.clock.advance(Duration::from_millis(1));
    let responses = ten(&world, "1", &order, "tok_chargeDeclined").await;
    assert_eq!(responses[0].problem(402, "card-declined")["attemptsLeft"], 1);
    all_equal(&responses);

    world.infra.clock.advance(RETENTION);
    let other = world.order().await;
    let responses = ten(&world, "1", &other, "tok_visa").await;
    responses[0].expect(201);
    all_equal(&responses);
    assert_eq!(world.charged().await, (1, 2050));
}

/// A request that fails before anything is charged gets 503 or 400, and the next one with its key tries again.
#[tokio::test]
async fn a_request_without_effect_is_not_stored_and_may_be_sent_again() {
    let world = World::start().await;
    let order = world.order().await;
    for path in ["/v1/payment_intents", "/v1/payment_methods"] {
        world.fault("POST", path, "cut", 1).await;
        pay(&world, "1", &order, "tok_visa").await.problem(503, "unavailable");
    }
    for _ in 0..2 {
        assert_eq!(pay(&world, "1", &order, "tok_nobody").await.invalid_fields(), ["token"]);
    }
    let responses = ten(&world, "1", &order, "tok_nobody").await;
    all_equal(&responses);
    responses[0].problem(400, "invalid");

    world.fault("POST", "/v1/payment_methods", "cut", 1).await;
    let responses = ten(&world, "1", &order, "tok_visa").await;
    let (paid, failed): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status == 201);
    assert_eq!(failed.len(), 1);
    failed[0].problem(503, "unavailable");
    assert!(paid.iter().all(|response| response.stored_parts() == paid[0].stored_parts()));
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_request_whose_process_crashed_gets_the_outcome_that_the_worker_recorded() {
    let world = World::start().await;
    for (token, status) in [("tok_visa", 201), ("tok_chargeDeclined", 402)] {
        let (order, now) = (world.order().await, world.app.clock.now());
        let body = body(&order, token);
        let bytes = serde_json::to_vec(&body).unwrap();
        let key = RequestIdentity::with_key(world.buyer.id, token, &Method::POST, PATH, &bytes);
        let store = &world.app.store;
        let (card, limits) = (token.parse().unwrap(), world.app.limits);
        let known = store.find(order.id).await.unwrap().unwrap();
        let begun = store.begin_attempt(&known, &key, &card, limits, None, &world.app.clock).await;
        assert!(matches!(begun.unwrap(), Some(Begun::New(_))));

        // It waits for the worker, which claims the payment when the lease of the crashed process has expired.
        let (response, ()) = tokio::join!(pay(&world, token, &order, token), async {
            store.record(order.id, |payment| payment.postpone(now, now)).await.unwrap();
            world.app.wake_worker.notify_one();
        });
        response.expect(status);
        assert_eq!(pay(&world, token, &order, token).await.stored_parts(), response.stored_parts());
        assert_eq!(world.payment(&order).await["declines"], i64::from(status == 402));
    }
    assert_eq!(world.charged().await, (1, 2050));
}

/// Stripe doesn't respond for 11 s. A repeat meanwhile waits for 10 s.
#[tokio::test]
async fn while_stripe_does_not_respond_a_repeat_waits_and_gets_request_in_progress() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "hang", 1).await;
    let (first, repeat) = tokio::join!(pay(&world, "1", &order, "tok_visa"), async {
        let at_stripe = || async {
            let intent = world.payment(&order).await["stripeId"].clone();
            intent.is_string().then_some(())
        };
        testkit::eventually("the attempt to be in progress", at_stripe).await;
        pay(&world, "2", &order, "tok_visa").await.problem(409, "payment-in-progress");
        pay(&world, "1", &order, "tok_visa").await
    });
    assert_eq!(first.expect(202)["status"], "processing");
    repeat.problem(409, "request-in-progress");
    assert_eq!(repeat.header("retry-after"), Some("1"));

    // The first response was not final: once the outcome is known, repeats get that.
    let outcome = pay(&world, "1", &order, "tok_visa").await;
    assert_eq!(outcome.expect(201)["status"], "completed");
    assert_eq!(pay(&world, "1", &order, "tok_visa").await.stored_parts(), outcome.stored_parts());
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_document_without_stored_requests_is_read_and_paid() {
    let world = World::start().await;
    let order = world.order().await;
    let payments = world.infra.database("payments").await.collection::<Document>("payments");
    let removed = payments.update_one(doc! {}, doc! { "$unset": { "requests": 1 } }).await.unwrap();
    assert_eq!(removed.modified_count, 1);
    pay(&world, "1", &order, "tok_visa").await.expect(201);
}
