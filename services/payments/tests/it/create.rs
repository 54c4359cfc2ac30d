//! `POST /api/payments`.

use std::time::Duration;

use common::Clock;
use common::events::{CancelReason, OrderCreated, PaymentCaptured, PaymentCreated, PaymentFailed};
use payments::app;
use serde_json::json;
use testkit::{Forgery, Method, TestService};

use crate::world::{World, connect, order};

#[tokio::test]
async fn a_valid_card_pays_the_order() {
    let world = World::start().await;
    let order = world.order().await;

    let response = world.pay(&order, "tok_visa").await;
    let payment = response.expect(201);
    assert_eq!(
        response.header("location"),
        Some(&*format!("/api/payments/{}", payment["id"].as_str().unwrap()))
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(payment["status"], "completed");
    assert_eq!(payment["amount"], "20.50");
    assert_eq!(payment["currency"], "usd");
    assert_eq!(payment["declines"], 0);
    assert_eq!(payment["orderId"], json!(order.id));

    let authorised = world.infra.bus().wait_for::<PaymentCreated>(|_| true).await.0;
    let captured = world.infra.bus().wait_for::<PaymentCaptured>(|_| true).await.0;
    assert!(authorised.version < captured.version);
    for event in [authorised, captured] {
        assert_eq!(json!(event.id), payment["id"]);
        assert_eq!(event.order_id, order.id);
        assert_eq!(event.amount.minor(), 2050);
        assert_eq!(json!(event.stripe_id), payment["stripeId"]);
    }
    assert_eq!(world.charged().await, (1, 2050));
    let intent = &world.ledger().await["payment_intents"][0];
    assert_eq!(intent["metadata"]["order_id"], json!(order.id));
}

#[tokio::test]
async fn a_payment_method_pays_the_order_like_a_token() {
    let world = World::start().await;
    let order = world.order().await;
    assert_eq!(world.pay(&order, "pm_card_visa").await.expect(201)["status"], "completed");
}

#[tokio::test]
async fn a_declined_card_is_reported_and_another_one_may_be_tried() {
    let world = World::start().await;
    let order = world.order().await;

    let declined = world
        .pay(&order, "tok_chargeDeclinedInsufficientFunds")
        .await
        .problem(402, "card-declined");
    assert_eq!(declined["declineCode"], "insufficient_funds");
    assert_eq!(declined["attemptsLeft"], 2);
    let payment = world.payment(&order).await;
    assert_eq!((&payment["status"], &payment["declines"]), (&json!("created"), &json!(1)));

    assert_eq!(world.pay(&order, "tok_visa").await.expect(201)["declines"], 1);
    world.published().await;
    let failed = world.infra.bus().published::<PaymentFailed>().await;
    assert_eq!(
        failed.iter().map(|event| (event.0.attempt, event.0.r#final)).collect::<Vec<_>>(),
        [(1, false)]
    );
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn after_the_last_decline_the_payment_fails_and_the_intent_is_cancelled() {
    let world = World::start().await;
    let order = world.order().await;
    for left in [2, 1, 0] {
        let declined = world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
        assert_eq!(declined["attemptsLeft"], left);
        let more = ["No attempts left.", "1 more attempt.", "2 more attempts."][left];
        assert_eq!(declined["detail"], format!("The card was declined (generic_decline). {more}"));
        assert_eq!(declined["declineCode"], "generic_decline");
    }
    world.pay(&order, "tok_visa").await.problem(409, "payment-failed");

    let last = world.infra.bus().wait_for::<PaymentFailed>(|event| event.0.r#final).await.0;
    assert_eq!(last.attempt, 3);
    world.payment_is(&order, "failed").await;
    assert_eq!(world.ledger().await["payment_intents"][0]["status"], "canceled");
    world.pay(&order, "tok_visa").await.problem(409, "payment-failed");
    assert_eq!(world.charged().await, (0, 0));
}

#[tokio::test]
async fn an_unknown_token_is_an_invalid_request_and_costs_no_attempt() {
    let world = World::start().await;
    let order = world.order().await;
    for token in ["tok_nobody", "pm_nobody"] {
        let response = world.pay(&order, token).await;
        response.problem(400, "invalid");
        assert_eq!(response.invalid_fields(), ["token"]);
    }
    assert_eq!(world.payment(&order).await["declines"], 0);
    world.pay(&order, "tok_visa").await.expect(201);
}

#[tokio::test]
async fn an_order_that_cannot_be_paid_is_refused_with_the_reason() {
    let world = World::start().await;
    let paid = world.order().await;
    world.pay(&paid, "tok_visa").await.expect(201);
    world.pay(&paid, "tok_visa").await.problem(409, "already-paid");

    for (why, slug) in [
        (CancelReason::User, "order-cancelled"),
        (CancelReason::TicketDeleted, "order-cancelled"),
        (CancelReason::Expired, "order-expired"),
    ] {
        let order = world.order().await;
        world.cancel(&order, why).await;
        world.pay(&order, "tok_visa").await.problem(409, slug);
    }
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn an_order_that_ends_after_a_decline_is_refused_with_the_reason_of_its_end() {
    let world = World::start().await;
    for (why, slug) in [
        (CancelReason::User, "order-cancelled"),
        (CancelReason::TicketDeleted, "order-cancelled"),
        (CancelReason::Expired, "order-expired"),
    ] {
        let order = world.order().await;
        world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
        world.cancel(&order, why).await;
        // Stripe's PaymentIntent is cancelled with the order.
        world.payment_is(&order, "failed").await;
        world.pay(&order, "tok_visa").await.problem(409, slug);
    }
    assert_eq!(world.charged().await, (0, 0));
}

#[tokio::test]
async fn in_the_last_second_of_a_reservation_nothing_is_sent_to_stripe() {
    let start = Clock::manual(Clock::system().now());
    let world = World::start_at(start).await;
    let order = world.order().await;
    world.infra.clock.advance(Duration::from_millis(899_000));
    world.pay(&order, "tok_visa").await.problem(409, "order-expired");
    assert_eq!(world.ledger().await["payment_intents"], json!([]));
}

#[tokio::test]
async fn only_the_buyer_pays() {
    let world = World::start().await;
    let order = world.order().await;
    let body = json!({ "orderId": order.id, "token": "tok_visa" });
    world.service.client().post("/api/payments", body.clone()).await.problem(401, "not-signed-in");
    for user in [world.seller.clone(), world.infra.user(), world.infra.admin()] {
        world
            .service
            .client_as(&user)
            .post("/api/payments", body.clone())
            .await
            .problem(403, "not-allowed");
    }
    for forgery in Forgery::ALL {
        let forged = world.infra.forged(&world.buyer, forgery);
        let response = world.service.client_as(&forged).post("/api/payments", body.clone()).await;
        response.problem(401, "not-signed-in");
    }
}

#[tokio::test]
async fn invalid_requests_are_refused_as_problems() {
    let world = World::start().await;
    let order = world.order().await;
    let client = world.as_buyer();
    for (body, field) in [
        (json!({ "token": "tok_visa" }), "orderId"),
        (json!({ "orderId": order.id }), "token"),
        (json!({ "orderId": 7, "token": "tok_visa" }), "orderId"),
        (json!({ "orderId": { "$gt": "" }, "token": "tok_visa" }), "orderId"),
        (json!({ "orderId": order.id, "token": { "$gt": "" } }), "token"),
        (json!({ "orderId": order.id, "token": "" }), "token"),
        (json!({ "orderId": order.id, "token": "4242424242424242" }), "token"),
        (json!({ "orderId": order.id, "token": format!("tok_{}", "x".repeat(300)) }), "token"),
        (json!(7), ""),
    ] {
        let response = client.post("/api/payments", body.clone()).await;
        response.problem(400, "invalid");
        assert_eq!(response.invalid_fields(), [field], "{body}");
    }
    for id in ["", "nonsense", "00000000-0000-0000-0000-000000000000"] {
        let body = json!({ "orderId": id, "token": "tok_visa" });
        client.post("/api/payments", body).await.problem(404, "not-found");
    }
    let post = || client.request(Method::POST, "/api/payments");
    let json = |request: testkit::Request| request.header("content-type", "application/json");
    json(post()).body("{").send().await.problem(400, "malformed");
    json(post()).body("").send().await.problem(400, "malformed");
    json(post()).body(vec![b' '; 3_000_000]).send().await.problem(413, "too-large");
    post()
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .problem(415, "unsupported-media-type");
    let response = client.request(Method::PUT, "/api/payments").send().await;
    response.problem(405, "method-not-allowed");
    assert!(response.header("allow").unwrap().contains("POST"));
    assert_eq!(world.charged().await, (0, 0));
}

/// Our key was revoked (401), or lacks a permission (403): that is an outage, and says nothing about the buyer's card.
#[tokio::test]
async fn while_stripe_refuses_our_key_the_buyer_may_retry() {
    for key in ["sk_revoked", "pk_test_local"] {
        let mut world = World::start_with_key(Clock::system(), key).await;
        let order = world.order().await;
        for token in ["tok_visa", "pm_card_visa"] {
            let response = world.pay(&order, token).await;
            response.problem(503, "unavailable");
            assert!(response.header("retry-after").is_some());
        }
        let payment = world.payment(&order).await;
        assert_eq!((&payment["status"], &payment["declines"]), (&json!("created"), &json!(0)));

        // The right key: payments is restarted.
        let app = connect(&world.infra, &world.stripe.url()).await;
        let service = TestService::serve(app::service(app, world.infra.verifier())).await;
        std::mem::replace(&mut world.service, service).stop().await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.charged().await, (1, 2050));
    }
}

#[tokio::test]
async fn a_new_order_can_be_paid_before_its_event_has_arrived() {
    let world = World::start().await;
    let order =
        order(world.infra.clock.now(), Duration::from_secs(900), world.buyer.id, world.seller.id);
    let (response, ()) = tokio::join!(world.pay(&order, "tok_visa"), async {
        // The request is on its way before the event is.
        tokio::task::yield_now().await;
        world.completes(&order);
        world.infra.bus().publish(&OrderCreated(order.clone())).await;
    });
    response.expect(201);
}

#[tokio::test]
async fn while_the_broker_is_down_an_unknown_order_is_unavailable_not_missing() {
    let world = World::start().await;
    let long_ago = common::Time::from_millis(1_700_000_000_000);
    let order = order(long_ago, Duration::from_secs(900), world.buyer.id, world.seller.id);
    world.pay(&order, "tok_visa").await.problem(404, "not-found");
    world.infra.nats.kill();
    testkit::eventually("payments to notice that it is disconnected", || async {
        let response = world.pay(&order, "tok_visa").await;
        (response.status == 503).then(|| response.problem(503, "unavailable"))
    })
    .await;
}

#[tokio::test]
async fn an_order_for_several_places_is_charged_its_total() {
    let world = World::start().await;
    let now = world.infra.clock.now();
    let one = order(now, Duration::from_secs(900), world.buyer.id, world.seller.id);
    let three = testkit::fixtures::with_places(one, [4, 7, 9]);
    world.create(&three).await;
    assert_eq!(world.pay(&three, "tok_visa").await.expect(201)["amount"], "61.50");
    assert_eq!(world.charged().await, (1, 6150));
    let event = world.infra.bus().wait_for::<PaymentCreated>(|_| true).await.0;
    assert_eq!(event.amount, three.total);
}
