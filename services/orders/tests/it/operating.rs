//! What an operator types: `orders reannounce …`, `orders dead-letters …`.

use std::collections::BTreeSet;

use common::events::{
    OrderCancelled, OrderCompleted, OrderCreated, Ticket, TicketCreated, TicketDeleted,
};
use store::RESTORE_VERSION_OFFSET;
use testkit::eventually;

use crate::world::{World, connect, payment, refund};

/// Orders in every state that there is.
async fn all_kinds(world: &World) -> Vec<orders::domain::Order> {
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
    // (Everybody's time has run out by now, but only this one's end was told.)
    let of_deleted = payment(deleted);
    world.bus().publish(&common::events::PaymentCreated(of_deleted)).await;
    world.settled().await;
    let tombstone = Ticket { id: deleted.ticket_id, version: 9, ..world.unheard_ticket() };
    world.bus().publish(&TicketDeleted(tombstone)).await;
    world.settled().await;
    let confirmed = Ticket { id: orders[1].ticket_id, ..world.unheard_ticket() };
    world.confirm_lock(&confirmed, &orders[1]).await;
    orders
}

#[tokio::test]
async fn every_order_is_told_again_as_it_stands() {
    let world = World::start().await;
    let orders = all_kinds(&world).await;
    let mut before = Vec::new();
    for order in &orders {
        before.push((world.stored(order.id).await, world.told(order).await));
    }
    let told = world.infra.program("orders").run(&["reannounce"]).await;
    let expected = "Told again: 7 events of 6 documents.\nAll are published.\n";
    assert_eq!(told.expect_success(), expected);
    let again = [
        ("created", vec!["created"]),
        ("awaiting:payment", vec!["created"]),
        ("complete", vec!["completed"]),
        ("cancelled", vec!["cancelled"]),
        ("complete", vec!["completed"]),
        ("complete", vec!["completed", "refund_required"]),
    ];
    for ((order, told), (status, again)) in before.into_iter().zip(again) {
        assert_eq!(world.stored(order.id).await, order, "nothing has changed");
        assert_eq!(order.status.as_str(), status);
        let mut expected = told;
        expected.extend(again.into_iter().map(|subject| (subject, order.version)));
        let sorted = |all: Vec<(&'static str, i64)>| {
            let mut all = all;
            all.sort();
            all
        };
        assert_eq!(sorted(world.told(&order).await), sorted(expected), "{status}");
    }
}

#[tokio::test]
async fn only_what_has_changed_since_then_is_told_again() {
    let world = World::start().await;
    let old = world.order(&world.ticket().await).await;
    world.infra.clock.advance(std::time::Duration::from_secs(60));
    let then = world.infra.clock.now();
    let new = world.order(&world.ticket().await).await;
    let told =
        world.infra.program("orders").run(&["reannounce", "--since", &then.to_string()]).await;
    assert!(told.expect_success().contains(" of 1 documents."), "{}", told.stdout);
    assert_eq!(world.told(&old).await, [("created", 1)]);
    assert_eq!(world.told(&new).await, [("created", 1), ("created", 1)]);
    let wrong = world.infra.program("orders").run(&["reannounce", "--since", "yesterday"]).await;
    assert!(wrong.expect_failure().contains("expected a time such as"), "{}", wrong.stderr);
}

#[tokio::test]
async fn after_a_restore_versions_and_holds_are_beyond_all_that_was_told() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    world.cancel(&world.order(&ticket).await).await;
    let order = world.order(&ticket).await;
    let unordered = world.ticket().await;
    let operator = world.infra.program("orders");
    operator.run(&["reannounce", "--restored"]).await.expect_success();

    let restored = world.stored(order.id).await;
    assert_eq!(
        (restored.version, restored.holds),
        (RESTORE_VERSION_OFFSET + 1, vec![RESTORE_VERSION_OFFSET + 2])
    );
    let created = world.bus().published::<OrderCreated>().await.pop().unwrap().0;
    assert_eq!(
        (created.id, created.version, created.hold),
        (order.id, RESTORE_VERSION_OFFSET + 1, RESTORE_VERSION_OFFSET + 2)
    );
    let cancelled = world.bus().published::<OrderCancelled>().await.pop().unwrap().0;
    assert_eq!(
        (cancelled.version, cancelled.hold),
        (RESTORE_VERSION_OFFSET + 2, RESTORE_VERSION_OFFSET + 1)
    );

    // Holds count on from there, also of tickets whose orders are all lost.
    world.cancel(&restored_order(&world, &order).await).await;
    assert_eq!(world.order(&ticket).await.hold(), RESTORE_VERSION_OFFSET + 3);
    assert_eq!(world.order(&unordered).await.hold(), RESTORE_VERSION_OFFSET + 1);
}

async fn restored_order(world: &World, order: &orders::domain::Order) -> orders::domain::Order {
    world.stored(order.id).await
}

#[tokio::test]
async fn nobody_need_run_for_an_order_to_be_told_again() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    world.told(&order).await;
    let World { infra, service, .. } = world;
    service.stop().await;
    infra.program("orders").run(&["reannounce"]).await.expect_success();
    assert_eq!(infra.bus().published::<OrderCompleted>().await.len(), 2);
}

#[tokio::test]
async fn without_a_broker_the_events_wait_on_their_documents_and_the_operator_is_told() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.told(&order).await;
    world.infra.nats.kill();
    let told = world.infra.program("orders").run(&["reannounce"]).await;
    assert!(told.expect_failure().contains("wait on their documents"), "{}", told.stderr);
    world.infra.nats.restart().await;
    assert_eq!(world.told(&order).await, [("created", 1), ("created", 1)]);
}

#[tokio::test]
async fn what_the_broker_lost_before_it_was_heard_is_told_again_by_itself() {
    let world = World::start().await;
    let orders = all_kinds(&world).await;
    for order in &orders {
        world.told(order).await;
    }
    world.infra.nats.wipe().await;
    world.infra.bus().wait_for_replay("ORDERS", "orders").await;
    world.published().await;
    let mut told = BTreeSet::new();
    told.extend(world.bus().published::<OrderCreated>().await.into_iter().map(|event| event.0.id));
    told.extend(
        world.bus().published::<OrderCompleted>().await.into_iter().map(|event| event.0.id),
    );
    told.extend(
        world.bus().published::<OrderCancelled>().await.into_iter().map(|event| event.0.id),
    );
    assert_eq!(told, orders.iter().map(|order| order.id).collect());
}

#[tokio::test]
async fn a_dead_letter_is_handled_again_while_the_service_does_not_run() {
    let world = World::start().await;
    let ticket = world.unheard_ticket();
    let World { infra, app, service, .. } = world;
    service.stop().await;
    infra
        .bus()
        .publish_dead_letter("orders", &TicketCreated(ticket.clone()), "the listener had a fault")
        .await;
    let replayed = infra.program("orders").run(&["dead-letters", "replay", "1"]).await;
    let expected = "1: ticket.created is handled, and off the list\n";
    assert_eq!(replayed.expect_success(), expected);
    assert!(app.store.ticket(ticket.id).await.unwrap().is_some());
}

#[tokio::test]
async fn two_at_once_tell_twice_and_lose_nothing() {
    let world = World::start().await;
    let orders = all_kinds(&world).await;
    let operator = world.infra.program("orders");
    let (args, also) = (["reannounce"], ["reannounce", "--restored"]);
    let (one, other) = tokio::join!(operator.run(&args), operator.run(&also));
    one.expect_success();
    other.expect_success();
    let second = connect(&world.infra).await;
    for order in orders {
        let stored = second.store.order(order.id).await.unwrap().unwrap();
        assert!(
            stored.version > RESTORE_VERSION_OFFSET && stored.version < 2 * RESTORE_VERSION_OFFSET
        );
        eventually("its newest version to be told", || async {
            let told = world.told(&stored).await;
            told.iter().any(|(_, version)| *version == stored.version).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_refund_that_comes_after_a_retelling_ends_the_order() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    world.infra.program("orders").run(&["reannounce", "--restored"]).await.expect_success();
    world.bus().publish(&common::events::PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    let told = world.told(&order).await;
    assert_eq!(told.last(), Some(&("cancelled", RESTORE_VERSION_OFFSET + 3)), "{told:?}");
}
