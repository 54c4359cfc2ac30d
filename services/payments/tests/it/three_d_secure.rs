//! 3-D Secure: the buyer's bank asks the buyer, on a page of its own.

use common::events::{CancelReason, Order, PaymentCreated, PaymentFailed};
use payments::domain::Status;
use serde_json::{Value, json};
use testkit::{Client, Method, Response};

use crate::world::World;

/// Always requires a challenge.
const CHALLENGED: &str = "pm_card_authenticationRequired";

/// A request to Stripe, such as one of the buyer's browser.
async fn at_stripe(world: &World, path: &str, form: &str) -> Value {
    let stripe = Client::new(&world.stripe.url());
    let request =
        stripe.request(Method::POST, path).header("authorization", "Bearer sk_test_local");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await.expect(200)
}

/// The buyer confirms or fails on the bank's page.
async fn answers(world: &World, payment: &Value, outcome: &str) {
    let intent = payment["stripeId"].as_str().unwrap();
    at_stripe(world, &format!("/_authenticate/{intent}"), &format!("outcome={outcome}")).await;
}

/// The buyer comes back from the bank.
async fn comes_back(world: &World, payment: &Value) -> Response {
    let path = format!("/api/payments/{}/refresh", payment["id"].as_str().unwrap());
    world.answering(world.as_buyer().post(&path, json!({}))).await
}

async fn challenged(world: &World) -> (Order, Value) {
    let order = world.order().await;
    let payment = world.pay(&order, CHALLENGED).await.expect(202);
    assert_eq!(payment["status"], "action_required");
    (order, payment)
}

#[tokio::test]
async fn the_buyer_gets_the_bank_s_page_and_nobody_else_does() {
    let world = World::start().await;
    let order = world.order().await;
    let body = json!({ "orderId": order.id, "token": CHALLENGED });
    let buyer = world.as_buyer().with_idempotency_key("1");
    let first = buyer.post("/api/payments", body.clone()).await;
    let payment = first.expect(202);
    assert_eq!(payment["status"], "action_required");
    assert!(payment["clientSecret"].as_str().unwrap().contains("_secret_"), "{payment}");
    assert!(payment["redirectUrl"].as_str().unwrap().starts_with("http"), "{payment}");
    let again = buyer.post("/api/payments", body).await;
    assert_eq!(again.stored_parts(), first.stored_parts());
    world.pay(&order, "tok_visa").await.problem(409, "payment-in-progress");

    assert_eq!(world.payment(&order).await["redirectUrl"], payment["redirectUrl"]);
    let path = format!("/api/payments/{}", payment["id"].as_str().unwrap());
    for user in [world.seller.clone(), world.infra.admin()] {
        let seen = world.service.client_as(&user).get(&path).await.expect(200);
        assert_eq!(seen["status"], "action_required");
        assert!(seen["clientSecret"].is_null() && seen["redirectUrl"].is_null(), "{seen}");
        let refresh = format!("{path}/refresh");
        let refused = world.service.client_as(&user).post(&refresh, json!({})).await;
        refused.problem(403, "not-allowed");
    }
    assert_eq!(world.charged().await, (0, 0));
}

#[tokio::test]
async fn a_payment_that_the_buyer_confirms_is_captured() {
    let world = World::start().await;
    let (order, payment) = challenged(&world).await;
    // Nothing has happened yet.
    assert_eq!(comes_back(&world, &payment).await.expect(200)["status"], "action_required");
    answers(&world, &payment, "success").await;
    let back = comes_back(&world, &payment).await.expect(200);
    assert_eq!(back["status"], "completed");
    assert!(back["clientSecret"].is_null(), "{back}");
    // Twice, as in two tabs.
    assert_eq!(comes_back(&world, &payment).await.expect(200)["version"], back["version"]);
    world.pay(&order, "tok_visa").await.problem(409, "already-paid");
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_failed_challenge_is_a_decline_and_another_card_may_be_tried() {
    let world = World::start().await;
    let (order, payment) = challenged(&world).await;
    answers(&world, &payment, "failure").await;
    let back = comes_back(&world, &payment).await.expect(200);
    assert_eq!((&back["status"], &back["declines"]), (&json!("created"), &json!(1)));
    assert_eq!(back["declineCode"], "payment_intent_authentication_failure");
    // It counts once, whoever else learns of it.
    assert_eq!(comes_back(&world, &payment).await.expect(200)["declines"], 1);
    let failed = world.infra.bus().wait_for::<PaymentFailed>(|_| true).await.0;
    assert!(!failed.r#final);
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn after_the_last_failed_challenge_the_payment_has_failed() {
    let world = World::start().await;
    let order = world.order().await;
    for status in ["created", "created", "failed"] {
        let payment = world.pay(&order, CHALLENGED).await.expect(202);
        answers(&world, &payment, "failure").await;
        assert_eq!(comes_back(&world, &payment).await.expect(200)["status"], status);
    }
    world.infra.bus().wait_for::<PaymentFailed>(|event| event.0.r#final).await;
    assert_eq!(world.charged().await, (0, 0));
}

#[tokio::test]
async fn an_abandoned_challenge_ends_with_the_reservation() {
    let world = World::start().await;
    for confirms in [false, true] {
        let (order, payment) = challenged(&world).await;
        if confirms {
            // The buyer confirms, and never comes back; nobody has learned of it.
            answers(&world, &payment, "success").await;
        }
        world.cancel(&order, CancelReason::Expired).await;
        world.status_is(&order, Status::Failed).await;
        assert_eq!(comes_back(&world, &payment).await.expect(200)["status"], "failed");
        world.pay(&order, "tok_visa").await.problem(409, "order-expired");
    }
    assert!(world.infra.bus().published::<PaymentCreated>().await.is_empty());
    assert_eq!(world.charged().await, (0, 0));
    assert_eq!(world.ledger().await["totals"]["usd"]["authorised"], 0);
}

#[tokio::test]
async fn a_confirmation_token_of_the_payment_element_pays_the_order() {
    let world = World::start().await;
    let order = world.order().await;
    let token = async |card: &str| {
        let form = format!("payment_method={card}");
        let token = at_stripe(&world, "/v1/test_helpers/confirmation_tokens", &form).await;
        token["id"].as_str().unwrap().to_owned()
    };
    let declined = token("pm_card_visa_chargeDeclined").await;
    world.pay(&order, &declined).await.problem(402, "card-declined");
    let response = world.pay(&order, "ctoken_nobody").await;
    response.problem(400, "invalid");
    assert_eq!(response.invalid_fields(), ["token"]);
    let visa = token("pm_card_visa").await;
    assert_eq!(world.pay(&order, &visa).await.expect(201)["status"], "completed");

    let order = world.order().await;
    let challenged = token(CHALLENGED).await;
    let payment = world.pay(&order, &challenged).await.expect(202);
    assert!(payment["redirectUrl"].is_string(), "the link works without a script: {payment}");
    answers(&world, &payment, "success").await;
    assert_eq!(comes_back(&world, &payment).await.expect(200)["status"], "completed");
    assert_eq!(world.charged().await, (2, 4100));
}
