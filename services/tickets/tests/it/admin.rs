//! Admin commands: `tickets republish …`.

use common::events::{TicketCreated, TicketDeleted, TicketReserved, TicketUpdated};
use store::RESTORE_VERSION_OFFSET;

use crate::world::{World, path, text};

#[tokio::test]
async fn every_ticket_is_republished_in_its_current_state_deleted_ones_too() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let (new, reserved, deleted) = (
        world.default_ticket(&seller).await,
        world.default_ticket(&seller).await,
        world.default_ticket(&seller).await,
    );
    world.deliver(&world.order(&buyer, &reserved).created(1)).await;
    world.client_as(&seller).delete(&path(&deleted)).await.expect(204);
    let bus = world.infra.bus();
    let of = |ticket: &serde_json::Value| text(&ticket["id"]).to_owned();
    bus.wait_for::<TicketDeleted>(|event| event.0.id.to_string() == of(&deleted)).await;
    bus.wait_for::<TicketUpdated>(|event| event.0.id.to_string() == of(&reserved)).await;

    let published = world.infra.program("tickets").run(&["republish"]).await;
    let expected = "Republishing 4 events of 4 documents.\nAll events are published.\n";
    assert_eq!(published.expect_success(), expected);
    let created = bus.published::<TicketCreated>().await;
    assert_eq!(created.iter().filter(|event| event.0.id.to_string() == of(&new)).count(), 2);
    let confirmed = bus.published::<TicketReserved>().await;
    assert_eq!(confirmed.len(), 2);
    assert_eq!(confirmed[0], confirmed[1]);
    let updated = bus.published::<TicketUpdated>().await;
    assert_eq!(updated.len(), 2);
    assert_eq!(updated[0], updated[1]);
    let tombstones = bus.published::<TicketDeleted>().await;
    assert_eq!(tombstones.len(), 2);
    assert_eq!(tombstones[0], tombstones[1]);
}

#[tokio::test]
async fn after_a_restore_its_events_are_newer_and_it_still_applies_the_events_of_orders() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    world.infra.program("tickets").run(&["republish", "--restored"]).await.expect_success();
    let published = world.infra.bus().published::<TicketUpdated>().await.pop().unwrap().0;
    assert_eq!(published.version, RESTORE_VERSION_OFFSET + 2);

    world.deliver(&order.cancelled(2)).await;
    let free = world.get(&seller, &ticket).await.expect(200);
    assert_eq!(
        (text(&free["status"]), &free["version"]),
        ("available", &(RESTORE_VERSION_OFFSET + 3).into())
    );
}

#[tokio::test]
async fn events_that_the_broker_lost_are_republished_automatically() {
    let world = World::start().await;
    let seller = world.user();
    for _ in 0..5 {
        world.default_ticket(&seller).await;
    }
    let bus = world.infra.bus();
    testkit::eventually("all events to be published", || async {
        (bus.published::<TicketCreated>().await.len() == 5).then_some(())
    })
    .await;
    world.infra.nats.wipe().await;
    bus.wait_for_replay("TICKETS", "tickets").await;
    testkit::eventually("all events to be republished", || async {
        (bus.published::<TicketCreated>().await.len() == 5).then_some(())
    })
    .await;
}
