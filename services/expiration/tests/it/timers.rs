//! Redis may lose everything, be down, or not respond: the record is in MongoDB.

use common::events::OrderCreated;
use expiration::domain::State;
use redis::AsyncCommands;
use testkit::{Infra, TestService};
use tokio::net::TcpListener;

use crate::world::{RESERVATION, World, order, replica};

/// More than a consumer handles concurrently: listeners that awaited Redis would block.
const MANY: usize = 40;

/// Publishes many new orders, which must be handled whatever the state of Redis.
async fn many(world: &World) -> Vec<common::events::Order> {
    let orders: Vec<_> = (0..MANY).map(|_| world.order()).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    world.settled().await;
    orders
}

/// How many expiries only the sweep published, in all tests of this process.
async fn missed(service: &TestService) -> f64 {
    let metrics = service.admin_port().get("/metrics").await.text;
    let line = metrics.lines().find(|line| line.starts_with("expiration_timers_missed_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn after_flushall_all_timers_are_rebuilt_and_expire() {
    let world = World::start().await;
    let received = [world.created().await, world.created().await];
    world.wait_for_timers(&received).await;
    // More than one batch of the rebuild.
    let orders = [world.stored_orders(1200).await, received.into()].concat();
    world.infra.redis().await.flush().await;
    world.wait_for_timers(&orders).await;

    // A second time.
    world.infra.redis().await.flush().await;
    world.wait_for_timers(&orders).await;
    world.infra.clock.advance(RESERVATION);
    let published = world.wait_for_expiries(orders.len()).await;
    assert!(published.values().all(|times| *times == 1));
}

#[tokio::test]
async fn while_redis_is_down_the_sweep_expires_and_once_it_is_back_and_empty_the_timers_are_rebuilt()
 {
    telemetry::metrics();
    let world = World::start().await;
    let before = world.created().await;
    world.wait_for_timers(std::slice::from_ref(&before)).await;
    let redis = world.infra.redis().await;
    redis.kill();
    let mut due = many(&world).await;
    due.push(before);
    let missed_before = missed(&world.service).await;
    world.infra.clock.advance(RESERVATION + std::time::Duration::from_secs(3));
    let published = world.wait_for_expiries(due.len()).await;
    assert!(published.values().all(|times| *times == 1));
    assert!(missed(&world.service).await >= missed_before + f64::from(u8::try_from(MANY).unwrap()));

    // Received while Redis is down, and not yet due.
    let waiting = many(&world).await;
    redis.wipe().await;
    world.wait_for_timers(&waiting).await;
    let waiting = [waiting, vec![world.created().await]].concat();
    world.wait_for_timers(&waiting).await;
    world.infra.clock.advance(RESERVATION);
    let published = world.wait_for_expiries(due.len() + waiting.len()).await;
    assert!(published.values().all(|times| *times == 1));
    world.wait_for_timers(&[]).await;
}

#[tokio::test]
async fn timers_of_orders_that_ended_while_redis_was_down_are_removed_once_it_is_back() {
    let world = World::start().await;
    let (ended, waiting) = (world.created().await, world.created().await);
    world.wait_for_timers(&[ended.clone(), waiting.clone()]).await;
    let redis = world.infra.redis().await;
    redis.kill();
    world.deliver(&crate::world::cancelled(&ended)).await;
    // It restarts with its old content: with an extra timer, which the record overrules.
    redis.restart().await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&waiting).await;
    world.wait_for_timers(&[]).await;
    assert_eq!(world.times_expired().await.len(), 1);
    assert_eq!(world.schedule(&ended).await.state, State::Ended);
}

#[tokio::test]
async fn it_starts_while_redis_is_down_and_builds_the_queue_once_it_is_up() {
    let infra = Infra::start().await;
    infra.redis().await.kill();
    let world = World::on(infra).await;
    let orders = many(&world).await;
    assert_eq!(world.timers().await, None);
    world.infra.redis().await.restart().await;
    world.wait_for_timers(&orders).await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiries(orders.len()).await;
}

/// A server that accepts connections and never responds, as in a network partition.
#[tokio::test]
async fn an_unresponsive_redis_blocks_nothing() {
    let infra = Infra::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let (app, service) = replica(&infra, &url).await;
    let world = World { infra, app, service };
    let orders = many(&world).await;
    world.infra.clock.advance(RESERVATION + std::time::Duration::from_secs(3));
    let published = world.wait_for_expiries(orders.len()).await;
    assert!(published.values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_timer_with_a_wrong_time_or_of_an_unknown_order_is_corrected() {
    let world = World::start().await;
    let order = world.created().await;
    let url = world.infra.redis_url().await;
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let early = world.now().millis() - 1000;
    let wrong = [(early, order.id.to_string()), (early, "unknown".to_owned())];
    let _: () = redis.zadd_multiple("expiration:due", &wrong).await.unwrap();
    world.wait_for_timers(std::slice::from_ref(&order)).await;
    testkit::eventually("the timer to be moved", || async {
        let mut redis = redis.clone();
        let score: Option<i64> =
            redis.zscore("expiration:due", order.id.to_string()).await.unwrap();
        (score == Some(order.expires_at.millis())).then_some(())
    })
    .await;
    world.wait_until_processed().await;
    assert_eq!(world.times_expired().await.len(), 1, "only the canary was published");
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&order).await;
}

/// A timer that Redis lost silently, as is possible with an append-only file that is a second behind.
#[tokio::test]
async fn a_single_timer_that_redis_lost_is_found_by_the_sweep() {
    let world = World::start().await;
    let lost = order(world.now(), RESERVATION);
    let kept = world.created().await;
    world.wait_for_timers(std::slice::from_ref(&kept)).await;
    crate::world::store_orders(&world.app, vec![lost.clone()]).await;
    world.infra.clock.advance(RESERVATION + std::time::Duration::from_secs(3));
    world.wait_for_expiry(&kept).await;
    world.wait_for_expiry(&lost).await;
}
