//! Each listener gets its event twice, late and out of order: the same end state.

use common::events::{
    Event, ExpirationComplete, Order, OrderCancelled, OrderCompleted, OrderCreated,
};
use expiration::app;
use expiration::domain::State;
use testkit::eventually;

use crate::world::{HOLD, World, cancelled, completed};

/// Every subject that the map names has a case here, or this fails.
#[tokio::test]
async fn every_listener_has_the_same_end_state_when_its_event_comes_twice_late_and_out_of_order() {
    let world = World::start().await;
    for subject in app::listeners(world.app.clone()).subjects() {
        match subject {
            OrderCreated::SUBJECT => created(&world).await,
            OrderCancelled::SUBJECT => ended(&world, cancelled).await,
            OrderCompleted::SUBJECT => ended(&world, completed).await,
            other => panic!("no case for {other}"),
        }
    }
    assert_eq!(world.bus().dead_letters().await.len(), 0);
}

/// Twice while the hold runs, and late: after it was told that it has run out.
async fn created(world: &World) {
    let event = OrderCreated(world.order());
    world.tell(&event).await;
    let before = world.schedule(&event.0).await;
    assert_eq!(before.state, State::Scheduled);
    world.bus().publish_again(&event).await;
    world.settled().await;
    assert_eq!(world.schedule(&event.0).await, before);
    world.timers_are(std::slice::from_ref(&event.0)).await;

    world.infra.clock.advance(HOLD);
    world.told(&event.0).await;
    world.bus().publish_again(&event).await;
    world.settled().await;
    assert_eq!(world.schedule(&event.0).await.state, State::Fired);
    world.timers_are(&[]).await;
    world.look_at_the_clock().await;
    assert_eq!(world.times_told().await[&event.0.id], 1);
}

/// In order and twice; then the end overtakes the beginning, which comes late and twice.
async fn ended<E: Event>(world: &World, end: impl Fn(&Order) -> E) {
    let in_order = world.created().await;
    world.tell(&end(&in_order)).await;
    world.bus().publish_again(&end(&in_order)).await;

    let overtaken = world.order();
    world.tell(&end(&overtaken)).await;
    world.tell(&OrderCreated(overtaken.clone())).await;
    world.bus().publish_again(&end(&overtaken)).await;
    world.bus().publish_again(&OrderCreated(overtaken.clone())).await;
    world.settled().await;

    world.timers_are(&[]).await;
    world.infra.clock.advance(HOLD);
    world.look_at_the_clock().await;
    for order in [&in_order, &overtaken] {
        let schedule = world.schedule(order).await;
        assert_eq!((schedule.state, schedule.firings), (State::Over, 0));
        assert_eq!(schedule.order_version, end(order).version());
        assert!(!world.times_told().await.contains_key(&order.id), "told of {order:?}");
    }
}

/// Handled side by side, so that any of them may be in the midst of another.
#[tokio::test]
async fn in_whatever_order_an_orders_events_come_it_ends_as_the_newest_says() {
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
    world.infra.clock.advance(HOLD);
    world.told(&orders.last().unwrap().1).await;
    world.look_at_the_clock().await;
    for (sequence, order) in &orders {
        let ended = sequence.contains(['2', '3']);
        let schedule = world.schedule(order).await;
        assert_eq!(schedule.state, if ended { State::Over } else { State::Fired }, "{sequence}");
        let times = world.times_told().await.get(&order.id).copied().unwrap_or(0);
        assert_eq!(times, usize::from(!ended), "{sequence}");
    }
    world.timers_are(&[]).await;
    assert_eq!(world.bus().dead_letters().await.len(), 0);
}

#[tokio::test]
async fn an_order_that_is_told_anew_as_live_is_told_of_again_in_a_new_message() {
    let world = World::start().await;
    let order = world.created().await;
    world.infra.clock.advance(HOLD);
    let first = world.told(&order).await;
    // orders was restored to a state in which the order is still live.
    world.tell(&OrderCreated(Order { version: 1_000_001, ..order.clone() })).await;
    let second = world.bus().wait_for(|event: &ExpirationComplete| *event != first).await;
    assert_eq!(second.0.order_id, order.id);
    assert!(second.id() != first.id());
    assert_eq!(world.schedule(&order).await.firings, 2);
}

#[tokio::test]
async fn a_message_that_is_no_event_lands_in_the_dead_letters_and_the_consumer_goes_on() {
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
    world.infra.clock.advance(HOLD);
    world.told(&order).await;
}
