//! What expiration asks of its database.

use testkit::Profile;

use crate::world::{RESERVATION, World};

#[tokio::test]
async fn every_query_has_a_time_limit_and_an_index() {
    let world = World::start().await;
    let profile = Profile::start(&world.infra.database("expiration").await).await;
    let orders = [world.created().await, world.created().await];
    // All timers are restored, in the order of their expiry.
    world.infra.redis().await.flush().await;
    world.wait_for_timers(&orders).await;
    world.infra.clock.advance(RESERVATION);
    for order in &orders {
        world.wait_for_expiry(order).await;
    }
    profile.assert_bounded().await;
}

#[tokio::test]
async fn broken_promises_are_found_by_indexes() {
    let world = World::start().await;
    let (database, now) = (world.infra.database("expiration").await, world.infra.clock.now());
    testkit::assert_promises_have_indexes(&database, &expiration::promises::PROMISES, now).await;
}
