//! What an operator types: `expiration reannounce …`.

use common::events::ExpirationComplete;

use crate::world::{HOLD, World, cancelled};

#[tokio::test]
async fn only_the_ends_of_holds_that_may_still_matter_are_told_again() {
    let world = World::start().await;
    let (fired, over) = (world.created().await, world.created().await);
    world.tell(&cancelled(&over)).await;
    world.infra.clock.advance(HOLD);
    world.told(&fired).await;
    let running = world.created().await;

    let expiration = world.infra.program("expiration");
    let expiration = expiration.with("REDIS_URL", world.infra.redis_url().await);
    let told = expiration.run(&["reannounce"]).await;
    let expected = "Told again: 1 events of 3 documents.\nAll are published.\n";
    assert_eq!(told.expect_success(), expected);
    let told = world.bus().published::<ExpirationComplete>().await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1], "in the same version");
    assert!(world.schedule(&running).await.retelling().is_none());

    // Its order's end is told once more, under a version that is beyond what was told.
    expiration.run(&["reannounce", "--restored"]).await.expect_success();
    let told = world.bus().published::<ExpirationComplete>().await.pop().unwrap();
    assert!(told.0.version > store::RESTORE_VERSION_OFFSET && told.0.order_id == fired.id);
}
