//! The admin CLI: `orders republish …`, `orders dead-letters …`.

use std::collections::BTreeSet;

use common::events::{
    OrderCancelled, OrderCompleted, OrderCreated, Ticket, TicketCreated, TicketDeleted,
};
use store::RESTORE_VERSION_OFFSET;
use testkit::eventually;

use crate::world::{World, connect, payment, refund};

/// Orders in every state.
async fn orders_in_every_state(world: &World) -> Vec<orders::domain::Order> {
    let mut orders = Vec::new();
    for _ in 0..6 {
        orders.push(world.order(&world.ticket().await).await);
    }
    let [_created, _confirmed, complete, cancelled, expired, deleted] = &orders[..] else {
        panic!()
    };
    world.pay(complete).await;
    world.cancel(cancelled).await;
    world.expire(expired).await;
    world.pay(expired).await;
    // (All reservations have expired by now, but only this order's end is recorded.)
    let of_deleted = payment(deleted);
    world.bus().publish(&common::events::PaymentCreated(of_deleted)).await;
    world.settled().await;
    let tombstone = Ticket { id: deleted.ticket_id, version: 9, ..world.unpublished_ticket() };
    world.bus().publish(&TicketDeleted(tombstone)).await;
    world.settled().await;
    world.confirm_reserved(&orders[1]).await;
    orders
}

#[tokio::test]
async fn every_order_is_republished_in_its_current_state() {
    let world = World::start().await;
    let orders = orders_in_every_state(&world).await;
    let mut before = Vec::new();
    for order in &orders {
        before.push((world.stored(order.id).await, world.events_of(order).await));
    }
    let republished = world.infra.program("orders").run(&["republish"]).await;
    let expected = "Republishing 7 events of 6 documents.\nAll events are published.\n";
    assert_eq!(republished.expect_success(), expected);
    let again = [
        ("created", vec!["created"]),
        ("awaiting:payment", vec!["created"]),
        ("complete", vec!["completed"]),
        ("cancelled", vec!["cancelled"]),
        ("complete", vec!["completed"]),
        ("complete", vec!["completed", "refund_required"]),
    ];
    for ((order, published), (status, again)) in before.into_iter().zip(again) {
        assert_eq!(world.stored(order.id).await, order, "the order is unchanged");
        assert_eq!(order.status.as_str(), status);
        let mut expected = published;
        expected.extend(again.into_iter().map(|subject| (subject, order.version)));
        let sorted = |all: Vec<(&'static str, i64)>| {
            let mut all = all;
            all.sort();
            all
        };
        assert_eq!(sorted(world.events_of(&order).await), sorted(expected), "{status}");
    }
}

#[tokio::test]
async fn only_what_has_changed_since_then_is_republished() {
    let world = World::start().await;
    let old = world.order(&world.ticket().await).await;
    world.infra.clock.advance(std::time::Duration::from_secs(60));
    let then = world.infra.clock.now();
    let new = world.order(&world.ticket().await).await;
    let republished =
        world.infra.program("orders").run(&["republish", "--since", &then.to_string()]).await;
    let summary = republished.expect_success();
    assert!(summary.contains(" of 1 documents."), "{summary}");
    assert_eq!(world.events_of(&old).await, [("created", 1)]);
    assert_eq!(world.events_of(&new).await, [("created", 1), ("created", 1)]);
    let wrong = world.infra.program("orders").run(&["republish", "--since", "yesterday"]).await;
    assert!(wrong.expect_failure().contains("expected a time such as"), "{}", wrong.stderr);
}

#[tokio::test]
async fn after_a_restore_versions_exceed_all_published_ones() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    world.cancel(&world.order(&ticket).await).await;
    let order = world.order(&ticket).await;
    let program = world.infra.program("orders");
    program.run(&["republish", "--restored"]).await.expect_success();

    let restored = world.stored(order.id).await;
    assert_eq!(restored.version, RESTORE_VERSION_OFFSET + 1);
    let created = world.bus().published::<OrderCreated>().await.pop().unwrap().0;
    assert_eq!((created.id, created.version), (order.id, RESTORE_VERSION_OFFSET + 1));
    let cancelled = world.bus().published::<OrderCancelled>().await.pop().unwrap().0;
    assert_eq!(cancelled.version, RESTORE_VERSION_OFFSET + 2);

    world.cancel(&order).await;
    world.order(&ticket).await;
}

#[tokio::test]
async fn republishing_needs_no_running_service() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    world.events_of(&order).await;
    let World { infra, service, .. } = world;
    service.stop().await;
    infra.program("orders").run(&["republish"]).await.expect_success();
    assert_eq!(infra.bus().published::<OrderCompleted>().await.len(), 2);
}

#[tokio::test]
async fn without_nats_the_events_stay_in_the_outboxes_and_the_command_fails() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.events_of(&order).await;
    world.infra.nats.kill();
    let failed = world.infra.program("orders").run(&["republish"]).await;
    assert!(failed.expect_failure().contains("stay in the outboxes"), "{}", failed.stderr);
    world.infra.nats.restart().await;
    assert_eq!(world.events_of(&order).await, [("created", 1), ("created", 1)]);
}

#[tokio::test]
async fn what_a_recreated_stream_has_lost_is_republished_automatically() {
    let world = World::start().await;
    let orders = orders_in_every_state(&world).await;
    for order in &orders {
        world.events_of(order).await;
    }
    world.infra.nats.wipe().await;
    world.infra.bus().wait_for_replay("ORDERS", "orders").await;
    world.published().await;
    let mut published = BTreeSet::new();
    published
        .extend(world.bus().published::<OrderCreated>().await.into_iter().map(|event| event.0.id));
    published.extend(
        world.bus().published::<OrderCompleted>().await.into_iter().map(|event| event.0.id),
    );
    published.extend(
        world.bus().published::<OrderCancelled>().await.into_iter().map(|event| event.0.id),
    );
    assert_eq!(published, orders.iter().map(|order| order.id).collect());
}

#[tokio::test]
async fn a_dead_letter_is_replayed_while_the_service_does_not_run() {
    let world = World::start().await;
    let ticket = world.unpublished_ticket();
    let World { infra, app, service, .. } = world;
    service.stop().await;
    infra
        .bus()
        .publish_dead_letter("orders", &TicketCreated(ticket.clone()), "the listener had a fault")
        .await;
    let replayed = infra.program("orders").run(&["dead-letters", "replay", "1"]).await;
    let expected = "1: ticket.created handled and removed\n";
    assert_eq!(replayed.expect_success(), expected);
    assert!(app.store.ticket(ticket.id).await.unwrap().is_some());
}

#[tokio::test]
async fn two_concurrent_runs_publish_everything_twice() {
    let world = World::start().await;
    let orders = orders_in_every_state(&world).await;
    let program = world.infra.program("orders");
    let (plain, restored) = (["republish"], ["republish", "--restored"]);
    let (one, other) = tokio::join!(program.run(&plain), program.run(&restored));
    one.expect_success();
    other.expect_success();
    let second = connect(&world.infra).await;
    for order in orders {
        let stored = second.store.order(order.id).await.unwrap().unwrap();
        assert!(
            stored.version > RESTORE_VERSION_OFFSET && stored.version < 2 * RESTORE_VERSION_OFFSET
        );
        eventually("the newest version to be published", || async {
            let published = world.events_of(&stored).await;
            published.iter().any(|(_, version)| *version == stored.version).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_refund_after_a_restore_ends_the_order() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    world.infra.program("orders").run(&["republish", "--restored"]).await.expect_success();
    world.bus().publish(&common::events::PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    let published = world.events_of(&order).await;
    let last = Some(&("cancelled", RESTORE_VERSION_OFFSET + 3));
    assert_eq!(published.last(), last, "{published:?}");
}
