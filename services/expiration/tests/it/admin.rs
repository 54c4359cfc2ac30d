//! Admin commands: `expiration republish …`.

use common::events::ExpirationComplete;

use crate::world::{RESERVATION, World, cancelled};

#[tokio::test]
async fn only_published_expiries_of_live_orders_are_republished() {
    let world = World::start().await;
    let (expired, ended) = (world.created().await, world.created().await);
    world.deliver(&cancelled(&ended)).await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiry(&expired).await;
    let running = world.created().await;

    let expiration = world.infra.program("expiration");
    let expiration = expiration.with("REDIS_URL", world.infra.redis_url().await);
    let output = expiration.run(&["republish"]).await;
    let expected = "Republishing 1 events of 1 documents.\nAll events are published.\n";
    assert_eq!(output.expect_success(), expected);
    let published = world.bus().published::<ExpirationComplete>().await;
    assert_eq!(published.len(), 2);
    assert_eq!(published[0], published[1], "in the same version");
    assert!(world.schedule(&running).await.snapshot_event().is_none());

    // The expiry is published once more, in a version beyond all that were published.
    expiration.run(&["republish", "--restored"]).await.expect_success();
    let published = world.bus().published::<ExpirationComplete>().await.pop().unwrap();
    assert!(
        published.0.version > store::RESTORE_VERSION_OFFSET && published.0.order_id == expired.id
    );
}
