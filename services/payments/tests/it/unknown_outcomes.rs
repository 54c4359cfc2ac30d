//! Unknown outcomes are resolved, and nothing is charged twice: crashes, timeouts and failures of Stripe.

use std::time::Duration;

use common::events::{CancelReason, Order, PaymentCreated, PaymentFailed};
use futures::future::join_all;
use payments::app;
use payments::domain::{
    AttemptNumber, IntentNumber, IntentState, OrderPayment, Status, StripeResult, Total,
};
use store::Change;
use testkit::{TestService, eventually};
use tokio::time::Instant;

use crate::world::World;

/// The one attempt of most tests.
const FIRST: AttemptNumber = AttemptNumber::FIRST;
const CONFIRM: &str = "/v1/payment_intents/*/confirm";
const CANCEL: &str = "/v1/payment_intents/*/cancel";

#[tokio::test]
async fn a_failure_before_the_charge_is_resolved_and_the_card_is_charged_once() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_before", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_failure_after_the_charge_is_resolved_and_the_card_is_charged_once() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_after", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_lost_unreadable_or_rate_limited_response_charges_once() {
    let world = World::start().await;
    for kind in ["cut", "cut_after", "torn", "garbled", "rate_limit"] {
        let order = world.order().await;
        let before = world.charged().await.0;
        world.fault("POST", CONFIRM, kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.charged().await.0, before + 1, "{kind}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_retrieved_until_stripe_responds() {
    let world = World::start().await;
    for kind in ["error_before", "cut", "torn", "garbled", "rate_limit"] {
        let order = world.order().await;
        let before = world.charged().await.0;
        world.fault("POST", CONFIRM, "error_after", 1).await;
        world.fault("GET", "/v1/payment_intents/*", kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.charged().await.0, before + 1, "{kind}");
    }
}

#[tokio::test]
async fn after_repeated_failures_nothing_is_charged_and_the_buyer_may_retry() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_before", 2).await;
    world.pay(&order, "tok_visa").await.problem(503, "unavailable");
    assert_eq!(world.payment(&order).await["status"], "created");
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.charged().await, (1, 2050));
}

#[tokio::test]
async fn a_decline_whose_response_was_lost_counts_once() {
    let world = World::start().await;
    for kind in ["cut_after", "error_after", "torn", "garbled"] {
        let order = world.order().await;
        world.fault("POST", CONFIRM, kind, 1).await;
        let declined = world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
        assert_eq!(declined["attemptsLeft"], 2, "{kind}");
        assert_eq!(world.payment(&order).await["declines"], 1, "{kind}");
    }
}

#[tokio::test]
async fn while_stripe_is_unreachable_nothing_is_sent_and_the_buyer_may_retry() {
    let world = World::start().await;
    for path in ["/v1/payment_intents", "/v1/payment_methods"] {
        for kind in
            ["cut", "cut_after", "torn", "garbled", "error_before", "error_after", "rate_limit"]
        {
            let order = world.order().await;
            let before = world.charged().await.0;
            world.fault("POST", path, kind, 1).await;
            let response = world.pay(&order, "tok_visa").await;
            response.problem(503, "unavailable");
            assert!(response.header("retry-after").is_some());
            assert_eq!(world.charged().await.0, before, "{path} {kind}");

            world.pay(&order, "tok_visa").await.expect(201);
            assert_eq!(world.charged().await.0, before + 1, "{path} {kind}");
        }
    }
}

/// Stripe doesn't execute the request and doesn't respond; executes it and responds too late; executes it after the
/// timeout. Whether the retry after eight seconds responds before the buyer's ten seconds are over is a matter of
/// milliseconds; a request that hangs has no outcome in time.
#[tokio::test]
async fn without_a_response_from_stripe_the_payment_is_processing_and_later_completed() {
    let world = World::start().await;
    let orders = join_all((0..3).map(|_| world.order())).await;
    for kind in ["hang", "slow", "late"] {
        world.fault("POST", CONFIRM, kind, 1).await;
    }
    let responses = join_all(orders.iter().map(async |order| {
        let response = world.pay(order, "tok_visa").await;
        assert!([201, 202].contains(&response.status.as_u16()), "{}", response.text);
        let location = response.header("location").unwrap().to_owned();
        if response.status == 202 {
            assert_eq!(response.body["status"], "processing");
        }
        eventually("the payment to be completed", || async {
            let again = world.pay(order, "tok_visa").await;
            let payment = world.as_buyer().get(&location).await.expect(200);
            if payment["status"] == "processing" {
                again.problem(409, "payment-in-progress");
            }
            (payment["status"] == "completed").then_some(())
        })
        .await;
        response.status.as_u16()
    }))
    .await;
    assert!(responses.contains(&202), "{responses:?}");
    assert_eq!(world.charged().await, (3, 3 * 2050));
}

#[tokio::test]
async fn while_stripe_is_slow_no_other_replica_claims_the_payment() {
    let world = World::start().await;
    let second = crate::world::connect(&world.infra, &world.stripe.url()).await;
    let _second = TestService::serve(app::service(second, world.infra.verifier())).await;
    let order = world.order().await;
    world.fault_for(Duration::from_secs(6), "POST", CONFIRM, "slow", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.requests("POST /v1/payment_intents/{id}/confirm").await, 1);
}

#[tokio::test]
async fn a_confirmation_of_a_crashed_process_is_resolved_by_another_one_within_five_seconds() {
    let world = World::start().await;
    let (executed, lost) = (world.order().await, world.order().await);
    let begun = Instant::now();
    for (order, arrives) in [(&executed, true), (&lost, false)] {
        let (intent, method) = prepared(&world, order).await;
        let now = world.app.clock.now();
        assert!(
            record(&world, order, |payment| payment.mark_sent(FIRST, now)).await.is_sent(FIRST)
        );
        if arrives {
            confirm(&world, order, &intent, &method).await.unwrap();
        }
    }
    for order in [&executed, &lost] {
        world.payment_is(order, "completed").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(world.charged().await.0, 2);
    world.published().await;
    assert_eq!(world.infra.bus().published::<PaymentCreated>().await.len(), 2);
}

#[tokio::test]
async fn an_unsent_attempt_of_a_crashed_process_is_abandoned_and_the_buyer_may_retry() {
    let world = World::start().await;
    let orders = join_all((0..3).map(|_| world.order())).await;
    // The process crashes after each of these steps of an attempt.
    for (steps, order) in orders.iter().enumerate() {
        begin_attempt(&world, order).await;
        if steps > 0 {
            let intent = create_intent(&world, order).await;
            if steps > 1 {
                let now = world.app.clock.now();
                record(&world, order, |payment| payment.record_intent(&intent, now)).await;
            }
        }
    }
    let fourth = world.order().await;
    prepared(&world, &fourth).await;
    let orders: Vec<_> = orders.into_iter().chain([fourth]).collect();
    for order in &orders {
        world.pay(order, "tok_visa").await.problem(409, "payment-in-progress");
    }
    for order in &orders {
        world.payment_is(order, "created").await;
        // If that process was only suspended, it sends nothing more.
        let now = world.app.clock.now();
        assert!(
            !record(&world, order, |payment| payment.mark_sent(FIRST, now)).await.is_sent(FIRST)
        );
        world.pay(order, "tok_visa").await.expect(201);
    }
    assert_eq!(world.charged().await.0, 4);
}

#[tokio::test]
async fn nothing_is_sent_in_the_last_second_or_after_the_order_has_ended() {
    let world = World::start().await;
    let order = world.order().await;
    prepared(&world, &order).await;
    let end = order.expires_at;
    let too_late = |payment: &OrderPayment| payment.mark_sent(FIRST, end - Duration::from_secs(1));
    assert!(!record(&world, &order, too_late).await.is_sent(FIRST));
    world.cancel(&order, CancelReason::User).await;
    let now = world.app.clock.now();
    assert!(!record(&world, &order, |payment| payment.mark_sent(FIRST, now)).await.is_sent(FIRST));
}

#[tokio::test]
async fn an_unpaid_intent_is_cancelled_at_stripe_when_the_order_ends() {
    let world = World::start().await;
    let (declined, unsent) = (world.order().await, world.order().await);
    world.pay(&declined, "tok_chargeDeclined").await.problem(402, "card-declined");
    prepared(&world, &unsent).await;
    for (kind, order) in [("cut_after", &declined), ("error_after", &unsent)] {
        world.fault("POST", CANCEL, kind, 1).await;
        world.cancel(order, CancelReason::Expired).await;
        let last = |event: &PaymentFailed| event.0.r#final && event.0.order_id == order.id;
        world.infra.bus().wait_for::<PaymentFailed>(last).await;
        assert_eq!(world.payment(order).await["status"], "failed", "{kind}");
    }
    let ledger = world.ledger().await;
    let intents = ledger["payment_intents"].as_array().unwrap();
    assert!(intents.iter().all(|intent| intent["status"] == "canceled"), "{ledger}");
    assert_eq!((intents.len(), world.charged().await), (2, (0, 0)));
}

/// The confirmation of a crashed process is still in flight when the reservation expires. It reaches Stripe before the
/// cancellation, or after it: nobody is charged, and what is being cancelled never becomes authorised.
#[tokio::test]
async fn a_confirmation_that_races_with_the_cancellation_charges_nobody() {
    let world = World::start().await;
    let ms = Duration::from_millis;
    for (confirmed_after, canceled_after) in [(ms(800), ms(1600)), (ms(1600), ms(800))] {
        let order = world.order().await;
        let (intent, method) = prepared(&world, &order).await;
        let now = world.app.clock.now();
        record(&world, &order, |payment| payment.mark_sent(FIRST, now)).await;
        world.fault_for(confirmed_after, "POST", CONFIRM, "late", 1).await;
        world.fault_for(canceled_after, "POST", CANCEL, "late", 1).await;
        let ends = async {
            world.cancel(&order, CancelReason::Expired).await;
            record(&world, &order, |payment| payment.postpone(now, now)).await;
            world.payment_is(&order, "failed").await;
        };
        tokio::join!(ends, async {
            let confirmed = confirm(&world, &order, &intent, &method).await;
            assert_eq!(confirmed.is_ok(), confirmed_after < canceled_after, "{confirmed:?}");
        });
        world.published().await;
        assert!(world.infra.bus().published::<PaymentCreated>().await.is_empty());
        // The result of the confirmation arrives only now.
        let authorised = IntentState::RequiresCapture;
        let late = record(&world, &order, |payment| {
            payment.record_attempt_state(FIRST, &authorised, world.app.limits, now)
        });
        assert_eq!(late.await.payment.unwrap().status, Status::Failed);
    }
    assert_eq!(world.charged().await, (0, 0));
    assert_eq!(world.ledger().await["totals"]["usd"]["authorised"], 0);
}

#[tokio::test]
async fn with_two_replicas_each_order_is_charged_once() {
    let world = World::start().await;
    let second = crate::world::connect(&world.infra, &world.stripe.url()).await;
    let _second = TestService::serve(app::service(second, world.infra.verifier())).await;
    for _ in 0..10 {
        let order = world.order().await;
        world.pay(&order, "tok_visa").await.expect(201);
    }
    assert_eq!(world.charged().await.0, 10);
}

async fn begin_attempt(world: &World, order: &Order) {
    let now = world.app.clock.now();
    let (token, limits) = ("tok_visa".parse().unwrap(), world.app.limits);
    record(world, order, |payment| payment.begin_attempt(&token, limits, now).ok()).await;
}

async fn create_intent(world: &World, order: &Order) -> String {
    let gateway = &world.app.gateway;
    gateway.create_intent(order.id, IntentNumber::FIRST, &total(order)).await.unwrap()
}

fn total(order: &Order) -> Total {
    let listing = &order.ticket.listing;
    Total { amount: listing.price, currency: listing.currency.clone() }
}

async fn confirm(
    world: &World,
    order: &Order,
    intent: &str,
    method: &str,
) -> StripeResult<IntentState> {
    let (method, url) = (method.parse().unwrap(), world.app.return_url(order.id));
    world.app.gateway.confirm(order.id, FIRST, intent, &method, &url, &total(order)).await
}

/// An attempt that is ready to be sent: its PaymentIntent and PaymentMethod are recorded.
async fn prepared(world: &World, order: &Order) -> (String, String) {
    begin_attempt(world, order).await;
    let intent = create_intent(world, order).await;
    let now = world.app.clock.now();
    record(world, order, |payment| payment.record_intent(&intent, now)).await;
    let token = "tok_visa".parse().unwrap();
    let method = world.app.gateway.create_payment_method(order.id, FIRST, &token).await.unwrap();
    record(world, order, |payment| payment.record_payment_method(FIRST, &method, now)).await;
    (intent, method)
}

/// Records what a payments process would.
async fn record(
    world: &World,
    order: &Order,
    edit: impl Fn(&OrderPayment) -> Option<Change<OrderPayment>>,
) -> OrderPayment {
    world.app.store.record(order.id, edit).await.unwrap()
}
