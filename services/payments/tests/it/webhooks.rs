//! `POST /api/payments/webhook`: what happens at Stripe without us is taken over.

use std::time::Duration;

use bson::{Document, doc};
use common::events::{DisputeStatus, PaymentCaptured, PaymentDisputed, PaymentRefunded};
use common::{Clock, Money};
use futures::TryStreamExt;
use hmac::{Hmac, Mac};
use payments::domain::Status;
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::{Client, Method, Response, eventually};

use crate::world::World;

/// A request of an operator to Stripe.
pub async fn at_stripe(world: &World, path: &str, form: &str) -> Value {
    let stripe = Client::new(&world.stripe.url());
    let request =
        stripe.request(Method::POST, path).header("authorization", "Bearer sk_test_local");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await.expect(200)
}

pub async fn in_dashboard(world: &World, payment: &Value, action: &str, form: &str) -> Value {
    let intent = payment["stripeId"].as_str().unwrap();
    at_stripe(world, &format!("/_dashboard/payment_intents/{intent}/{action}"), form).await
}

/// A fault of the deliveries of some events.
async fn webhook_fault(world: &World, event: &str, kind: &str, times: i64) {
    let fault = json!({ "match": { "event": event }, "kind": kind, "times": times });
    let response = Client::new(&world.stripe.url()).post("/_faults", fault).await;
    assert!(response.status.is_success(), "{response:?}");
}

async fn stored(world: &World) -> Vec<Document> {
    let webhooks = world.infra.database("payments").await.collection::<Document>("webhooks");
    webhooks.find(doc! {}).await.unwrap().try_collect().await.unwrap()
}

/// Waits until every webhook is worked on.
async fn all_handled(world: &World) {
    eventually("all webhooks to be handled", || async {
        let is_pending = |event: &Document| event.get_datetime("nextRunAt").is_ok();
        (!stored(world).await.iter().any(is_pending)).then_some(())
    })
    .await;
}

async fn refunds(world: &World, payment: &Value) -> Response {
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await
}

#[tokio::test]
async fn a_challenge_that_the_buyer_does_not_come_back_from_is_completed() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "pm_card_authenticationRequired").await.expect(202);
    let intent = payment["stripeId"].as_str().unwrap();
    at_stripe(&world, &format!("/_authenticate/{intent}"), "outcome=success").await;
    world.payment_is(&order, "completed").await;
    assert_eq!(world.charged().await, (1, 2050));
}

/// The buyer doesn't come back, and the webhook is lost.
#[tokio::test]
async fn what_a_lost_webhook_would_have_reported_is_found_by_the_sweep() {
    let world = World::start().await;
    let mut challenged = Vec::new();
    for outcome in ["success", "failure", "none"] {
        let order = world.order().await;
        let payment = world.pay(&order, "pm_card_authenticationRequired").await.expect(202);
        if outcome != "none" {
            let path = format!("/_authenticate/{}", payment["stripeId"].as_str().unwrap());
            at_stripe(&world, &path, &format!("outcome={outcome}")).await;
        }
        challenged.push(order);
    }
    for _ in 0..2 {
        payments::sweep::sweep(&world.app).await.unwrap();
    }
    world.payment_is(&challenged[0], "completed").await;
    assert_eq!(world.payment_is(&challenged[1], "created").await["declines"], 1);
    world.payment_is(&challenged[2], "action_required").await;
    assert_eq!(world.charged().await, (1, 2050));
}

/// Twice, in reverse, before our own write, forged, stale, of an unknown version: the same end, and each is stored once.
#[tokio::test]
async fn however_webhooks_arrive_the_end_is_the_same() {
    let world = World::with_webhooks().await;
    for kind in [
        "webhook_duplicated",
        "webhook_reordered",
        "webhook_delayed",
        "webhook_before_response",
        "webhook_lost",
        "webhook_unknown_type",
        "webhook_unknown_version",
        "webhook_forged",
        "webhook_stale",
    ] {
        webhook_fault(&world, "*", kind, 20).await;
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        refunds(&world, &payment).await.expect(202);
        world.payment_is(&order, "refunded").await;
        Client::new(&world.stripe.url()).request(Method::DELETE, "/_faults").send().await;
    }
    all_handled(&world).await;
    assert_eq!(world.charged().await.1, 0);
    let bus = world.infra.bus();
    let captured = bus.published::<PaymentCaptured>().await;
    assert_eq!(captured.iter().filter(|event| !event.0.reminder).count(), 9);
    let refunded = bus.published::<PaymentRefunded>().await;
    assert_eq!(refunded.iter().filter(|event| !event.0.reminder).count(), 9);
}

/// Stripe delivers all of them again: nothing is retrieved for them.
#[tokio::test]
async fn an_event_that_comes_again_is_not_worked_on_again() {
    const RETRIEVED: &str = "GET /v1/payment_intents/{id}";
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    in_dashboard(&world, &payment, "refund", "amount=500").await;
    eventually("the part to be known", || async {
        (world.payment(&order).await["amountRefunded"] == "5.00").then_some(())
    })
    .await;
    all_delivered(&world).await;
    all_handled(&world).await;
    let (before, retrieved) = (stored(&world).await.len(), world.requests(RETRIEVED).await);
    assert!(before >= 4, "{before}");
    for event in stored(&world).await {
        let path = format!("/_dashboard/events/{}/resend", event.get_str("_id").unwrap());
        Client::new(&world.stripe.url()).post(&path, json!({})).await.expect(200);
    }
    all_delivered(&world).await;
    all_handled(&world).await;
    assert_eq!(stored(&world).await.len(), before);
    assert_eq!(world.requests(RETRIEVED).await, retrieved);
}

/// Waits until the service has acknowledged every delivery.
async fn all_delivered(world: &World) {
    eventually("all events to be delivered", || async {
        let deliveries = Client::new(&world.stripe.url()).get("/_deliveries").await.expect(200);
        let mut deliveries = deliveries.as_array().unwrap().iter();
        deliveries.all(|it| it["state"] == "succeeded").then_some(())
    })
    .await;
}

/// After this, the webhooks of whatever has happened are overdue; and a sweep may begin, of whichever replica.
async fn a_minute_passes(world: &World) {
    world.infra.clock.advance(Duration::from_secs(60));
    let sweeps = (0..3).map(|_| payments::sweep::sweep_events(&world.app));
    for swept in futures::future::join_all(sweeps).await {
        swept.unwrap();
    }
}

/// Without an endpoint at Stripe, no webhook ever comes.
#[tokio::test]
async fn what_lost_webhooks_would_have_reported_is_found_in_the_list_of_events() {
    const LISTED: &str = "GET /v1/events";
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let mut paid = Vec::new();
    for _ in 0..4 {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        paid.push((order, payment));
    }
    let [refunded, part, lost, untouched] = &paid[..] else { unreachable!() };
    in_dashboard(&world, &refunded.1, "refund", "").await;
    in_dashboard(&world, &part.1, "refund", "amount=500").await;
    let dispute = in_dashboard(&world, &lost.1, "dispute", "").await;
    let decide = format!("/_dashboard/disputes/{}/decide", dispute["id"].as_str().unwrap());
    at_stripe(&world, &decide, "outcome=lost").await;
    let cancelled = world.order().await;
    let intent = world.authorise(&cancelled).await.payment.unwrap().intent.unwrap();
    at_stripe(&world, &format!("/_dashboard/payment_intents/{intent}/cancel"), "").await;
    payments::sweep::sweep_events(&world.app).await.unwrap();
    assert!(stored(&world).await.is_empty(), "the webhooks may be on their way");

    // Whatever is compared at one time is listed once, by one replica.
    let listed = world.requests(LISTED).await;
    a_minute_passes(&world).await;
    world.payment_is(&refunded.0, "refunded").await;
    world.payment_is(&lost.0, "charged_back").await;
    world.status_is(&cancelled, Status::Failed).await;
    eventually("the part to be known", || async {
        (world.payment(&part.0).await["amountRefunded"] == "5.00").then_some(())
    })
    .await;
    assert_eq!(world.requests(LISTED).await, listed + 1);
    all_handled(&world).await;
    let (events, before) = (stored(&world).await.len(), world.payment(&untouched.0).await);
    assert_eq!(before, untouched.1);

    // What is compared once more is known.
    let retrieved = world.requests("GET /v1/payment_intents/{id}").await;
    a_minute_passes(&world).await;
    eventually("another sweep", || async {
        (world.requests(LISTED).await == listed + 2).then_some(())
    })
    .await;
    all_handled(&world).await;
    assert_eq!(stored(&world).await.len(), events);
    assert_eq!(world.requests("GET /v1/payment_intents/{id}").await, retrieved);
}

/// It is stored, and says nothing: what happened is found as if it had never come.
#[tokio::test]
async fn a_webhook_that_could_not_be_read_is_made_up_for() {
    let world = World::with_webhooks_at(Clock::manual(Clock::system().now())).await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    // Those of the payment are not looked at when the refund is there.
    all_delivered(&world).await;
    all_handled(&world).await;
    webhook_fault(&world, "refund.*", "webhook_unknown_version", 20).await;
    webhook_fault(&world, "charge.*", "webhook_unknown_version", 20).await;
    in_dashboard(&world, &payment, "refund", "amount=500").await;
    all_delivered(&world).await;
    all_handled(&world).await;
    assert_eq!(world.payment(&order).await["amountRefunded"], "0.00");
    a_minute_passes(&world).await;
    eventually("the part to be known", || async {
        (world.payment(&order).await["amountRefunded"] == "5.00").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_forged_or_unsigned_webhook_is_refused_and_stores_nothing() {
    let world = World::with_webhooks().await;
    let body = r#"{"id":"evt_forged","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
    let now = world.infra.clock.now().millis() / 1000;
    for signature in [None, Some(format!("t={now},v1=00")), Some("nonsense".to_owned())] {
        let request = world.service.client().request(Method::POST, "/api/payments/webhook");
        let request = match signature {
            Some(signature) => request.header("stripe-signature", &signature),
            None => request,
        };
        request.body(body).send().await.problem(400, "malformed");
    }
    let is_it = |event: &Document| event.get_str("_id").is_ok_and(|id| id == "evt_forged");
    assert!(!stored(&world).await.iter().any(is_it));
}

/// Stripe's own signature, and a body of which nothing can be read: it is accepted, so that Stripe doesn't repeat it for days.
#[tokio::test]
async fn a_signed_body_of_which_nothing_can_be_read_is_stored_once_and_changes_nothing() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    all_handled(&world).await;
    let before = stored(&world).await.len();
    let at = world.infra.clock.now().millis() / 1000;
    for body in ["[\"a later format\"]", "\u{0}\u{1}", "{\"id\": 7}"] {
        let secret = world.app.webhook_secrets.last().unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let hex: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        for _ in 0..2 {
            let request = world.service.client().request(Method::POST, "/api/payments/webhook");
            let request = request.header("stripe-signature", &format!("t={at},v1={hex}"));
            assert_eq!(request.body(body).send().await.status, 200);
        }
    }
    all_handled(&world).await;
    assert_eq!(stored(&world).await.len(), before + 3);
    assert_eq!(world.payment(&order).await, payment);
}

#[tokio::test]
async fn a_refund_in_the_dashboard_counts_and_the_whole_one_ends_the_order() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    in_dashboard(&world, &payment, "refund", "amount=500").await;
    eventually("the part to be known", || async {
        (world.payment(&order).await["amountRefunded"] == "5.00").then_some(())
    })
    .await;
    assert_eq!(world.payment(&order).await["status"], "completed");
    // The seller refunds the rest, with a failure of Stripe's in between.
    world.fault("POST", "/v1/refunds", "error_before", 1).await;
    refunds(&world, &payment).await.expect(202);
    world.payment_is(&order, "refunded").await;
    assert_eq!(world.charged().await, (1, 0));

    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    in_dashboard(&world, &payment, "refund", "").await;
    world.payment_is(&order, "refunded").await;
    let is_it = |event: &PaymentRefunded| event.0.order_id == order.id;
    let refunded = world.infra.bus().wait_for::<PaymentRefunded>(is_it).await.0;
    assert!(!refunded.relist, "nobody has said that it goes back on sale");
    assert_eq!(world.charged().await, (2, 0));
}

#[tokio::test]
async fn a_refund_that_fails_days_later_is_made_again() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    refunds(&world, &payment).await.expect(202);
    let refunded = world.payment_is(&order, "refunded").await;
    let refund = refunded["stripeRefundId"].as_str().unwrap();
    at_stripe(&world, &format!("/_dashboard/refunds/{refund}/settle"), "outcome=failed").await;
    eventually("another refund", || async {
        let again = world.payment(&order).await;
        let is_another = again["stripeRefundId"] != refunded["stripeRefundId"];
        (again["status"] == "refunded" && is_another).then_some(())
    })
    .await;
    assert_eq!(world.charged().await, (1, 0));
}

#[tokio::test]
async fn a_dispute_is_opened_and_won() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let dispute = in_dashboard(&world, &payment, "dispute", "").await;
    let is = |status: DisputeStatus| {
        let id = order.id;
        move |event: &PaymentDisputed| event.0.order_id == id && event.0.status == status
    };
    let opened = world.infra.bus().wait_for(is(DisputeStatus::Open)).await.0;
    assert_eq!(opened.amount, Money::from_minor(2050));
    assert_eq!(world.payment(&order).await["dispute"]["status"], "open");
    refunds(&world, &payment).await.problem(409, "not-refundable");
    let decide = format!("/_dashboard/disputes/{}/decide", dispute["id"].as_str().unwrap());
    at_stripe(&world, &decide, "outcome=won").await;
    world.infra.bus().wait_for(is(DisputeStatus::Won)).await;
    assert_eq!(world.payment(&order).await["status"], "completed");
    refunds(&world, &payment).await.expect(202);
    world.payment_is(&order, "refunded").await;
}

/// The first one was won: it isn't reported again with each look at the second one.
#[tokio::test]
async fn a_charge_is_disputed_twice() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    for outcome in ["won", "lost"] {
        let dispute = in_dashboard(&world, &payment, "dispute", "").await;
        eventually("the dispute to be known", || async {
            (world.payment(&order).await["dispute"]["status"] == "open").then_some(())
        })
        .await;
        let decide = format!("/_dashboard/disputes/{}/decide", dispute["id"].as_str().unwrap());
        at_stripe(&world, &decide, &format!("outcome={outcome}")).await;
        eventually("the decision to be known", || async {
            (world.payment(&order).await["dispute"]["status"] == outcome).then_some(())
        })
        .await;
    }
    all_delivered(&world).await;
    all_handled(&world).await;
    world.published().await;
    let disputed = world.infra.bus().published::<PaymentDisputed>().await;
    let news = disputed.iter().filter(|event| !event.0.reminder).map(|event| event.0.status);
    assert_eq!(
        news.collect::<Vec<_>>(),
        [DisputeStatus::Open, DisputeStatus::Won, DisputeStatus::Open, DisputeStatus::Lost]
    );
}

#[tokio::test]
async fn a_dispute_that_is_lost_ends_the_payment() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let dispute = in_dashboard(&world, &payment, "dispute", "").await;
    let decide = format!("/_dashboard/disputes/{}/decide", dispute["id"].as_str().unwrap());
    at_stripe(&world, &decide, "outcome=lost").await;
    world.payment_is(&order, "charged_back").await;
    let lost = |event: &PaymentDisputed| event.0.status == DisputeStatus::Lost;
    world.infra.bus().wait_for::<PaymentDisputed>(lost).await;
    refunds(&world, &payment).await.problem(409, "not-refundable");
    all_handled(&world).await;
    world.published().await;
    let lost = world.infra.bus().published::<PaymentDisputed>().await;
    assert_eq!(lost.iter().filter(|event| event.0.status == DisputeStatus::Lost).count(), 1);
}

#[tokio::test]
async fn an_authorisation_that_is_cancelled_in_the_dashboard_has_failed() {
    let world = World::with_webhooks().await;
    let order = world.order().await;
    let authorised = world.authorise(&order).await;
    let intent = authorised.payment.unwrap().intent.unwrap();
    at_stripe(&world, &format!("/_dashboard/payment_intents/{intent}/cancel"), "").await;
    world.status_is(&order, Status::Failed).await;
}
