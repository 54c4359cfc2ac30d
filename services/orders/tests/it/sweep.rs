//! The sweep ends expired orders whose timer events are missing, and counts them.

use std::time::Duration;

use common::events::CancelReason;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use testkit::eventually;

use crate::world::{RESERVATION, World};

#[tokio::test]
async fn an_order_that_expired_more_than_ten_seconds_ago_is_ended_and_counted() {
    // Metrics are global to the process. All of this test's service runs on its thread, which has a recorder of its own.
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    let awaiting = world.ticket().await;
    let order = world.order(&awaiting).await;
    world.confirm_reserved(&order).await;
    let paid = world.order(&world.ticket().await).await;
    world.pay(&paid).await;
    world.infra.clock.advance(Duration::from_secs(1));
    let not_yet = world.order(&world.ticket().await).await;

    assert_eq!(swept(&metrics), 0);
    world.infra.clock.advance(RESERVATION + Duration::from_millis(9_001));
    for order in [&late, &order] {
        let stored = eventually("the sweep", || async {
            Some(world.stored(order.id).await).filter(|order| !order.occupies)
        })
        .await;
        assert_eq!(stored.cancel_reason, Some(CancelReason::Expired));
    }
    assert_eq!(world.events_of(&late).await, [("created", 1), ("cancelled", 2)]);
    eventually("both to be counted", || async { (swept(&metrics) == 2).then_some(()) }).await;
    assert!(world.stored(paid.id).await.occupies);
    assert_eq!(world.stored(not_yet.id).await, not_yet);
}

fn swept(metrics: &PrometheusHandle) -> u64 {
    let text = metrics.render();
    let line = text.lines().find(|line| line.starts_with("orders_swept_total"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
