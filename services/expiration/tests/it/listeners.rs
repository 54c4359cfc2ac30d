//! Each listener gets its event twice, late and out of order, and reaches the same state.

use std::collections::BTreeSet;

use common::events::{
    Event, ExpirationComplete, Order, OrderCancelled, OrderCompleted, OrderCreated,
};
use expiration::app;
use expiration::domain::State;
use expiration::listeners::follow_all;

use testkit::eventually;

use crate::world::{RESERVATION, World, cancelled, completed};

/// Fails unless every subject of `app::listeners` has a case here.
#[tokio::test]
async fn every_listener_reaches_the_same_state_when_its_event_arrives_twice_late_and_out_of_order()
{
    let world = World::start().await;
    let subjects: BTreeSet<_> = app::listeners(world.app.clone()).subjects().into_iter().collect();
    let cases = [OrderCreated::SUBJECT, OrderCancelled::SUBJECT, OrderCompleted::SUBJECT];
    assert_eq!(subjects, BTreeSet::from(cases), "every listener has a case here");
    created(&world).await;
    ended(&world, cancelled).await;
    ended(&world, completed).await;
    assert_eq!(world.bus().dead_letters().await.len(), 0);
}

/// Twice while the reservation is live, and late: after its expiry was published.
async fn created(world: &World) {
    let event = OrderCreated(world.order());
    world.deliver(&event).await;
    let before = world.schedule(&event.0).await;
    assert_eq!(before.state, State::Scheduled);
    world.bus().publish_again(&event).await;
    world.settled().await;
    assert_eq!(world.schedule(&event.0).await, before);
    world.wait_for_timers(std::slice::from_ref(&event.0)).await;

    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&event.0).await;
    world.bus().publish_again(&event).await;
    world.settled().await;
    assert_eq!(world.schedule(&event.0).await.state, State::Expired);
    world.wait_for_timers(&[]).await;
    world.wait_until_processed().await;
    assert_eq!(world.times_expired().await[&event.0.id], 1);
}

/// In sequence and twice; then the end overtakes `order.created`, which arrives late and twice.
async fn ended<E: Event>(world: &World, end: impl Fn(&Order) -> E) {
    let in_order = world.created().await;
    world.deliver(&end(&in_order)).await;
    world.bus().publish_again(&end(&in_order)).await;

    let overtaken = world.order();
    world.deliver(&end(&overtaken)).await;
    world.deliver(&OrderCreated(overtaken.clone())).await;
    world.bus().publish_again(&end(&overtaken)).await;
    world.bus().publish_again(&OrderCreated(overtaken.clone())).await;
    world.settled().await;

    world.wait_for_timers(&[]).await;
    world.infra.clock.advance(RESERVATION);
    world.wait_until_processed().await;
    for order in [&in_order, &overtaken] {
        let schedule = world.schedule(order).await;
        assert_eq!((schedule.state, schedule.expirations), (State::Ended, 0));
        assert_eq!(schedule.order_version, end(order).version());
        assert!(!world.times_expired().await.contains_key(&order.id), "published for {order:?}");
    }
}

/// They are handled concurrently, so that any of them may interleave with another.
#[tokio::test]
async fn in_whatever_sequence_events_arrive_the_newest_one_decides() {
    let world = World::start().await;
    let mut orders = Vec::new();
    for sequence in ["123", "132", "213", "231", "312", "321", "12", "21", "13", "31", "11"] {
        let order = world.order();
        for twice in [sequence, sequence] {
            for event in twice.chars() {
                match event {
                    '1' => world.bus().publish_again(&OrderCreated(order.clone())).await,
                    '2' => world.bus().publish_again(&cancelled(&order)).await,
                    _ => world.bus().publish_again(&completed(&order)).await,
                }
            }
        }
        orders.push((sequence, order));
    }
    world.settled().await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&orders.last().unwrap().1).await;
    world.wait_until_processed().await;
    for (sequence, order) in &orders {
        let ended = sequence.contains(['2', '3']);
        let schedule = world.schedule(order).await;
        assert_eq!(schedule.state, if ended { State::Ended } else { State::Expired }, "{sequence}");
        let times = world.times_expired().await.get(&order.id).copied().unwrap_or(0);
        assert_eq!(times, usize::from(!ended), "{sequence}");
    }
    world.wait_for_timers(&[]).await;
    assert_eq!(world.bus().dead_letters().await.len(), 0);
}

#[tokio::test]
async fn an_order_that_is_republished_as_live_expires_again_in_a_new_message() {
    let world = World::start().await;
    let order = world.created().await;
    world.infra.clock.advance(RESERVATION);
    let first = world.wait_for_expiry(&order).await;
    // orders was restored to a state in which the order is still live.
    world.deliver(&OrderCreated(Order { version: 1_000_001, ..order.clone() })).await;
    let second = world.bus().wait_for(|event: &ExpirationComplete| *event != first).await;
    assert_eq!(second.0.order_id, order.id);
    assert!(second.id() != first.id());
    assert_eq!(world.schedule(&order).await.expirations, 2);
}

#[tokio::test]
async fn an_undecodable_message_becomes_a_dead_letter_and_the_consumer_continues() {
    let world = World::start().await;
    for subject in app::listeners(world.app.clone()).subjects() {
        world.bus().publish_raw(subject.as_str(), "{\"id\":7}").await;
        let letter = eventually("a dead letter", || async {
            let letters = world.bus().dead_letters().await;
            letters.into_iter().find(|letter| letter.subject == subject.as_str())
        })
        .await;
        assert_eq!(letter.service, "expiration");
        assert!(letter.reason.contains(subject.as_str()), "{}", letter.reason);
    }
    let order = world.created().await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&order).await;
}

#[tokio::test]
async fn batches_lead_to_the_same_as_their_newest_events_however_they_are_drawn() {
    let world = World::start().await;
    let mut together = 0;
    for seed in 0..20 {
        let orders: Vec<Order> = (0..6).map(|_| world.order()).collect();
        let ends = orders[..2].iter().map(|order| completed(order).0);
        let ends = ends.chain(orders[2..4].iter().map(|order| cancelled(order).0));
        let events: Vec<Order> = orders.iter().cloned().chain(ends).collect();
        for batch in testkit::batches(seed, &events) {
            if follow_all(world.app.clone(), batch.clone()).await.is_ok() {
                together += 1;
                continue;
            }
            for order in batch {
                world.app.store.follow(&order).await.unwrap();
            }
        }
        for (index, order) in orders.iter().enumerate() {
            let schedule = world.schedule(order).await;
            let newest =
                events.iter().filter(|event| event.id == order.id).max_by_key(|it| it.version);
            let expected = if index < 4 { State::Ended } else { State::Scheduled };
            assert_eq!(
                (schedule.state, schedule.order_version),
                (expected, newest.unwrap().version)
            );
        }
    }
    assert!(together > 0, "no batch was handled together");
}

#[tokio::test]
async fn what_is_handled_together_is_also_timed() {
    let world = World::start().await;
    let orders: Vec<Order> = (0..5).map(|_| world.order()).collect();
    follow_all(world.app.clone(), orders.clone()).await.unwrap();
    world.wait_for_timers(&orders).await;
    let ended: Vec<Order> = orders[1..].iter().map(|order| completed(order).0).collect();
    follow_all(world.app.clone(), ended).await.unwrap();
    world.wait_for_timers(&orders[..1]).await;
}
