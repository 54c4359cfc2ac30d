//! `POST /api/payments/{id}/refund`.

use common::events::{OrderRefundRequired, PaymentRefunded, RefundReason, RefundRequired};
use serde_json::json;
use testkit::eventually;

use crate::world::World;

#[tokio::test]
async fn the_seller_refunds_once() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    let refund =
        async |user: &testkit::TestUser| world.service.client_as(user).post(&path, json!({})).await;

    world.service.client().post(&path, json!({})).await.problem(401, "not-signed-in");
    for user in [&world.buyer, &world.infra.user()] {
        refund(user).await.problem(403, "not-allowed");
    }
    let response = refund(&world.seller).await;
    assert_eq!(response.expect(202)["status"], "refunding");
    assert_eq!(response.header("location"), path.strip_suffix("/refund"));
    refund(&world.seller).await.problem(409, "not-refundable");

    world.payment_is(&order, "refunded").await;
    assert_eq!(
        world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await.0.amount.minor(),
        2050
    );
    assert_eq!(world.charged().await, (1, 0));
    refund(&world.infra.admin()).await.problem(409, "not-refundable");
}

#[tokio::test]
async fn the_seller_says_whether_the_places_go_back_on_sale() {
    let world = World::start().await;
    let seller = world.service.client_as(&world.seller);
    for (body, relist) in [
        (None, false),
        (Some(json!({})), false),
        (Some(json!({ "relist": false })), false),
        (Some(json!({ "relist": true })), true),
    ] {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
        for wrong in [json!({ "relist": "yes" }), json!({ "relist": 1 })] {
            assert_eq!(seller.post(&path, wrong).await.invalid_fields(), ["relist"]);
        }
        let request = seller.request(testkit::Method::POST, &path);
        let response = match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        };
        response.expect(202);
        let refunded = |event: &PaymentRefunded| event.0.order_id == order.id;
        let event = world.infra.bus().wait_for::<PaymentRefunded>(refunded).await.0;
        assert_eq!(event.relist, relist);
    }
}

#[tokio::test]
async fn only_a_completed_payment_can_be_refunded() {
    let world = World::start().await;
    let order = world.order().await;
    world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    let payment = world.payment(&order).await;
    let seller = world.service.client_as(&world.seller);
    let path = |id: &str| format!("/api/payments/{id}/refund");
    seller
        .post(&path(payment["id"].as_str().unwrap()), json!({}))
        .await
        .problem(409, "not-refundable");
    for id in ["nonsense", "0190a0a0-0000-7000-8000-000000000000"] {
        seller.post(&path(id), json!({})).await.problem(404, "not-found");
    }
}

/// Stripe fails before and after executing the request, closes the connection, sends unreadable responses, limits the
/// rate, and the bank declines the refund: the payment is refunded, once.
#[tokio::test]
async fn a_refund_is_retried_until_it_has_succeeded_at_stripe() {
    let world = World::start().await;
    const KINDS: [&str; 8] = [
        "error_before",
        "error_after",
        "cut",
        "cut_after",
        "torn",
        "garbled",
        "rate_limit",
        "refund_fails",
    ];
    for kind in KINDS {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        world.fault("POST", "/v1/refunds", kind, 1).await;
        let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
        world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
        world.payment_is(&order, "refunded").await;
        assert_eq!(world.charged().await.1, 0, "{kind}");
    }
    let ledger = world.ledger().await;
    assert_eq!(ledger["totals"]["usd"]["refunds_succeeded"], KINDS.len());
    assert_eq!(ledger["totals"]["usd"]["refunds_failed"], 1);
    let metrics = world.service.admin_port().get("/metrics").await.text;
    assert!(metrics.contains("refunds_failed_total"), "{metrics}");
}

#[tokio::test]
async fn a_pending_refund_is_recorded_once_it_has_succeeded() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_pendingRefund").await.expect(201);
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
    eventually("the refund to be pending", || async {
        (world.ledger().await["totals"]["usd"]["refunds_pending"] == 1).then_some(())
    })
    .await;
    assert_eq!(world.payment(&order).await["status"], "refunding");
    let refunded = world.payment_is(&order, "refunded").await;
    let refunds = world.ledger().await["refunds"].clone();
    assert_eq!(
        (&refunds[0]["id"], refunds.as_array().unwrap().len()),
        (&refunded["stripeRefundId"], 1)
    );
}

/// Required by orders for each reason, while Stripe's response is lost.
#[tokio::test]
async fn a_payment_that_cannot_be_honoured_is_refunded_once_even_if_the_response_is_lost() {
    let world = World::start().await;
    for (why, kind) in [
        (RefundReason::TooLate, "error_after"),
        (RefundReason::OrderCancelled, "cut_after"),
        (RefundReason::TicketDeleted, "garbled"),
    ] {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        let payment_id = payment["id"].as_str().unwrap().parse().unwrap();
        world.fault("POST", "/v1/refunds", kind, 1).await;
        let required =
            RefundRequired { order_id: order.id, payment_id, why, reminder: false, version: 3 };
        world.infra.bus().publish(&OrderRefundRequired(required.clone())).await;
        world.payment_is(&order, "refunded").await;
        world.infra.bus().publish_again(&OrderRefundRequired(required)).await;
        world.infra.bus().settled("payments").await;
    }
    assert_eq!(world.charged().await, (3, 0));
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 3);
    world.published().await;
    let events = world.infra.bus().published::<PaymentRefunded>().await;
    assert_eq!(events.iter().filter(|event| !event.0.reminder).count(), 3);
}

/// The seller's support gives a part back in Stripe's dashboard; later the seller refunds the buyer.
#[tokio::test]
async fn what_was_refunded_in_stripes_dashboard_counts_towards_the_refund() {
    let world = World::start().await;
    for (parts, fault) in [
        (&[500][..], None),
        (&[500], Some("error_before")),
        (&[500], Some("error_after")),
        (&[500], Some("cut_after")),
        (&[500], Some("refund_fails")),
        (&[100; 12], Some("error_before")),
        (&[2050], None),
    ] {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        for part in parts {
            world.refund_in_dashboard(&payment, *part).await;
        }
        if let Some(kind) = fault {
            world.fault("POST", "/v1/refunds", kind, 1).await;
        }
        let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
        world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
        let refunded = world.payment_is(&order, "refunded").await;
        assert_eq!(world.charged().await.1, 0, "{parts:?} {fault:?}");
        let refunds = world.ledger().await["refunds"].clone();
        let known = |refund: &serde_json::Value| refund["id"] == refunded["stripeRefundId"];
        assert!(refunds.as_array().unwrap().iter().any(known), "{refunded}");
    }
}

/// A second part is refunded after the worker has listed the refunds, while its own refund fails.
#[tokio::test]
async fn a_part_that_is_refunded_concurrently_is_not_refunded_twice() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    world.refund_in_dashboard(&payment, 500).await;
    world.fault("POST", "/v1/refunds", "rate_limit", 3).await;
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
    eventually("the refund to be tried", || async {
        (world.requests("POST /v1/refunds").await > 1).then_some(())
    })
    .await;
    world.refund_in_dashboard(&payment, 300).await;
    world.payment_is(&order, "refunded").await;
    assert_eq!(world.charged().await, (1, 0));
}
