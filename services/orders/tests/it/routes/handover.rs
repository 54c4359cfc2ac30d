//! `PUT /api/orders/{id}/handover`.

use std::time::Duration;

use common::events::{Handover, HandoverState, OrderUpdated, PaymentRefunded};
use common::listing::Delivery;
use orders::domain::Order;
use serde_json::{Value, json};
use testkit::fixtures::{self, TicketChanges as _};
use testkit::{Response, TestUser};

use crate::world::World;

async fn report(world: &World, user: &TestUser, order: &Order, body: Value) -> Response {
    let path = format!("/api/orders/{}/handover", order.id);
    world.client(user).put(&path, body).await
}

async fn paid(world: &World) -> Order {
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    order
}

#[tokio::test]
async fn the_seller_marks_a_ticket_as_sent_and_the_buyer_confirms_it() {
    let world = World::start().await;
    let order = paid(&world).await;
    assert!(world.seen(&order).await.get("handover").is_none());
    let sent_at = world.infra.clock.now();
    let answer = report(&world, &world.seller, &order, json!({ "state": "sent" })).await;
    assert_eq!(answer.expect(200)["handover"], json!({ "state": "sent", "sentAt": sent_at }));
    let version = world.stored(order.id).await.version;

    // Once more: nothing new.
    world.infra.clock.advance(Duration::from_secs(60));
    report(&world, &world.seller, &order, json!({ "state": "sent" })).await.expect(200);
    assert_eq!(world.stored(order.id).await.version, version);

    let received_at = world.infra.clock.now();
    report(&world, &world.buyer, &order, json!({ "state": "received" })).await.expect(200);
    let handover = json!({ "state": "received", "sentAt": sent_at, "receivedAt": received_at });
    for user in [&world.seller, &world.buyer, &world.infra.admin()] {
        let seen = world.client(user).get(&format!("/api/orders/{}", order.id)).await.expect(200);
        assert_eq!(seen["handover"], handover);
    }
    // What the buyer has isn't sent again.
    report(&world, &world.seller, &order, json!({ "state": "sent" })).await.expect(200);
    assert_eq!(world.seen(&order).await["handover"], handover);
    world.published().await;
    let events = world.events_of(&order).await;
    let updated: Vec<_> = events.iter().filter(|(subject, _)| *subject == "updated").collect();
    assert_eq!(updated, [&("updated", version), &("updated", version + 1)]);
}

#[tokio::test]
async fn events_say_how_far_the_delivery_has_come_and_the_same_problem_counts_once() {
    let world = World::start().await;
    let order = paid(&world).await;
    let sent = json!({ "state": "sent" });
    let problem = |message: &str| json!({ "state": "problem", "message": message });
    report(&world, &world.seller, &order, sent.clone()).await.expect(200);
    report(&world, &world.buyer, &order, problem("It is late.")).await.expect(200);
    // The same in other words.
    report(&world, &world.buyer, &order, problem("It never came.")).await.expect(200);
    report(&world, &world.seller, &order, sent).await.expect(200);
    world.published().await;
    let updated = world.bus().published::<OrderUpdated>().await.into_iter();
    let seen: Vec<_> = updated.filter_map(|OrderUpdated(order)| order.handover).collect();
    let expected = [
        (HandoverState::Sent, 1),
        (HandoverState::Problem, 2),
        (HandoverState::Problem, 2),
        (HandoverState::Sent, 3),
    ];
    assert_eq!(seen, expected.map(|(state, changes)| Handover { state, changes }));
}

#[tokio::test]
async fn a_problem_is_seen_by_the_seller_and_admins_until_the_buyer_has_the_ticket() {
    let world = World::start().await;
    let order = paid(&world).await;
    let problem = json!({ "state": "problem", "message": " It never came.\r\nTwice. " });
    report(&world, &world.buyer, &order, problem.clone()).await.expect(200);
    let reported_at = world.infra.clock.now();
    let shown = json!({ "message": "It never came.\nTwice.", "reportedAt": reported_at });
    for user in [&world.seller, &world.buyer, &world.infra.admin()] {
        let seen = world.client(user).get(&format!("/api/orders/{}", order.id)).await.expect(200);
        assert_eq!(seen["handover"]["problem"], shown);
    }
    // The same once more is no second report; the seller sends it again.
    world.infra.clock.advance(Duration::from_secs(60));
    report(&world, &world.buyer, &order, problem).await.expect(200);
    report(&world, &world.seller, &order, json!({ "state": "sent" })).await.expect(200);
    let seen = world.seen(&order).await;
    assert_eq!(
        (&seen["handover"]["state"], &seen["handover"]["problem"]),
        (&json!("sent"), &shown)
    );
    report(&world, &world.buyer, &order, json!({ "state": "received" })).await.expect(200);
    assert!(world.seen(&order).await["handover"].get("problem").is_none());
}

#[tokio::test]
async fn each_party_says_only_what_is_theirs_to_say_about_a_paid_order() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let sent = json!({ "state": "sent" });
    let received = json!({ "state": "received" });
    report(&world, &world.seller, &order, sent.clone()).await.problem(409, "order-not-complete");
    let payment = world.pay(&order).await;
    let other = world.infra.user();
    for (user, body) in [
        (&world.buyer, &sent),
        (&other, &sent),
        (&world.seller, &received),
        (&world.seller, &json!({ "state": "problem", "message": "x" })),
        (&other, &received),
    ] {
        report(&world, user, &order, body.clone()).await.problem(403, "not-allowed");
    }
    for body in [
        json!({ "state": "problem" }),
        json!({ "state": "problem", "message": " " }),
        json!({ "state": "problem", "message": "x".repeat(1001) }),
        json!({ "state": "lost" }),
        json!({}),
    ] {
        report(&world, &world.buyer, &order, body).await.problem(400, "invalid");
    }
    world.bus().publish(&PaymentRefunded(fixtures::refund(&payment))).await;
    world.settled().await;
    report(&world, &world.seller, &order, sent).await.problem(409, "order-not-complete");
}

#[tokio::test]
async fn nobody_sends_a_ticket_that_is_checked_in_at_the_sellers_own_door() {
    let world = World::start().await;
    let now = world.infra.clock.now();
    let mut ticket = fixtures::ticket(now).with_seller(world.seller.id);
    ticket.listing.delivery = Delivery::CheckedInHere;
    world.publish_ticket(&ticket).await;
    let order = world.order(&ticket).await;
    assert_eq!(world.seen(&order).await["ticket"]["delivery"], "checked_in_here");
    world.pay(&order).await;
    let answer = report(&world, &world.seller, &order, json!({ "state": "sent" })).await;
    answer.problem(409, "nothing-to-hand-over");
}
