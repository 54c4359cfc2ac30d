//! What an operator types: `tickets reannounce …`.

use common::events::{TicketCreated, TicketDeleted, TicketUpdated};
use store::RESTORE_VERSION_OFFSET;

use crate::market::{Market, path, text};

#[tokio::test]
async fn every_ticket_is_told_again_as_it_stands_deleted_ones_too() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let (new, held, deleted) = (
        market.any_ticket(&seller).await,
        market.any_ticket(&seller).await,
        market.any_ticket(&seller).await,
    );
    market.tell(&market.buying(&buyer, &held).created(1, 1)).await;
    market.client_as(&seller).delete(&path(&deleted)).await.expect(204);
    let bus = market.infra.bus();
    let of = |ticket: &serde_json::Value| text(&ticket["id"]).to_owned();
    bus.wait_for::<TicketDeleted>(|event| event.0.id.to_string() == of(&deleted)).await;
    bus.wait_for::<TicketUpdated>(|event| event.0.id.to_string() == of(&held)).await;

    let told = market.infra.program("tickets").run(&["reannounce"]).await;
    let expected = "Told again: 3 events of 3 documents.\nAll are published.\n";
    assert_eq!(told.expect_success(), expected);
    let created = bus.published::<TicketCreated>().await;
    assert_eq!(created.iter().filter(|event| event.0.id.to_string() == of(&new)).count(), 2);
    let updated = bus.published::<TicketUpdated>().await;
    assert_eq!(updated.len(), 2);
    assert_eq!(updated[0], updated[1]);
    let tombstones = bus.published::<TicketDeleted>().await;
    assert_eq!(tombstones.len(), 2);
    assert_eq!(tombstones[0], tombstones[1]);
}

#[tokio::test]
async fn after_a_restore_its_word_is_newer_and_it_still_follows_the_holds_of_orders() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    let buying = market.buying(&buyer, &ticket);
    market.tell(&buying.created(1, 1)).await;
    market.infra.program("tickets").run(&["reannounce", "--restored"]).await.expect_success();
    let told = market.infra.bus().published::<TicketUpdated>().await.pop().unwrap().0;
    assert_eq!((told.version, told.hold), (RESTORE_VERSION_OFFSET + 2, 1));

    market.tell(&buying.cancelled(1, 2)).await;
    let free = market.look(&seller, &ticket).await.expect(200);
    assert_eq!(
        (text(&free["status"]), &free["version"]),
        ("available", &(RESTORE_VERSION_OFFSET + 3).into())
    );
}

#[tokio::test]
async fn what_was_told_to_a_broker_that_lost_it_is_told_again_by_itself() {
    let market = Market::open().await;
    let seller = market.user();
    for _ in 0..5 {
        market.any_ticket(&seller).await;
    }
    let bus = market.infra.bus();
    testkit::eventually("all to be told", || async {
        (bus.published::<TicketCreated>().await.len() == 5).then_some(())
    })
    .await;
    market.infra.nats.wipe().await;
    bus.wait_for_replay("TICKETS", "tickets").await;
    testkit::eventually("all to be told again", || async {
        (bus.published::<TicketCreated>().await.len() == 5).then_some(())
    })
    .await;
}
