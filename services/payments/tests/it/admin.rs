//! The admin CLI: `payments dead-letters …`, `payments republish …`.

use common::events::{
    CancelReason, OrderRefundRequired, PaymentCaptured, PaymentFailed, PaymentRefunded,
    RefundReason, Stream,
};
use common::ids::PaymentId;
use payments::domain::OrderPayment;
use serde_json::json;
use store::RESTORE_VERSION_OFFSET;
use testkit::fixtures::{self, RefundRequiredChanges as _};
use testkit::{Program, eventually};

use crate::world::World;

fn payments(world: &World) -> Program {
    world.infra.program("payments").with("STRIPE_KEY", "sk_test_local")
}

#[tokio::test]
async fn help_lists_every_command() {
    let world = World::start().await;
    let help = payments(&world).run(&["--help"]).await;
    let (_, commands) = help.expect_success().split_once("Admin commands:").unwrap();
    let commands: Vec<&str> =
        commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["dead-letters", "republish", "reconcile", "parked", "settle"] {
        assert!(commands.contains(&name), "{name}: {}", help.stdout);
    }
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_replayed_until_it_succeeds() {
    let world = World::start().await;
    let cli = payments(&world);
    let list = cli.run(&["dead-letters", "list"]).await;
    assert_eq!(list.expect_success(), "No dead letters.\n");

    // With one delivery, a message that fails once becomes a dead letter.
    world.infra.bus().limit_deliveries("payments", Stream::Orders, 1).await;
    let order = world.order().await;
    let payment_id = PaymentId::new(world.infra.clock.now());
    let refund = |payment_id| {
        OrderRefundRequired(fixtures::refund_required(order.id, payment_id).with_version(3))
    };
    world.infra.bus().publish(&refund(payment_id)).await;
    eventually("the dead letter", || async { world.infra.bus().dead_letters().await.pop() }).await;

    let list = cli.run(&["dead-letters", "list"]).await;
    let line = list.expect_success().lines().nth(1).unwrap().to_owned();
    assert!(line.starts_with("1 "), "{line}");
    for expected in ["order.refund_required", "ORDERS 2", "maximum deliveries reached"] {
        assert!(line.contains(expected), "{expected} is not in: {line}");
    }
    let shown = cli.run(&["dead-letters", "show", "1"]).await;
    for expected in [
        "from        ORDERS, sequence 2".to_owned(),
        format!("  ce-id: order.refund_required:{}:3", order.id),
        format!("  \"paymentId\": \"{payment_id}\","),
    ] {
        assert!(
            shown.expect_success().contains(&expected),
            "{expected} is not in:\n{}",
            shown.stdout
        );
    }

    let failed = cli.run(&["dead-letters", "replay", "1"]).await;
    assert_eq!(failed.expect_failure(), "error: 1 of 1 could not be handled\n");
    let expected = format!(
        "1: order.refund_required failed again: payment {payment_id}: not known to be authorised\n"
    );
    assert_eq!(failed.stdout, expected);
    assert_eq!(world.infra.bus().dead_letters().await.len(), 1);
}

#[tokio::test]
async fn a_replayed_dead_letter_takes_effect_and_is_removed() {
    let world = World::start().await;
    let order = world.order().await;
    let paid = world.pay(&order, "tok_visa").await.expect(201);
    let refund = OrderRefundRequired(
        fixtures::refund_required(order.id, paid["id"].as_str().unwrap().parse().unwrap())
            .with_reason(RefundReason::TicketDeleted)
            .with_version(3),
    );
    // Terminated before it was handled.
    world.infra.bus().publish_dead_letter("payments", &refund, "by hand").await;
    world.infra.bus().publish_dead_letter("payments", &refund, "by hand").await;

    let replayed = payments(&world).run(&["dead-letters", "replay", "--all"]).await;
    let expected = "1: order.refund_required handled and removed\n\
                    2: order.refund_required handled and removed\n";
    assert_eq!(replayed.expect_success(), expected);
    assert!(world.infra.bus().dead_letters().await.is_empty());
    world.payment_is(&order, "refunded").await;
    assert_eq!(world.charged().await, (1, 0));
    let none = payments(&world).run(&["dead-letters", "replay", "--all"]).await;
    assert_eq!(none.expect_success(), "No dead letters.\n");
}

#[tokio::test]
async fn a_dead_letter_of_another_service_or_an_unknown_one_is_an_error() {
    let world = World::start().await;
    let order = world.order().await;
    let refund = OrderRefundRequired(
        fixtures::refund_required(order.id, PaymentId::new(world.infra.clock.now()))
            .with_version(3),
    );
    world.infra.bus().publish_dead_letter("orders", &refund, "of another service").await;
    let cli = payments(&world);
    for number in ["1", "2"] {
        for verb in ["show", "replay"] {
            let ended = cli.run(&["dead-letters", verb, number]).await;
            let error = format!("error: payments has no dead letter {number}\n");
            assert_eq!(ended.expect_failure(), error);
        }
    }
    assert_eq!(world.infra.bus().dead_letters().await.len(), 1);
    cli.run(&["dead-letters", "replay"]).await.expect_failure();
}

#[tokio::test]
async fn a_missing_setting_is_named_and_unneeded_ones_are_optional() {
    let world = World::start().await;
    for name in ["MONGO_URI", "NATS_URL", "STRIPE_KEY"] {
        let ended = payments(&world).without(name).run(&["dead-letters", "list"]).await;
        let error = ended.expect_failure();
        assert!(error.contains(&format!("<{name}>")), "{error}");
    }
    let unreachable = payments(&world).with("NATS_URL", "nats://127.0.0.1:1");
    let ended = unreachable.run(&["dead-letters", "list"]).await;
    assert!(ended.expect_failure().contains("NATS_URL"), "{}", ended.stderr);
}

#[tokio::test]
async fn every_payment_is_republished_in_its_present_state() {
    let world = World::start().await;
    let (paid, refunded, declined, unpaid) =
        (world.order().await, world.order().await, world.order().await, world.order().await);
    world.pay(&paid, "tok_visa").await.expect(201);
    let payment = world.pay(&refunded, "tok_visa").await.expect(201);
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
    world.payment_is(&refunded, "refunded").await;
    world.pay(&declined, "tok_chargeDeclined").await.problem(402, "card-declined");
    let bus = world.infra.bus();
    bus.wait_for::<PaymentRefunded>(|_| true).await;
    bus.wait_for::<PaymentFailed>(|_| true).await;

    let republished = payments(&world).run(&["republish"]).await;
    let expected = "Republishing 3 events of 3 documents.\nAll events are published.\n";
    assert_eq!(republished.expect_success(), expected);
    let captured = bus.published::<PaymentCaptured>().await;
    assert_eq!(captured.iter().filter(|event| event.0.order_id == paid.id).count(), 2);
    assert_eq!(captured[0], *captured.last().unwrap(), "the same, in the same version");
    let of_refunded = captured.iter().filter(|event| event.0.order_id == refunded.id).count();
    assert_eq!(of_refunded, 1, "a refunded payment is republished as refunded");
    let refunds = bus.published::<PaymentRefunded>().await;
    assert_eq!(refunds.len(), 2);
    assert_eq!(refunds[0], refunds[1]);
    let failed = bus.published::<PaymentFailed>().await;
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0], failed[1]);
    assert!(!failed[1].0.r#final && failed[1].0.order_id == declined.id);
    assert!(world.payment(&unpaid).await.is_null());

    let republished = payments(&world).run(&["republish", "--restored"]).await;
    republished.expect_success();
    let last = bus.published::<PaymentCaptured>().await.pop().unwrap();
    assert_eq!(last.0.version, captured[0].0.version + RESTORE_VERSION_OFFSET);
    // The running service continues from the new versions.
    let response = world.pay(&unpaid, "tok_visa").await.expect(201);
    assert!(response["version"].as_i64().unwrap() > RESTORE_VERSION_OFFSET);
}

#[tokio::test]
async fn a_refund_lost_by_a_restore_is_retrieved_from_stripe_and_not_repeated() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let back_up = world.app.store.find(order.id).await.unwrap().unwrap();
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
    let refunded = world.payment_is(&order, "refunded").await;

    let newest = world.app.store.find(order.id).await.unwrap().unwrap();
    let back_up = OrderPayment { version: newest.version + 1, ..back_up };
    let documents = world.app.store.documents();
    assert!(documents.replace(newest.version.get(), &back_up, &[]).await.unwrap());
    assert_eq!(world.payment(&order).await["status"], "completed");
    // orders republishes that the order was cancelled by the refund.
    world.cancel(&order, CancelReason::Refunded).await;
    let found = world.payment_is(&order, "refunded").await;
    assert_eq!(found["stripeRefundId"], refunded["stripeRefundId"]);
    assert_eq!(world.charged().await, (1, 0));
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 1);
}
