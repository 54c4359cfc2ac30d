//! What isn't known is asked again, and never charged twice: crashes, silence and failures of Stripe.

use std::time::Duration;

use common::events::{CancelReason, Order, PaymentCreated, PaymentFailed};
use futures::future::join_all;
use payments::app;
use payments::domain::Payment;
use store::Change;
use testkit::{TestService, eventually};
use tokio::time::Instant;

use crate::world::World;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";
const CANCEL: &str = "/v1/payment_intents/*/cancel";

#[tokio::test]
async fn stripe_failing_before_the_charge_is_asked_and_the_card_is_charged_once() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_before", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.taken().await, (1, 2050));
}

#[tokio::test]
async fn stripe_failing_after_the_charge_is_asked_and_the_card_is_charged_once() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_after", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.taken().await, (1, 2050));
}

#[tokio::test]
async fn an_answer_that_is_lost_unreadable_or_a_refusal_for_the_moment_charges_once() {
    let world = World::start().await;
    for kind in ["cut", "cut_after", "torn", "garbled", "rate_limit"] {
        let order = world.order().await;
        let before = world.taken().await.0;
        world.fault("POST", CONFIRM, kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.taken().await.0, before + 1, "{kind}");
    }
}

#[tokio::test]
async fn what_became_of_it_is_asked_until_there_is_an_answer() {
    let world = World::start().await;
    for kind in ["error_before", "cut", "torn", "garbled", "rate_limit"] {
        let order = world.order().await;
        let before = world.taken().await.0;
        world.fault("POST", CONFIRM, "error_after", 1).await;
        world.fault("GET", "/v1/payment_intents/*", kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.taken().await.0, before + 1, "{kind}");
    }
}

#[tokio::test]
async fn a_stripe_that_fails_again_and_again_has_charged_nothing_and_the_buyer_may_try_again() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "error_before", 2).await;
    world.pay(&order, "tok_visa").await.problem(503, "unavailable");
    assert_eq!(world.payment(&order).await["status"], "created");
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.taken().await, (1, 2050));
}

#[tokio::test]
async fn a_decline_that_was_lost_on_the_way_is_still_one_decline() {
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
async fn stripe_out_of_reach_says_that_nothing_was_sent_and_the_buyer_may_try_again() {
    let world = World::start().await;
    for path in ["/v1/payment_intents", "/v1/payment_methods"] {
        for kind in
            ["cut", "cut_after", "torn", "garbled", "error_before", "error_after", "rate_limit"]
        {
            let order = world.order().await;
            let before = world.taken().await.0;
            world.fault("POST", path, kind, 1).await;
            let answer = world.pay(&order, "tok_visa").await;
            answer.problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some());
            assert_eq!(world.taken().await.0, before, "{path} {kind}");

            world.pay(&order, "tok_visa").await.expect(201);
            assert_eq!(world.taken().await.0, before + 1, "{path} {kind}");
        }
    }
}

/// It has done nothing and says nothing; it has done it, and says so too late; it does it when nobody
/// waits any more. Whether one who is asked again after eight seconds speaks before the buyer's ten are over is
/// a matter of moments; of one that hangs nobody hears anything in time.
#[tokio::test]
async fn a_silent_stripe_is_answered_with_processing_and_settled_when_it_speaks() {
    let world = World::start().await;
    let orders = join_all((0..3).map(|_| world.order())).await;
    for kind in ["hang", "slow", "late"] {
        world.fault("POST", CONFIRM, kind, 1).await;
    }
    let answers = join_all(orders.iter().map(async |order| {
        let answer = world.pay(order, "tok_visa").await;
        assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text);
        let location = answer.header("location").unwrap().to_owned();
        if answer.status == 202 {
            assert_eq!(answer.body["status"], "processing");
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
        answer.status.as_u16()
    }))
    .await;
    assert!(answers.contains(&202), "{answers:?}");
    assert_eq!(world.taken().await, (3, 3 * 2050));
}

#[tokio::test]
async fn while_stripe_is_slow_no_other_replica_takes_the_payment_up() {
    let world = World::start().await;
    let second = crate::world::connect(&world.infra, &world.stripe.url()).await;
    let _second = TestService::serve(app::service(second, world.infra.verifier())).await;
    let order = world.order().await;
    world.fault_for(Duration::from_secs(6), "POST", CONFIRM, "slow", 1).await;
    world.pay(&order, "tok_visa").await.expect(201);
    assert_eq!(world.requests("POST /v1/payment_intents/{id}/confirm").await, 1);
}

#[tokio::test]
async fn what_was_sent_by_a_process_that_died_is_settled_by_another_one_within_five_seconds() {
    let world = World::start().await;
    let (unheard, unsent) = (world.order().await, world.order().await);
    let begun = Instant::now();
    for (order, arrives) in [(&unheard, true), (&unsent, false)] {
        let (intent, method) = prepared(&world, order).await;
        let now = world.app.clock.now();
        assert!(note(&world, order, |payment| payment.sending(1, now)).await.is_sent(1));
        if arrives {
            world.app.gateway.confirm(order.id, 1, &intent, &method).await.unwrap();
        }
    }
    for order in [&unheard, &unsent] {
        world.payment_is(order, "completed").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(world.taken().await.0, 2);
    world.published().await;
    assert_eq!(world.infra.bus().published::<PaymentCreated>().await.len(), 2);
}

#[tokio::test]
async fn what_a_process_that_died_had_not_sent_is_given_up_and_the_buyer_may_try_again() {
    let world = World::start().await;
    let orders = join_all((0..3).map(|_| world.order())).await;
    // What a process leaves behind that died after each of these steps of an attempt.
    for (steps, order) in orders.iter().enumerate() {
        claim(&world, order).await;
        if steps > 0 {
            let intent = make_intent(&world, order).await;
            if steps > 1 {
                let now = world.app.clock.now();
                note(&world, order, |payment| payment.intent_made(&intent, now)).await;
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
        // Should that process only have been asleep, it sends nothing more.
        let now = world.app.clock.now();
        assert!(!note(&world, order, |payment| payment.sending(1, now)).await.is_sent(1));
        world.pay(order, "tok_visa").await.expect(201);
    }
    assert_eq!(world.taken().await.0, 4);
}

#[tokio::test]
async fn nothing_is_sent_once_it_is_too_late_or_the_order_has_ended() {
    let world = World::start().await;
    let order = world.order().await;
    prepared(&world, &order).await;
    let end = order.expires_at;
    let too_late = |payment: &Payment| payment.sending(1, end - Duration::from_secs(1));
    assert!(!note(&world, &order, too_late).await.is_sent(1));
    world.cancel(&order, CancelReason::User).await;
    let now = world.app.clock.now();
    assert!(!note(&world, &order, |payment| payment.sending(1, now)).await.is_sent(1));
}

#[tokio::test]
async fn what_is_open_at_stripe_when_the_order_ends_is_canceled_there() {
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
    assert_eq!((intents.len(), world.taken().await), (2, (0, 0)));
}

/// The confirmation of a process that died is still on its way when the hold ends. It reaches Stripe
/// before the cancellation does, or after it.
#[tokio::test]
async fn a_success_that_comes_while_the_payment_intent_is_canceled_is_a_payment_all_the_same() {
    let world = World::start().await;
    let ms = Duration::from_millis;
    for (confirmed_after, canceled_after, status) in
        [(ms(800), ms(1600), "completed"), (ms(1600), ms(800), "failed")]
    {
        let order = world.order().await;
        let before = world.taken().await.0;
        let (intent, method) = prepared(&world, &order).await;
        let now = world.app.clock.now();
        note(&world, &order, |payment| payment.sending(1, now)).await;
        world.fault_for(confirmed_after, "POST", CONFIRM, "late", 1).await;
        world.fault_for(canceled_after, "POST", CANCEL, "late", 1).await;
        let ends = async {
            world.cancel(&order, CancelReason::Expired).await;
            note(&world, &order, |payment| payment.postponed(now)).await;
            world.payment_is(&order, status).await;
        };
        tokio::join!(ends, async {
            let confirmed = world.app.gateway.confirm(order.id, 1, &intent, &method).await;
            assert_eq!(confirmed.is_ok(), status == "completed", "{confirmed:?}");
        });
        let paid = i64::from(status == "completed");
        assert_eq!(world.taken().await.0, before + paid);
        world.published().await;
        let told = world.infra.bus().published::<PaymentCreated>().await;
        let told = told.iter().filter(|event| event.0.order_id == order.id);
        assert_eq!(told.count(), usize::from(status == "completed"));
    }
}

#[tokio::test]
async fn a_second_replica_does_no_harm() {
    let world = World::start().await;
    let second = crate::world::connect(&world.infra, &world.stripe.url()).await;
    let _second = TestService::serve(app::service(second, world.infra.verifier())).await;
    for _ in 0..10 {
        let order = world.order().await;
        world.pay(&order, "tok_visa").await.expect(201);
    }
    assert_eq!(world.taken().await.0, 10);
}

async fn claim(world: &World, order: &Order) {
    let now = world.app.clock.now();
    let payments = &world.app.store.payments;
    payments.change(order.id, |payment| payment.claim("tok_visa", 3, now).map(Some)).await.unwrap();
}

async fn make_intent(world: &World, order: &Order) -> String {
    let (price, currency) = (order.ticket.listing.price, &order.ticket.listing.currency);
    world.app.gateway.make_intent(order.id, 1, price, currency).await.unwrap()
}

/// An attempt of which all is written down but that it is sent: the PaymentIntent and the card.
async fn prepared(world: &World, order: &Order) -> (String, String) {
    claim(world, order).await;
    let intent = make_intent(world, order).await;
    let now = world.app.clock.now();
    note(world, order, |payment| payment.intent_made(&intent, now)).await;
    let method = world.app.gateway.make_method(order.id, 1, "tok_visa").await.unwrap();
    note(world, order, |payment| payment.method_made(1, &method, now)).await;
    (intent, method)
}

/// What a process of payments would write.
async fn note(
    world: &World,
    order: &Order,
    edit: impl Fn(&Payment) -> Option<Change<Payment>>,
) -> Payment {
    let payments = &world.app.store.payments;
    let noted = payments.change(order.id, |payment| Ok::<_, httpkit::Error>(edit(payment))).await;
    noted.unwrap().unwrap()
}
