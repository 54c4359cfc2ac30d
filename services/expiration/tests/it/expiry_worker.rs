//! An expiry is published: in time, once, and not early.

use std::time::Duration;

use bson::doc;
use common::events::{Event, ExpirationComplete, OrderCreated};
use expiration::domain::State;
use testkit::{Infra, eventually};

use crate::world::{
    RESERVATION, World, cancelled, completed, connect, order, replica, store_orders,
    with_the_systems_clock,
};

#[tokio::test]
async fn an_expiry_is_published_when_it_is_due_and_not_before() {
    let world = World::start().await;
    let order = world.created().await;
    world.wait_for_timers(std::slice::from_ref(&order)).await;
    world.infra.clock.advance(RESERVATION - Duration::from_millis(1));
    world.wait_until_processed().await;
    world.wait_until_processed().await;
    assert!(!world.times_expired().await.contains_key(&order.id));
    assert_eq!(world.schedule(&order).await.state, State::Scheduled);

    world.infra.clock.advance(Duration::from_millis(1));
    let event = world.wait_for_expiry(&order).await;
    assert_eq!(event.0.version, world.schedule(&order).await.version);
    world.wait_for_timers(&[]).await;
    let headers = world.bus().headers::<ExpirationComplete>().await;
    let headers = headers.iter().find(|headers| headers["ce-id"] == event.id()).unwrap();
    assert_eq!(headers["Nats-Msg-Id"], event.id());
    assert_eq!(headers["ce-subject"], order.id.to_string());
    assert_eq!(headers["ce-source"], "/services/expiration");
}

#[tokio::test]
async fn an_order_that_ended_before_publishes_nothing_and_leaves_no_timer() {
    let world = World::start().await;
    let (cancelled_order, paid) = (world.created().await, world.created().await);
    world.wait_for_timers(&[cancelled_order.clone(), paid.clone()]).await;
    world.deliver(&cancelled(&cancelled_order)).await;
    world.deliver(&completed(&paid)).await;
    world.wait_for_timers(&[]).await;
    world.infra.clock.advance(RESERVATION);
    world.wait_until_processed().await;
    assert_eq!(world.times_expired().await.len(), 1, "only the canary was published");
    assert_eq!(world.schedule(&cancelled_order).await.state, State::Ended);
    assert_eq!(world.schedule(&paid).await.state, State::Ended);
}

#[tokio::test]
async fn a_reservation_that_had_expired_when_its_event_arrived_is_published_immediately() {
    let world = World::start().await;
    let late = order(world.now() - RESERVATION, Duration::from_secs(1));
    world.deliver(&OrderCreated(late.clone())).await;
    world.wait_for_expiry(&late).await;
}

#[tokio::test]
async fn a_thousand_reservations_that_expire_together_are_published_once_each() {
    let world = World::start().await;
    let orders = world.stored_orders(1000).await;
    // The queue is rebuilt when the marker is missing.
    world.infra.redis().await.flush().await;
    world.wait_for_timers(&orders).await;
    world.infra.clock.advance(RESERVATION);
    let started = std::time::Instant::now();
    world.wait_for_documents(1000, doc! { "state": "fired" }).await;
    let written = started.elapsed();
    world.wait_for_documents(1000, doc! { "state": "fired", "outboxPending": false }).await;
    println!("1000 expiries written within {written:?}, published within {:?}", started.elapsed());
    let published = world.times_expired().await;
    assert_eq!(published.len(), 1000);
    assert!(published.values().all(|times| *times == 1));
    world.wait_for_timers(&[]).await;
    for order in &orders {
        assert_eq!(world.schedule(order).await.expirations, 1);
    }
}

#[tokio::test]
async fn two_replicas_publish_each_expiry_once() {
    let world = World::start().await;
    let (_, _second) = replica(&world.infra, &world.infra.redis_url().await).await;
    let orders: Vec<_> = (0..300).map(|_| world.order()).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    world.settled().await;
    world.wait_for_timers(&orders).await;
    world.infra.clock.advance(RESERVATION);
    let published = world.wait_for_expiries(orders.len()).await;
    world.wait_for_timers(&[]).await;
    world.wait_until_processed().await;
    for order in &orders {
        assert_eq!(published[&order.id], 1);
        assert_eq!(world.schedule(order).await.expirations, 1);
    }
}

#[tokio::test]
async fn an_expiry_while_the_service_is_down_is_published_after_its_restart() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    let app = connect(&infra, &url).await;
    let orders = store_orders(&app, vec![order(infra.clock.now(), RESERVATION)]).await;
    infra.clock.advance(RESERVATION * 2);
    let world = World::on(infra).await;
    world.wait_for_expiry(&orders[0]).await;
}

#[tokio::test]
async fn an_expiry_while_the_broker_is_down_is_published_after_its_restart() {
    let world = World::start().await;
    let order = world.created().await;
    world.infra.nats.kill();
    world.infra.clock.advance(RESERVATION);
    eventually("the expiry to be stored", || async {
        (world.schedule(&order).await.state == State::Expired).then_some(())
    })
    .await;
    world.infra.nats.restart().await;
    world.wait_for_expiry(&order).await;
    assert_eq!(world.times_expired().await[&order.id], 1);
}

/// The guarantee is one second. The measured delays are printed.
#[tokio::test]
async fn an_expiry_is_published_within_a_second() {
    let world = with_the_systems_clock().await;
    let soon = |number: u64| Duration::from_millis(1500 + 70 * number);
    let orders: Vec<_> = (0..10).map(|number| order(world.now(), soon(number))).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    let mut delays = Vec::new();
    for order in &orders {
        world.wait_for_expiry(order).await;
        delays.push(order.expires_at.until(world.now()));
        assert!(world.now() >= order.expires_at, "published too early");
    }
    println!("published after {delays:?}");
    assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)), "{delays:?}");
}
