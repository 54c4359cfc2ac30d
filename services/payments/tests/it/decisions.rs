//! Authorise, decide, capture: a card is charged only for an order that is complete.

use common::events::Order;
use common::events::{
    CancelReason, OrderCompleted, OrderRefundRequired, PaymentCaptured, PaymentCreated,
    PaymentFailed, PaymentRefunded, PaymentReleased,
};
use payments::domain::{IntentState, OrderPayment, Refunds, Status};
use serde_json::{Value, json};
use testkit::fixtures::{self, OrderChanges as _};
use testkit::{Client, Method, eventually};

use crate::world::{World, completed};

const CAPTURE: &str = "/v1/payment_intents/*/capture";
const CANCEL: &str = "/v1/payment_intents/*/cancel";

/// The order completes.
async fn complete(world: &World, order: &Order) {
    world.infra.bus().publish(&OrderCompleted(completed(order))).await;
    world.infra.bus().settled("payments").await;
}

async fn refund(world: &World, payment: &OrderPayment, relist: bool) -> testkit::Response {
    let id = payment.payment.as_ref().unwrap().id;
    let seller = world.service.client_as(&world.seller);
    seller.post(&format!("/api/payments/{id}/refund"), json!({ "relist": relist })).await
}

/// Somebody acts in Stripe's dashboard.
async fn in_dashboard(world: &World, payment: &OrderPayment, action: &str) {
    let intent = payment.payment.as_ref().unwrap().intent.clone().unwrap();
    let stripe = Client::new(&world.stripe.url());
    let path = format!("/_dashboard/payment_intents/{intent}/{action}");
    let request = stripe.request(Method::POST, &path);
    let request = request.header("authorization", "Bearer sk_test_local");
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body("")
        .send()
        .await
        .expect(200);
}

/// What Stripe holds of the buyers' money: authorised, and kept.
async fn held(world: &World) -> (Value, Value) {
    let totals = world.ledger().await["totals"]["usd"].clone();
    (totals["authorised"].clone(), totals["kept"].clone())
}

#[tokio::test]
async fn what_is_authorised_is_captured_once_the_order_is_complete() {
    let world = World::start().await;
    let order = world.order().await;
    world.authorise(&order).await;
    assert_eq!(held(&world).await, (json!(2050), json!(0)));
    assert_eq!(world.payment(&order).await["status"], "processing", "that is internal");
    world.pay(&order, "tok_visa").await.problem(409, "payment-in-progress");
    complete(&world, &order).await;
    world.payment_is(&order, "completed").await;
    assert_eq!(held(&world).await, (json!(0), json!(2050)));
    world.pay(&order, "tok_visa").await.problem(409, "already-paid");
}

#[tokio::test]
async fn what_orders_rejects_is_released_and_nobody_is_charged() {
    let world = World::start().await;
    let order = world.order().await;
    let body = json!({ "orderId": order.id, "token": "tok_visa" });
    let buyer = world.as_buyer().with_idempotency_key("1");
    world.leaves_undecided(&order);
    let (refused, ()) = tokio::join!(buyer.post("/api/payments", body.clone()), async {
        let payment = world.status_is(&order, Status::Authorised).await;
        world.reject(&order, &payment).await;
    });
    let problem = refused.problem(409, "order-cancelled");
    assert_eq!(problem["detail"], "This order could not be completed. Your card was not charged.");
    let again = buyer.post("/api/payments", body).await;
    assert_eq!(again.stored_parts(), refused.stored_parts());
    assert_eq!(world.payment(&order).await["status"], "released");
    assert_eq!(held(&world).await, (json!(0), json!(0)));
    assert_eq!(world.charged().await, (0, 0));
    let released = world.infra.bus().wait_for::<PaymentReleased>(|_| true).await.0;
    assert_eq!((released.order_id, released.amount), (order.id, order.total));
    assert!(world.infra.bus().published::<PaymentRefunded>().await.is_empty());
}

/// A cancellation that is not the answer to it changes nothing about what is authorised.
#[tokio::test]
async fn the_end_of_the_order_alone_does_not_release_what_is_authorised() {
    let world = World::start().await;
    let order = world.order().await;
    world.authorise(&order).await;
    world.cancel(&order, CancelReason::Expired).await;
    let payment = world.status_is(&order, Status::Authorised).await;
    assert!(payment.next_run_at.is_none() && !payment.payment.unwrap().cancelling);
    assert_eq!(held(&world).await, (json!(2050), json!(0)));
    // The buyer gets places again.
    let again = completed(&order).with_version(3);
    world.infra.bus().publish(&OrderCompleted(again)).await;
    world.payment_is(&order, "completed").await;
    assert_eq!(held(&world).await, (json!(0), json!(2050)));
}

#[tokio::test]
async fn a_capture_without_a_readable_response_charges_once() {
    let world = World::start().await;
    for kind in ["error_before", "error_after", "cut", "cut_after", "torn", "garbled", "rate_limit"]
    {
        let order = world.order().await;
        let before = world.charged().await;
        world.fault("POST", CAPTURE, kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.charged().await, (before.0 + 1, before.1 + 2050), "{kind}");
    }
}

#[tokio::test]
async fn while_a_capture_keeps_failing_it_is_tried_under_further_numbers() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CAPTURE, "error_before", 3).await;
    // The pauses grow: it may take longer than the response waits.
    world.pay(&order, "tok_visa").await;
    world.payment_is(&order, "completed").await;
    let payment = world.app.store.find(order.id).await.unwrap().unwrap().payment.unwrap();
    assert_eq!(payment.capture.number.get(), 4);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_release_without_a_readable_response_is_repeated_until_stripe_confirms_it() {
    let world = World::start().await;
    for kind in ["error_before", "error_after", "cut", "cut_after", "garbled", "rate_limit"] {
        let order = world.order().await;
        let payment = world.authorise(&order).await;
        world.fault("POST", CANCEL, kind, 1).await;
        world.reject(&order, &payment).await;
        world.payment_is(&order, "released").await;
        assert_eq!(held(&world).await, (json!(0), json!(0)), "{kind}");
    }
}

#[tokio::test]
async fn the_seller_refunds_what_is_only_authorised_and_it_is_released() {
    let world = World::start().await;
    for relist in [false, true] {
        let order = world.order().await;
        let payment = world.authorise(&order).await;
        refund(&world, &payment, relist).await.expect(202);
        refund(&world, &payment, !relist).await.problem(409, "not-refundable");
        world.payment_is(&order, "released").await;
        // orders' answer comes late.
        complete(&world, &order).await;
        assert_eq!(world.payment(&order).await["status"], "released");
        let is_it = |event: &PaymentReleased| event.0.order_id == order.id;
        let released = world.infra.bus().wait_for::<PaymentReleased>(is_it).await.0;
        assert_eq!(released.relist, relist);
    }
    assert_eq!(world.charged().await, (0, 0));
}

/// The seller refunds while the capture is in flight, which is faster: what was charged goes back.
#[tokio::test]
async fn a_refund_during_the_capture_gives_back_what_was_charged() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.authorise(&order).await;
    let late = std::time::Duration::from_millis(1500);
    world.fault_for(late, "POST", CAPTURE, "slow", 1).await;
    complete(&world, &order).await;
    eventually("the capture to be in flight", || async {
        (world.requests("POST /v1/payment_intents/{id}/capture").await > 0
            || world.ledger().await["totals"]["usd"]["charged"] == 2050)
            .then_some(())
    })
    .await;
    refund(&world, &payment, false).await.expect(202);
    world.payment_is(&order, "refunded").await;
    assert_eq!(held(&world).await, (json!(0), json!(0)));
    let refunded = world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await.0;
    assert!(!refunded.relist);
    assert!(world.infra.bus().published::<PaymentCaptured>().await.is_empty());
}

/// The capture and the seller's refund race: the money goes back in each case.
#[tokio::test]
async fn a_completion_and_a_refund_at_once_leave_no_money() {
    let world = World::start().await;
    for _ in 0..20 {
        let order = world.order().await;
        let payment = world.authorise(&order).await;
        let (response, ()) =
            tokio::join!(refund(&world, &payment, false), complete(&world, &order));
        response.expect(202);
        eventually("the money to be back", || async {
            let status = world.payment(&order).await["status"].clone();
            (status == "released" || status == "refunded").then_some(())
        })
        .await;
        assert_eq!(held(&world).await, (json!(0), json!(0)));
    }
}

/// The authorisation has expired, or was cancelled in Stripe's dashboard: a capture is impossible.
#[tokio::test]
async fn what_cannot_be_captured_any_more_has_failed() {
    let world = World::start().await;
    for action in ["cancel", "expire"] {
        let order = world.order().await;
        let payment = world.authorise(&order).await;
        in_dashboard(&world, &payment, action).await;
        complete(&world, &order).await;
        world.payment_is(&order, "failed").await;
        let is_it = |event: &PaymentFailed| event.0.order_id == order.id && event.0.r#final;
        let failed = world.infra.bus().wait_for::<PaymentFailed>(is_it).await.0;
        let is_it = |event: &PaymentCreated| event.0.order_id == order.id;
        let created = world.infra.bus().wait_for::<PaymentCreated>(is_it).await.0;
        assert!(failed.version > created.version);
        let refused = world.pay(&order, "tok_visa").await.problem(409, "order-cancelled");
        assert!(refused["detail"].as_str().unwrap().contains("not charged"), "{refused}");
    }
    assert_eq!(world.charged().await, (0, 0));
}

/// Somebody captures in Stripe's dashboard before orders has answered; and refunds it there.
#[tokio::test]
async fn what_was_captured_or_refunded_at_stripe_is_taken_over() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.authorise(&order).await;
    in_dashboard(&world, &payment, "capture").await;
    complete(&world, &order).await;
    world.payment_is(&order, "completed").await;
    assert_eq!(world.charged().await, (1, 2050));

    let order = world.order().await;
    let payment = world.authorise(&order).await;
    in_dashboard(&world, &payment, "capture").await;
    in_dashboard(&world, &payment, "refund").await;
    complete(&world, &order).await;
    world.payment_is(&order, "refunded").await;
    assert_eq!(held(&world).await.1, json!(2050), "that of the first order");
}

/// A process that was suspended for a while reports what it has read, after the last decline has ended the payment.
#[tokio::test]
async fn an_authorisation_of_a_suspended_process_is_a_late_payment_also_after_the_last_decline() {
    let world = World::start().await;
    let order = world.order().await;
    for _ in 0..3 {
        world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    }
    let failed = world.payment_is(&order, "failed").await;
    let payment = world.app.store.find(order.id).await.unwrap().unwrap();
    let (limits, now) = (world.app.limits, world.app.clock.now());
    // The PaymentIntent is cancelled by then: what is being cancelled never becomes authorised.
    let state = IntentState::RequiresCapture;
    assert!(payment.record_intent_state(&state, limits, now).is_none(), "{failed}");
    // Before that was decided, the document becomes authorised, and orders decides.
    let mut before = payment.clone();
    let inner = before.payment.as_mut().unwrap();
    (inner.cancelling, inner.cancelled) = (false, false);
    let change = before.record_intent_state(&state, limits, now).unwrap();
    assert_eq!(change.thing.payment.unwrap().status, Status::Authorised);
    assert_eq!(change.events[0].subject().as_str(), "payment.created");
}

/// A fact is written whole, and newer facts are never undone by older ones.
#[tokio::test]
async fn facts_twice_and_late_change_nothing() {
    let world = World::start().await;
    let order = world.order().await;
    world.pay(&order, "tok_visa").await.expect(201);
    let payment = world.app.store.find(order.id).await.unwrap().unwrap();
    let (limits, now) = (world.app.limits, world.app.clock.now());
    for state in [
        IntentState::RequiresCapture,
        IntentState::Canceled,
        IntentState::Succeeded(Refunds::NONE),
        IntentState::RequiresPaymentMethod { last_charge: None, decline_code: None },
    ] {
        assert!(payment.record_intent_state(&state, limits, now).is_none(), "{state:?}");
    }
    let part = Refunds {
        succeeded: common::Money::from_minor(500),
        newest: Some("re_1".to_owned()),
        is_pending: false,
    };
    let change =
        payment.record_intent_state(&IntentState::Succeeded(part.clone()), limits, now).unwrap();
    assert!(change.events.is_empty());
    let partly = change.thing;
    assert_eq!(partly.payment.as_ref().unwrap().amount_refunded, part.succeeded);
    let none = IntentState::Succeeded(Refunds::NONE);
    assert!(partly.record_intent_state(&none, limits, now).is_none(), "that is older");
    let whole = Refunds { succeeded: order.total, ..part };
    let refunded = partly.record_intent_state(&IntentState::Succeeded(whole), limits, now).unwrap();
    assert_eq!(refunded.thing.payment.unwrap().status, Status::Refunded);
    assert_eq!(refunded.events[0].subject().as_str(), "payment.refunded");
}

/// `order.refund_required` comes twice, and again after the release: it is released once.
#[tokio::test]
async fn a_rejection_twice_and_late_releases_once() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.authorise(&order).await;
    world.reject(&order, &payment).await;
    let released = world.payment_is(&order, "released").await;
    let required = fixtures::refund_required(order.id, payment.payment.as_ref().unwrap().id);
    for _ in 0..2 {
        world.infra.bus().publish_again(&OrderRefundRequired(required.clone())).await;
    }
    world.infra.bus().settled("payments").await;
    assert_eq!(world.payment(&order).await, released);
    assert_eq!(world.infra.bus().published::<PaymentReleased>().await.len(), 1);
}
