//! The end of a hold is told: in time, once, and not before.

use std::time::Duration;

use bson::doc;
use common::events::{Event, ExpirationComplete, OrderCreated};
use expiration::domain::State;
use testkit::{Infra, eventually};

use crate::world::{
    HOLD, World, cancelled, completed, connect, order, record, replica, with_the_systems_clock,
};

#[tokio::test]
async fn the_end_of_a_hold_is_told_once_it_has_come_and_not_before() {
    let world = World::start().await;
    let order = world.created().await;
    world.timers_are(std::slice::from_ref(&order)).await;
    world.infra.clock.advance(HOLD - Duration::from_millis(1));
    world.look_at_the_clock().await;
    world.look_at_the_clock().await;
    assert!(!world.times_told().await.contains_key(&order.id));
    assert_eq!(world.schedule(&order).await.state, State::Scheduled);

    world.infra.clock.advance(Duration::from_millis(1));
    let event = world.told(&order).await;
    assert_eq!(event.0.version, world.schedule(&order).await.version);
    world.timers_are(&[]).await;
    let headers = world.bus().headers::<ExpirationComplete>().await;
    let headers = headers.iter().find(|headers| headers["ce-id"] == event.id()).unwrap();
    assert_eq!(headers["Nats-Msg-Id"], event.id());
    assert_eq!(headers["ce-subject"], order.id.to_string());
    assert_eq!(headers["ce-source"], "/services/expiration");
}

#[tokio::test]
async fn of_an_order_that_ended_before_nothing_is_told_and_no_timer_is_left() {
    let world = World::start().await;
    let (given_up, paid) = (world.created().await, world.created().await);
    world.timers_are(&[given_up.clone(), paid.clone()]).await;
    world.tell(&cancelled(&given_up)).await;
    world.tell(&completed(&paid)).await;
    world.timers_are(&[]).await;
    world.infra.clock.advance(HOLD);
    world.look_at_the_clock().await;
    assert_eq!(world.times_told().await.len(), 1, "only the look itself was told");
    assert_eq!(world.schedule(&given_up).await.state, State::Over);
    assert_eq!(world.schedule(&paid).await.state, State::Over);
}

#[tokio::test]
async fn a_hold_that_had_run_out_when_it_was_heard_of_is_told_at_once() {
    let world = World::start().await;
    let late = order(world.now() - HOLD, Duration::from_secs(1));
    world.tell(&OrderCreated(late.clone())).await;
    world.told(&late).await;
}

#[tokio::test]
async fn a_thousand_holds_that_end_at_once_are_told_of_once_each() {
    let world = World::start().await;
    let orders = world.recorded(1000).await;
    // What Redis has never heard of comes into it when it is found empty.
    world.infra.redis().await.flush().await;
    world.timers_are(&orders).await;
    world.infra.clock.advance(HOLD);
    let begun = std::time::Instant::now();
    world.wrote(1000, doc! { "state": "fired" }).await;
    let written = begun.elapsed();
    world.wrote(1000, doc! { "state": "fired", "outboxPending": false }).await;
    println!("1000 ends written within {written:?}, published within {:?}", begun.elapsed());
    let told = world.times_told().await;
    assert_eq!(told.len(), 1000);
    assert!(told.values().all(|times| *times == 1));
    world.timers_are(&[]).await;
    for order in &orders {
        assert_eq!(world.schedule(order).await.firings, 1);
    }
}

#[tokio::test]
async fn two_replicas_tell_of_each_end_once() {
    let world = World::start().await;
    let (_, _second) = replica(&world.infra, &world.infra.redis_url().await).await;
    let orders: Vec<_> = (0..300).map(|_| world.order()).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    world.settled().await;
    world.timers_are(&orders).await;
    world.infra.clock.advance(HOLD);
    let told = world.told_of(orders.len()).await;
    world.timers_are(&[]).await;
    world.look_at_the_clock().await;
    for order in &orders {
        assert_eq!(told[&order.id], 1);
        assert_eq!(world.schedule(order).await.firings, 1);
    }
}

#[tokio::test]
async fn what_ran_out_while_the_service_was_down_is_told_when_it_is_back() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    let app = connect(&infra, &url).await;
    let orders = record(&app, vec![order(infra.clock.now(), HOLD)]).await;
    infra.clock.advance(HOLD * 2);
    let world = World::on(infra).await;
    world.told(&orders[0]).await;
}

#[tokio::test]
async fn an_end_that_came_while_the_broker_was_down_is_told_when_it_is_back() {
    let world = World::start().await;
    let order = world.created().await;
    world.infra.nats.kill();
    world.infra.clock.advance(HOLD);
    eventually("the end to be written down", || async {
        (world.schedule(&order).await.state == State::Fired).then_some(())
    })
    .await;
    world.infra.nats.restart().await;
    world.told(&order).await;
    assert_eq!(world.times_told().await[&order.id], 1);
}

/// The promise is one second. How long it really takes is printed.
#[tokio::test]
async fn an_end_is_told_within_a_second_of_its_moment() {
    let world = with_the_systems_clock().await;
    let soon = |number: u64| Duration::from_millis(1500 + 70 * number);
    let orders: Vec<_> = (0..10).map(|number| order(world.now(), soon(number))).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    let mut delays = Vec::new();
    for order in &orders {
        world.told(order).await;
        delays.push(order.expires_at.until(world.now()));
        assert!(world.now() >= order.expires_at, "told before its time");
    }
    println!("told after {delays:?}");
    assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)), "{delays:?}");
}
