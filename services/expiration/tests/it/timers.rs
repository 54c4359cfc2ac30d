//! Redis may lose everything, be down, or be silent: the record is in MongoDB.

use common::events::OrderCreated;
use expiration::domain::State;
use redis::AsyncCommands;
use testkit::{Infra, TestService};
use tokio::net::TcpListener;

use crate::world::{HOLD, World, order, replica};

/// As many as a consumer works on at once, and more: listeners that waited for Redis would be stuck.
const MANY: usize = 40;

/// Tells of many new orders, which must be heard whatever Redis does.
async fn many(world: &World) -> Vec<common::events::Order> {
    let orders: Vec<_> = (0..MANY).map(|_| world.order()).collect();
    for order in &orders {
        world.bus().publish(&OrderCreated(order.clone())).await;
    }
    world.settled().await;
    orders
}

/// How many ends the sweep had to tell, in all tests of this process.
async fn missed(service: &TestService) -> f64 {
    let metrics = service.admin_port().get("/metrics").await.text;
    let line = metrics.lines().find(|line| line.starts_with("expiration_timers_missed_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn after_flushall_all_timers_come_back_and_ring() {
    let world = World::start().await;
    let told = [world.created().await, world.created().await];
    world.timers_are(&told).await;
    // More than are put back at once.
    let orders = [world.recorded(1200).await, told.into()].concat();
    world.infra.redis().await.flush().await;
    world.timers_are(&orders).await;

    // Not only once.
    world.infra.redis().await.flush().await;
    world.timers_are(&orders).await;
    world.infra.clock.advance(HOLD);
    let told = world.told_of(orders.len()).await;
    assert!(told.values().all(|times| *times == 1));
}

#[tokio::test]
async fn while_redis_is_down_the_sweep_tells_and_when_it_is_back_and_empty_all_agree_again() {
    telemetry::metrics();
    let world = World::start().await;
    let before = world.created().await;
    world.timers_are(std::slice::from_ref(&before)).await;
    let redis = world.infra.redis().await;
    redis.kill();
    let mut due = many(&world).await;
    due.push(before);
    let missed_before = missed(&world.service).await;
    world.infra.clock.advance(HOLD + std::time::Duration::from_secs(3));
    let told = world.told_of(due.len()).await;
    assert!(told.values().all(|times| *times == 1));
    assert!(missed(&world.service).await >= missed_before + f64::from(u8::try_from(MANY).unwrap()));

    // Heard of while Redis is down, with their end to come.
    let waiting = many(&world).await;
    redis.wipe().await;
    world.timers_are(&waiting).await;
    let waiting = [waiting, vec![world.created().await]].concat();
    world.timers_are(&waiting).await;
    world.infra.clock.advance(HOLD);
    let told = world.told_of(due.len() + waiting.len()).await;
    assert!(told.values().all(|times| *times == 1));
    world.timers_are(&[]).await;
}

#[tokio::test]
async fn timers_of_orders_that_ended_while_redis_was_down_are_gone_once_it_is_back() {
    let world = World::start().await;
    let (ended, waiting) = (world.created().await, world.created().await);
    world.timers_are(&[ended.clone(), waiting.clone()]).await;
    let redis = world.infra.redis().await;
    redis.kill();
    world.tell(&crate::world::cancelled(&ended)).await;
    // It comes back with what it had: a timer too many, which the record overrules.
    redis.restart().await;
    world.infra.clock.advance(HOLD);
    world.told(&waiting).await;
    world.timers_are(&[]).await;
    assert_eq!(world.times_told().await.len(), 1);
    assert_eq!(world.schedule(&ended).await.state, State::Over);
}

#[tokio::test]
async fn it_starts_while_redis_is_down_and_tells_it_all_as_soon_as_it_is_there() {
    let infra = Infra::start().await;
    infra.redis().await.kill();
    let world = World::on(infra).await;
    let orders = many(&world).await;
    assert_eq!(world.timers().await, None);
    world.infra.redis().await.restart().await;
    world.timers_are(&orders).await;
    world.infra.clock.advance(HOLD);
    world.told_of(orders.len()).await;
}

/// A server that takes connections and never says a word: a partition looks like this.
#[tokio::test]
async fn a_redis_that_is_silent_holds_nobody_up() {
    let infra = Infra::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let (app, service) = replica(&infra, &url).await;
    let world = World { infra, app, service };
    let orders = many(&world).await;
    world.infra.clock.advance(HOLD + std::time::Duration::from_secs(3));
    let told = world.told_of(orders.len()).await;
    assert!(told.values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_timer_at_a_wrong_time_or_of_nobody_is_put_right() {
    let world = World::start().await;
    let order = world.created().await;
    let url = world.infra.redis_url().await;
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let early = world.now().millis() - 1000;
    let nobody = [(early, order.id.to_string()), (early, "nobody".to_owned())];
    let _: () = redis.zadd_multiple("expiration:due", &nobody).await.unwrap();
    world.timers_are(std::slice::from_ref(&order)).await;
    testkit::eventually("the timer to be moved", || async {
        let mut redis = redis.clone();
        let score: Option<i64> =
            redis.zscore("expiration:due", order.id.to_string()).await.unwrap();
        (score == Some(order.expires_at.millis())).then_some(())
    })
    .await;
    world.look_at_the_clock().await;
    assert_eq!(world.times_told().await.len(), 1, "only the look itself was told");
    world.infra.clock.advance(HOLD);
    world.told(&order).await;
}

/// A timer that Redis lost without a trace, as an append-only file that is a second behind may do.
#[tokio::test]
async fn a_single_timer_that_redis_lost_is_told_by_the_sweep() {
    let world = World::start().await;
    let lost = order(world.now(), HOLD);
    let kept = world.created().await;
    world.timers_are(std::slice::from_ref(&kept)).await;
    crate::world::record(&world.app, vec![lost.clone()]).await;
    world.infra.clock.advance(HOLD + std::time::Duration::from_secs(3));
    world.told(&kept).await;
    world.told(&lost).await;
}
