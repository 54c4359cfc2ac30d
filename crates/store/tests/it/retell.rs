//! Telling again: by an operator, after a restore, and by itself when the broker has lost everything.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::{Document, doc};
use common::events::ExpirationComplete;
use httpkit::Error;
use store::{Documents, RESTORE_VERSION_OFFSET, Republish, Republished};
use testkit::{Infra, eventually};
use tokio_util::sync::CancellationToken;

use crate::outbox::{relayed, versions};
use crate::thing::{Thing, open, relay};

async fn stored(things: &Documents<Thing>, infra: &Infra, count: usize) -> Vec<Thing> {
    let mut all = Vec::new();
    for _ in 0..count {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
        all.push(change.thing);
    }
    all
}

async fn retell(things: &Documents<Thing>, retelling: &Republish) -> Republished {
    things.republish(retelling, |_| {}, &CancellationToken::new()).await.unwrap()
}

async fn ids(infra: &Infra) -> Vec<String> {
    let headers = infra.bus().headers::<ExpirationComplete>().await;
    headers.into_iter().map(|headers| headers["ce-id"].clone()).collect()
}

#[tokio::test]
async fn what_is_told_again_has_an_id_of_its_own_and_the_same_version() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    let thing = stored(&things, &infra, 1).await.remove(0);
    relayed(&infra).await;
    for _ in 0..2 {
        infra.clock.advance(Duration::from_millis(1));
        let told = retell(&things, &Republish::new(infra.clock.now(), None)).await;
        assert_eq!(told, Republished { documents: 1, events: 1 });
        relayed(&infra).await;
    }
    let ids = ids(&infra).await;
    let plain = format!("expiration.complete:{}:1", thing.id);
    assert_eq!(ids[0], plain);
    assert!(ids[1..].iter().all(|id| id.starts_with(&format!("{plain}:again-"))), "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(versions(&infra).await.into_values().collect::<Vec<_>>(), [[1, 1, 1]]);
    assert_eq!(things.get(thing.id).await.unwrap(), Some(thing));
}

/// However often it is cut off, killed or asked for by two replicas at once.
#[tokio::test]
async fn a_new_stream_is_told_each_document_once_and_the_next_one_again() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    stored(&things, &infra, 40).await;
    let changed_at = async || {
        let documents = infra.database("expiration").await.collection::<Document>("things");
        documents.distinct("changedAt", doc! {}).await.unwrap()
    };
    let before = changed_at().await;
    infra.clock.advance(Duration::from_secs(1));
    for (stream, documents) in [(1, 40), (1, 0), (2, 40)] {
        let cut_off = CancellationToken::new();
        let retelling = Republish::to_new_stream(stream);
        let progress = |told: Republished| {
            if told.documents >= 10 {
                cut_off.cancel();
            }
        };
        let begun = things.republish(&retelling, progress, &cut_off).await.unwrap();
        let (one, other) = tokio::join!(retell(&things, &retelling), retell(&things, &retelling));
        assert!(begun.events < 40);
        assert_eq!(begun.events + one.events + other.events, documents);
    }
    assert_eq!(changed_at().await, before, "nothing has changed by it");
}

#[tokio::test]
async fn only_what_has_changed_since_then_is_told_again() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let all = stored(&things, &infra, 2).await;
    infra.clock.advance(Duration::from_secs(60));
    let then = infra.clock.now();
    let changed = all[1].changed();
    assert!(things.replace(1, &changed.thing, &changed.events).await.unwrap());
    assert_eq!(retell(&things, &Republish::new(then, Some(then))).await.documents, 1);
    let later = then + Duration::from_millis(1);
    assert_eq!(retell(&things, &Republish::new(then, Some(later))).await.documents, 0);

    // What an older version of the program wrote may have changed at any time.
    let documents = infra.database("expiration").await.collection::<Document>("things");
    documents.update_many(doc! {}, doc! { "$unset": { "changedAt": 1 } }).await.unwrap();
    assert_eq!(retell(&things, &Republish::new(then, Some(later))).await.documents, 2);
}

#[tokio::test]
async fn beside_changes_everything_is_told_as_it_was_written() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    let all = stored(&things, &infra, 8).await;
    let changing = async {
        for thing in all.iter().cycle().take(80) {
            let change = |thing: &Thing| Ok::<_, Error>(Some(thing.changed()));
            things.change(thing.id, change).await.unwrap();
        }
    };
    let telling = async {
        for _ in 0..5 {
            infra.clock.advance(Duration::from_millis(1));
            retell(&things, &Republish::new(infra.clock.now(), None)).await;
        }
    };
    tokio::join!(changing, telling);
    relayed(&infra).await;
    for (_, told) in versions(&infra).await {
        assert_eq!(
            told.iter().collect::<BTreeSet<_>>(),
            (1..=11).collect::<Vec<_>>().iter().collect()
        );
        assert_eq!(told.len(), 16, "11 changes and 5 retellings: {told:?}");
        assert!(told.is_sorted(), "{told:?}");
    }
}

#[tokio::test]
async fn after_a_restore_every_version_grows_once_also_if_the_command_was_killed() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    stored(&things, &infra, 200).await;
    let restore = async |until: u64| {
        let run = things.begin_restore().await.unwrap();
        let killed = CancellationToken::new();
        let retelling = Republish::restored(infra.clock.now(), run.clone());
        let progress = |told: Republished| {
            if told.documents >= until {
                killed.cancel();
            }
        };
        things.republish(&retelling, progress, &killed).await.unwrap();
        run
    };
    let versions = async || {
        let documents = infra.database("expiration").await.collection::<Document>("things");
        let versions = documents.distinct("version", doc! {}).await.unwrap();
        versions.into_iter().map(|version| version.as_i64().unwrap()).collect::<Vec<_>>()
    };
    let first = restore(50).await;
    assert_eq!(versions().await, [1, RESTORE_VERSION_OFFSET + 1], "killed half-way");
    assert_eq!(restore(u64::MAX).await, first, "it goes on");
    assert_eq!(versions().await, [RESTORE_VERSION_OFFSET + 1]);

    things.end_restore(&first).await.unwrap();
    assert_ne!(restore(u64::MAX).await, first, "the next restore is another one");
    assert_eq!(versions().await, [2 * RESTORE_VERSION_OFFSET + 1]);
}

#[tokio::test]
async fn a_stream_that_had_to_be_made_anew_is_told_everything_once() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    relay(&infra, &open(&infra).await).await;
    let all = stored(&things, &infra, 40).await;
    relayed(&infra).await;
    // Nobody has heard any of it, and nothing waits: the broker's loss goes unnoticed by the outbox.
    infra.nats.wipe().await;
    eventually("all to be told again", || async {
        (versions(&infra).await.len() == all.len()).then_some(())
    })
    .await;
    relayed(&infra).await;
    // Both relays have noticed, and said the same.
    let ids = ids(&infra).await;
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    assert!(ids.iter().all(|id| id.contains(":1:anew-")), "{ids:?}");
}

#[tokio::test]
async fn the_very_first_start_tells_nothing_again() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    infra.bus().wait_for_replay("EXPIRATION", "things").await;
    stored(&things, &infra, 3).await;
    relayed(&infra).await;
    // Nor does a relay that comes later.
    let stop = relay(&infra, &open(&infra).await).await;
    relayed(&infra).await;
    stop.cancel();
    assert_eq!(ids(&infra).await.len(), 3);
}

#[tokio::test]
async fn who_dies_before_a_new_stream_was_told_everything_is_followed_by_another_one() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let stop = relay(&infra, &things).await;
    stored(&things, &infra, 20).await;
    relayed(&infra).await;
    stop.cancel();
    infra.nats.wipe().await;
    // It makes the stream, and is gone.
    let dying = CancellationToken::new();
    dying.cancel();
    things.clone().relay(crate::thing::bus(&infra, "expiration").await, dying).await;
    assert_eq!(versions(&infra).await.len(), 0);

    relay(&infra, &things).await;
    infra.bus().wait_for_replay("EXPIRATION", "things").await;
    relayed(&infra).await;
    assert_eq!(versions(&infra).await.len(), 20);
}
