//! The admin CLI: `payments reconcile`, `payments parked`, `payments settle`.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Document, doc};
use common::Clock;
use common::events::{
    DisputeStatus, Order, OrderCompleted, OrderCreated, PaymentDisputed, PaymentFailed,
    PaymentRefunded,
};
use futures::TryStreamExt;
use payments::domain::{PARKED_AFTER, Status};
use serde_json::{Value, json};
use testkit::fixtures::OrderChanges as _;
use testkit::{Program, eventually};
use tokio_util::sync::CancellationToken;

use crate::webhooks::{at_stripe, in_dashboard};
use crate::world::{World, completed};

fn payments(world: &World) -> Program {
    world
        .infra
        .program("payments")
        .with("STRIPE_KEY", "sk_test_local")
        .with("STRIPE_URL", world.stripe.url())
}

/// Nothing differs after this; of so many orders something had to be mended.
async fn reconciles(world: &World) -> usize {
    let ended = payments(world).run(&["reconcile"]).await;
    let out = ended.expect_success();
    assert!(out.ends_with("mended\nno differences\n"), "{out}");
    let (_, rest) = out.split_once(", ").unwrap();
    rest.split_once(' ').unwrap().0.parse().unwrap()
}

/// The response may be *processing*: another worker is at it, or Stripe is slow.
async fn pays(world: &World, order: &Order) -> Value {
    let response = world.pay(order, "tok_visa").await;
    assert!([201, 202].contains(&response.status.as_u16()), "{response:?}");
    world.payment_is(order, "completed").await
}

async fn refunds(world: &World, payment: &Value) {
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
}

#[tokio::test]
async fn what_lost_webhooks_would_have_reported_is_found() {
    let world = World::start().await;
    let mut payments_of = Vec::new();
    for _ in 0..4 {
        let order = world.order().await;
        let payment = pays(&world, &order).await;
        payments_of.push((order, payment));
    }
    assert_eq!(reconciles(&world).await, 0, "what we did ourselves is known");
    let [refunded, part, disputed, untouched] = &payments_of[..] else { unreachable!() };
    in_dashboard(&world, &refunded.1, "refund", "").await;
    in_dashboard(&world, &part.1, "refund", "amount=500").await;
    in_dashboard(&world, &disputed.1, "dispute", "").await;
    let order = world.order().await;
    let intent = world.authorise(&order).await.payment.unwrap().intent.unwrap();
    at_stripe(&world, &format!("/_dashboard/payment_intents/{intent}/cancel"), "").await;

    assert_eq!(reconciles(&world).await, 4);
    assert_eq!(world.payment(&refunded.0).await["status"], "refunded");
    assert_eq!(world.payment(&part.0).await["amountRefunded"], "5.00");
    assert_eq!(world.payment(&disputed.0).await["dispute"]["status"], "open");
    assert_eq!(world.payment(&order).await["status"], "failed");
    assert_eq!(world.payment(&untouched.0).await, untouched.1);
    let bus = world.infra.bus();
    bus.wait_for::<PaymentRefunded>(|event| event.0.order_id == refunded.0.id).await;
    bus.wait_for::<PaymentDisputed>(|event| event.0.status == DisputeStatus::Open).await;
    bus.wait_for::<PaymentFailed>(|event| event.0.order_id == order.id && event.0.r#final).await;
    assert_eq!(reconciles(&world).await, 0);
}

/// The part is counted until it fails.
#[tokio::test]
async fn a_part_whose_refund_has_failed_is_not_counted() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = pays(&world, &order).await;
    let refund = in_dashboard(&world, &payment, "refund", "amount=500").await;
    assert_eq!(reconciles(&world).await, 1);
    let settle = format!("/_dashboard/refunds/{}/settle", refund["id"].as_str().unwrap());
    at_stripe(&world, &settle, "outcome=failed").await;
    assert_eq!(reconciles(&world).await, 1);
    assert_eq!(world.payment(&order).await["amountRefunded"], "0.00");
}

#[tokio::test]
async fn what_we_cannot_explain_is_printed() {
    let world = World::start().await;
    let order = world.order().await;
    pays(&world, &order).await;
    let unknown = world.infra.user().id;
    for (order, name) in [(order.id.to_string(), "second"), (unknown.to_string(), "unknown")] {
        let form = format!(
            "amount=2050&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card&confirm=true&metadata[order_id]={order}"
        );
        let intent = at_stripe(&world, "/v1/payment_intents", &form).await;
        let ended = payments(&world).run(&["reconcile"]).await;
        let error = ended.expect_failure();
        assert!(error.ends_with("differences\n"), "{error}");
        let lines = ended.stdout.lines().filter(|line| line.contains(&order)).count();
        assert_eq!(lines, 1, "{name}: {}", ended.stdout);
        assert!(ended.stdout.contains(intent["id"].as_str().unwrap()), "{}", ended.stdout);
    }
    let tomorrow = world.infra.clock.now() + Duration::from_secs(24 * 60 * 60);
    let none = payments(&world).run(&["reconcile", "--since", &tomorrow.to_string()]).await;
    assert!(none.expect_success().ends_with("no differences\n"), "{}", none.stdout);
    let wrong = payments(&world).run(&["reconcile", "--since", "yesterday"]).await;
    assert!(wrong.expect_failure().contains("2026-01-31T12:45:00Z"), "{}", wrong.stderr);
}

/// Of a database that belongs to another account of Stripe's, or of a test that has written into it.
#[tokio::test]
async fn what_only_we_know_is_printed() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = pays(&world, &order).await;
    let documents = world.infra.database("payments").await.collection::<Document>("payments");
    let id = doc! { "_id": order.id.to_string() };
    let invent = doc! { "$set": { "charge.intent": "pi_invented" } };
    documents.update_one(id.clone(), invent).await.unwrap();
    let ended = payments(&world).run(&["reconcile"]).await;
    let error = ended.expect_failure();
    assert!(error.ends_with("error: 2 differences\n"), "{error}");
    let ours = format!("order {}: pi_invented is completed here, and unknown at Stripe", order.id);
    assert!(ended.stdout.contains(&ours), "{}", ended.stdout);
    let stripes = payment["stripeId"].as_str().unwrap();
    let theirs = format!("{stripes} is succeeded with 0.00 refunded at Stripe, and the");
    assert!(ended.stdout.contains(&theirs), "{}", ended.stdout);

    // What we say is refunded, and Stripe doesn't.
    let refunded = doc! { "$set": { "charge.intent": stripes, "charge.amountRefunded": 500_i64 } };
    documents.update_one(id, refunded).await.unwrap();
    assert_eq!(reconciles(&world).await, 1, "the refund has failed meanwhile, as far as we know");
    assert_eq!(world.payment(&order).await["amountRefunded"], "0.00");
}

/// Of some orders the documents are those of a back-up, or missing, while others are paid all the time.
#[tokio::test]
async fn a_database_that_is_restored_is_brought_back_to_no_differences_under_load() {
    let world = World::start().await;
    let stop = CancellationToken::new();
    let load = async {
        let mut paid = 0;
        while !stop.is_cancelled() {
            let order = world.order().await;
            pays(&world, &order).await;
            paid += 1;
        }
        paid
    };
    let restore = async {
        let _stops = stop.clone().drop_guard();
        let mut orders: BTreeMap<&str, Order> = BTreeMap::new();
        for name in ["kept", "paid", "refunded", "in part", "challenged", "declined", "released"] {
            orders.insert(name, world.order().await);
        }
        for name in ["kept", "refunded", "in part"] {
            pays(&world, &orders[name]).await;
        }
        let challenged =
            world.pay(&orders["challenged"], "pm_card_authenticationRequired").await.expect(202);
        let database = world.infra.database("payments").await;
        let documents = database.collection::<Document>("payments");
        let ids = |orders: &BTreeMap<&str, Order>| -> Vec<String> {
            orders.values().map(|order| order.id.to_string()).collect()
        };
        let backed_up = documents.find(doc! { "_id": { "$in": ids(&orders) } }).await.unwrap();
        let backup: Vec<Document> = backed_up.try_collect().await.unwrap();
        assert_eq!(backup.len(), orders.len());

        // What the database loses.
        orders.insert("ordered", world.order().await);
        for name in ["paid", "ordered"] {
            pays(&world, &orders[name]).await;
        }
        refunds(&world, &world.payment(&orders["refunded"]).await).await;
        world.payment_is(&orders["refunded"], "refunded").await;
        let part = world.payment(&orders["in part"]).await;
        in_dashboard(&world, &part, "refund", "amount=500").await;
        let intent = challenged["stripeId"].as_str().unwrap();
        at_stripe(&world, &format!("/_authenticate/{intent}"), "outcome=success").await;
        payments::sweep::sweep(&world.app).await.unwrap();
        world.payment_is(&orders["challenged"], "completed").await;
        let declined = world.pay(&orders["declined"], "tok_chargeDeclined").await;
        declined.problem(402, "card-declined");
        let authorised = world.authorise(&orders["released"]).await;
        world.reject(&orders["released"], &authorised).await;
        world.status_is(&orders["released"], Status::Released).await;
        let mut before = BTreeMap::new();
        for (name, order) in &orders {
            before.insert(*name, world.payment(order).await);
        }

        world.published().await;
        documents.delete_many(doc! { "_id": { "$in": ids(&orders) } }).await.unwrap();
        documents.insert_many(backup).await.unwrap();
        payments(&world).run(&["republish", "--restored"]).await.expect_success();
        let bus = world.infra.bus();
        for (name, order) in &orders {
            match *name {
                "declined" | "released" => bus.publish_again(&OrderCreated(order.clone())).await,
                _ => {
                    let seen = before[name]["version"].as_i64().unwrap();
                    let order = completed(order).with_payment_version(seen);
                    bus.publish_again(&OrderCompleted(order)).await;
                }
            }
        }
        bus.settled("payments").await;

        // "kept" had nothing to lose.
        let mended = reconciles(&world).await;
        assert!(mended >= orders.len() - 1, "{mended} are mended");
        for (name, order) in &orders {
            let (before, after) = (&before[name], world.payment(order).await);
            let status = match *name {
                "declined" => "created",
                "released" => "failed",
                "refunded" => "refunded",
                _ => "completed",
            };
            assert_eq!(after["status"], status, "{name}: {after}");
            for kept in ["id", "stripeId", "stripeRefundId"] {
                assert_eq!(after[kept], before[kept], "{name}: {kept}");
            }
        }
        let part = world.payment(&orders["in part"]).await;
        assert_eq!(part["amountRefunded"], "5.00");
    };
    let (paid, ()) = tokio::join!(load, restore);
    assert_eq!(reconciles(&world).await, 0);
    // Six orders were charged: one of them is refunded, one in part.
    let (charges, kept) = world.charged().await;
    assert_eq!((charges, kept), (paid + 6, (paid + 5) * 2050 - 500));
}

/// Advances the time until the payment's step has failed so often that it is parked.
async fn is_parked(world: &World, order: &Order) {
    for failures in 1..=i64::from(PARKED_AFTER) {
        eventually("another failure", || async {
            let payment = world.app.store.find(order.id).await.unwrap().unwrap();
            if payment.failures >= failures {
                return Some(());
            }
            world.infra.clock.advance(Duration::from_secs(4));
            world.app.wake_worker.notify_one();
            None
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_succeed_is_parked_and_settled_by_an_operator() {
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let cli = payments(&world);
    let parked = cli.run(&["parked"]).await;
    assert_eq!(parked.expect_success(), "No parked payments.\n");
    let order = world.order().await;
    let id = order.id.to_string();
    let settle = ["settle", &id, "--reason", "paid by bank transfer, ticket 123"];
    let payment = pays(&world, &order).await;
    let nothing = cli.run(&settle).await;
    assert_eq!(nothing.expect_failure(), "error: the order has no payment with a step left\n");
    world.fault("POST", "/v1/refunds", "error_before", 1000).await;
    refunds(&world, &payment).await;
    let early = cli.run(&settle).await;
    assert!(early.expect_failure().contains("isn't parked"), "{}", early.stderr);

    is_parked(&world, &order).await;
    let parked = cli.run(&["parked"]).await;
    let lines: Vec<&str> = parked.expect_success().lines().collect();
    assert_eq!(lines.len(), 1, "{}", parked.stdout);
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!((words[0], words[1], &words[3..5]), (&*id, "refunding", &["failures", "since"][..]));
    assert!(words[2].parse::<u32>().unwrap() >= PARKED_AFTER, "{}", parked.stdout);
    // It is explained: the operator sees it in that list.
    assert_eq!(reconciles(&world).await, 0);

    cli.run(&["settle", &id]).await.expect_failure();
    cli.run(&["settle", &id, "--reason", ""]).await.expect_failure();
    let settled = cli.run(&settle).await;
    assert_eq!(settled.expect_success(), format!("{id}: refunded\n"));
    let stored = world.app.store.find(order.id).await.unwrap().unwrap();
    assert_eq!(stored.payment.unwrap().settled.unwrap().reason, settle[3]);
    let refunded = |event: &PaymentRefunded| event.0.order_id == order.id;
    let event = world.infra.bus().wait_for::<PaymentRefunded>(refunded).await.0;
    assert_eq!(event.stripe_refund_id, "settled");
    assert_eq!(world.payment(&order).await["status"], "refunded");
    let parked = cli.run(&["parked"]).await;
    assert_eq!(parked.expect_success(), "No parked payments.\n");
    cli.run(&settle).await.expect_failure();
    assert_eq!(reconciles(&world).await, 0);
    assert_eq!(world.charged().await, (1, 2050), "the money has gone another way");
}

#[tokio::test]
async fn a_capture_that_cannot_succeed_is_settled_as_failed() {
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let order = world.order().await;
    world.authorise(&order).await;
    world.fault("POST", "/v1/payment_intents/*/capture", "error_before", 1000).await;
    world.infra.bus().publish(&OrderCompleted(completed(&order))).await;
    is_parked(&world, &order).await;
    let id = order.id.to_string();
    let settled = payments(&world).run(&["settle", &id, "--reason", "refused"]).await;
    assert_eq!(settled.expect_success(), format!("{id}: failed\n"));
    let failed = |event: &PaymentFailed| event.0.order_id == order.id && event.0.r#final;
    world.infra.bus().wait_for::<PaymentFailed>(failed).await;
    // The authorisation is still open, until it is cancelled at Stripe.
    let ended = payments(&world).run(&["reconcile"]).await;
    assert_eq!(ended.expect_failure(), "error: 1 differences\n");
    let stored = world.app.store.find(order.id).await.unwrap().unwrap();
    let intent = stored.payment.unwrap().intent.unwrap();
    let line = format!("{intent} is requires_capture at Stripe, and failed here");
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    at_stripe(&world, &format!("/_dashboard/payment_intents/{intent}/cancel"), "").await;
    assert_eq!(reconciles(&world).await, 0);
}
