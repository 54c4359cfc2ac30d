//! What isn't known is asked again, and never charged twice: crashes, silence and failures of Stripe.

use common::events::{CancelReason, PaymentCreated, PaymentFailed};
use payments::app;
use testkit::{TestService, eventually};

use crate::world::World;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";

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
async fn a_connection_that_breaks_before_or_after_the_charge_charges_once() {
    let world = World::start().await;
    for kind in ["cut", "cut_after"] {
        let order = world.order().await;
        let before = world.taken().await.0;
        world.fault("POST", CONFIRM, kind, 1).await;
        world.pay(&order, "tok_visa").await.expect(201);
        assert_eq!(world.taken().await.0, before + 1, "{kind}");
    }
}

#[tokio::test]
async fn a_decline_that_was_lost_on_the_way_is_still_one_decline() {
    let world = World::start().await;
    for kind in ["cut_after", "error_after"] {
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
        for kind in ["cut", "cut_after", "error_before", "error_after", "rate_limit"] {
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

#[tokio::test]
async fn a_silent_stripe_is_answered_with_processing_and_settled_when_it_speaks() {
    let world = World::start().await;
    let order = world.order().await;
    world.fault("POST", CONFIRM, "hang", 1).await;
    let answer = world.pay(&order, "tok_visa").await;
    let payment = answer.expect(202);
    assert_eq!(payment["status"], "processing");
    let location = answer.header("location").unwrap().to_owned();
    world.pay(&order, "tok_visa").await.problem(409, "payment-in-progress");
    eventually("the payment to be completed", || async {
        let payment = world.as_buyer().get(&location).await.expect(200);
        (payment["status"] == "completed").then_some(())
    })
    .await;
    assert_eq!(world.taken().await, (1, 2050));
}

#[tokio::test]
async fn a_process_that_died_after_any_step_is_replaced_by_the_next_one() {
    let world = World::start().await;
    // What a process leaves behind that died after each of these steps of an attempt.
    for steps in 0..4 {
        let order = world.order().await;
        let before = world.taken().await.0;
        let now = world.app.clock.now();
        let payments = &world.app.store.payments;
        payments
            .change(order.id, |payment| payment.claim("tok_visa", 3, now).map(Some))
            .await
            .unwrap();
        let gateway = &world.app.gateway;
        if steps > 0 {
            let intent = gateway
                .make_intent(order.id, 1, order.ticket.price, &order.ticket.currency)
                .await
                .unwrap();
            if steps > 1 {
                note(&world, &order, |payment| payment.intent_made(&intent, now)).await;
                let method = gateway.make_method(order.id, 1, "tok_visa").await.unwrap();
                note(&world, &order, |payment| payment.method_made(1, &method, now)).await;
                if steps > 2 {
                    note(&world, &order, |payment| payment.sending(1, now)).await;
                    gateway.confirm(order.id, 1, &intent, &method).await.unwrap();
                }
            }
        }
        // Nobody else is at it: the lease has run out.
        note(&world, &order, |payment| payment.postponed(now)).await;
        world.app.work.notify_one();
        world.payment_is(&order, "completed").await;
        assert_eq!(world.taken().await.0, before + 1, "after {steps} steps");
    }
    assert_eq!(world.infra.bus().published::<PaymentCreated>().await.len(), 4);
}

#[tokio::test]
async fn an_attempt_that_was_never_sent_is_given_up_when_the_order_has_ended() {
    let world = World::start().await;
    let order = world.order().await;
    let now = world.app.clock.now();
    let payments = &world.app.store.payments;
    payments.change(order.id, |payment| payment.claim("tok_visa", 3, now).map(Some)).await.unwrap();
    let intent = world
        .app
        .gateway
        .make_intent(order.id, 1, order.ticket.price, &order.ticket.currency)
        .await
        .unwrap();
    note(&world, &order, |payment| payment.intent_made(&intent, now)).await;
    note(&world, &order, |payment| payment.postponed(now)).await;
    world.cancel(&order, CancelReason::Expired).await;

    world.infra.bus().wait_for::<PaymentFailed>(|event| event.0.r#final).await;
    assert_eq!(world.payment(&order).await["status"], "failed");
    assert_eq!(world.ledger().await["payment_intents"][0]["status"], "canceled");
    assert_eq!(world.taken().await, (0, 0));
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

async fn note(
    world: &World,
    order: &common::events::Order,
    edit: impl Fn(&payments::domain::Payment) -> Option<common::bus::Change<payments::domain::Payment>>,
) {
    let payments = &world.app.store.payments;
    payments.change(order.id, |payment| Ok::<_, common::Error>(edit(payment))).await.unwrap();
}
