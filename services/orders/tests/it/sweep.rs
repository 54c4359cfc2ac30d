//! The sweep ends what the timers missed, and counts it.

use std::time::Duration;

use common::events::CancelReason;
use testkit::eventually;

use crate::world::{RESERVATION, World};

/// The counter is the process's, so this is the one test that lets the sweep find anything.
#[tokio::test]
async fn what_is_more_than_ten_seconds_past_its_time_is_ended_and_counted() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    let awaiting = world.ticket().await;
    let order = world.order(&awaiting).await;
    world.confirm_lock(&awaiting, &order).await;
    let paid = world.order(&world.ticket().await).await;
    world.pay(&paid).await;
    world.infra.clock.advance(Duration::from_secs(1));
    let not_yet = world.order(&world.ticket().await).await;

    assert_eq!(swept(&world).await, 0);
    world.infra.clock.advance(RESERVATION + Duration::from_millis(9_001));
    for order in [&late, &order] {
        let stored = eventually("the sweep", || async {
            Some(world.stored(order.id).await).filter(|order| !order.active)
        })
        .await;
        assert_eq!(stored.cancel_reason, Some(CancelReason::Expired));
    }
    assert_eq!(world.told(&late).await, [("created", 1), ("cancelled", 2)]);
    eventually("both to be counted", || async { (swept(&world).await == 2).then_some(()) }).await;
    assert!(world.stored(paid.id).await.active);
    assert_eq!(world.stored(not_yet.id).await, not_yet);
}

async fn swept(world: &World) -> u64 {
    let metrics = world.service.admin_port().get("/metrics").await.text;
    let line = metrics.lines().find(|line| line.starts_with("orders_swept_total"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
