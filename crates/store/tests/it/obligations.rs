//! Obligations end with their answer; documents of a later version are left to it.

use std::time::Duration;

use bson::{Document, doc};
use bus::Failure;
use common::events::ExpirationComplete;
use store::{Change, Error};
use testkit::{Infra, all_published, eventually, looked_up};

use crate::thing::{Thing, open, relay};

async fn published(infra: &Infra) -> usize {
    infra.bus().published::<ExpirationComplete>().await.len()
}

async fn becomes(infra: &Infra, count: usize) {
    eventually("the event to be published again", || async {
        (published(infra).await == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_unanswered_is_published_again_with_growing_pauses_until_the_answer() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    // Of two relays, one reminds.
    relay(&infra, &open(&infra).await).await;
    let Change { thing, .. } = Thing::new(infra.clock.now());
    let thing = Thing { obliges: true, ..thing };
    let Change { thing, events } = thing.changed();
    things.insert(&thing, &events).await.unwrap();
    becomes(&infra, 1).await;
    for (reminders, pause) in [(1, 10), (2, 20), (3, 40)] {
        infra.clock.advance(Duration::from_secs(pause));
        becomes(&infra, 1 + reminders).await;
    }
    let answered = |thing: &Thing| {
        let next = Thing { obliges: false, ..thing.changed().thing };
        Ok::<_, Error>(Some(Change::without_event(next)))
    };
    things.change(thing.id, answered).await.unwrap();
    infra.clock.advance(Duration::from_secs(24 * 60 * 60));
    // Both relays have looked, and have published what they found.
    looked_up(&things, "unanswered", 6).await;
    all_published(&things).await;
    assert_eq!(published(&infra).await, 4);
}

#[tokio::test]
async fn documents_of_an_older_version_are_reminded_of_too() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let raw = infra.database("expiration").await.collection::<Document>("things");
    for obliges in [true, false] {
        let Change { thing, .. } = Thing::new(infra.clock.now());
        things.insert(&Thing { obliges, ..thing }, &[]).await.unwrap();
    }
    raw.update_many(
        doc! {},
        doc! { "$unset": { "unanswered": "", "remindAt": "", "reminders": "" } },
    )
    .await
    .unwrap();
    relay(&infra, &things).await;
    becomes(&infra, 1).await;
    eventually("the other one to be marked", || async {
        let marked = doc! { "obliges": false, "unanswered": false };
        (raw.count_documents(marked).await.unwrap() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_document_of_a_later_version_is_left_to_it() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let Change { thing, .. } = Thing::new(infra.clock.now());
    things.insert(&thing, &[]).await.unwrap();
    let raw = infra.database("expiration").await.collection::<Document>("things");
    raw.update_one(doc! {}, doc! { "$set": { "state": "postponed" } }).await.unwrap();
    let change = |thing: &Thing| Ok::<_, Error>(Some(thing.changed()));
    let error = things.change(thing.id, change).await.unwrap_err();
    assert!(matches!(Failure::from(error), Failure::Unknown(_)));
    let stored = raw.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(stored.get_str("state").unwrap(), "postponed");
}
