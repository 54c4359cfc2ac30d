//! A message that can't be handled becomes a dead letter with its reason, and the consumer continues.

use common::events::{Event, ExpirationComplete, PaymentCreated, TicketCreated};
use testkit::eventually;

use crate::world::World;

#[tokio::test]
async fn a_malformed_message_becomes_a_dead_letter_and_the_next_one_is_handled() {
    let world = World::start().await;
    let malformed = ["", "{", "null", "{}", "{\"id\":7}", "\u{feff}[]", "{\"id\":{\"$gt\":\"\"}}"];
    for subject in [TicketCreated::SUBJECT, ExpirationComplete::SUBJECT, PaymentCreated::SUBJECT] {
        for body in malformed {
            world.bus().publish_raw(subject.as_str(), body).await;
        }
    }
    let letters = eventually("the dead letters", || async {
        Some(world.bus().dead_letters().await)
            .filter(|letters| letters.len() == 3 * malformed.len())
    })
    .await;
    for letter in letters {
        assert_eq!(letter.service, "orders");
        assert!(letter.reason.starts_with(&format!("not a {}:", letter.subject)), "{letter:?}");
        assert!(malformed.contains(&&*letter.body));
    }
    // All three consumers continue.
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.pay(&order).await;
    assert_eq!(world.seen(&order).await["status"], "complete");
    let order = world.order(&world.ticket().await).await;
    world.expire(&order).await;
    assert_eq!(world.stored(order.id).await.version, 2);
    assert_eq!(world.bus().dead_letters().await.len(), 3 * malformed.len());
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let world = World::start().await;
    let ticket = world.unpublished_ticket();
    let mut body = serde_json::to_value(&ticket).unwrap();
    body["aNewMember"] = serde_json::json!({ "of": ["a", "later", "version"] });
    world.bus().publish_raw(TicketCreated::SUBJECT.as_str(), body.to_string()).await;
    world.settled().await;
    world.order(&ticket).await;
    assert!(world.bus().dead_letters().await.is_empty());
}
