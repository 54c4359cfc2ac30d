//! Republishing: by an operator, after a restore, and automatically when the broker has lost everything.

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

async fn republish(things: &Documents<Thing>, republish: &Republish) -> Republished {
    things.republish(republish, |_| {}, &CancellationToken::new()).await.unwrap()
}

async fn ids(infra: &Infra) -> Vec<String> {
    let headers = infra.bus().headers::<ExpirationComplete>().await;
    headers.into_iter().map(|headers| headers["ce-id"].clone()).collect()
}

#[tokio::test]
async fn a_republished_event_has_an_id_of_its_own_and_the_same_version() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    let thing = stored(&things, &infra, 1).await.remove(0);
    relayed(&infra).await;
    for _ in 0..2 {
        infra.clock.advance(Duration::from_millis(1));
        let republished = republish(&things, &Republish::new(infra.clock.now(), None)).await;
        assert_eq!(republished, Republished { documents: 1, events: 1 });
        relayed(&infra).await;
    }
    let ids = ids(&infra).await;
    let plain = format!("expiration.complete:{}:1", thing.id);
    assert_eq!(ids[0], plain);
    assert!(ids[1..].iter().all(|id| id.starts_with(&format!("{plain}:republish-"))), "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(versions(&infra).await.into_values().collect::<Vec<_>>(), [[1, 1, 1]]);
    assert_eq!(things.get(thing.id).await.unwrap(), Some(thing));
}

/// However often it is interrupted, and if two replicas do it at once.
#[tokio::test]
async fn each_document_is_replayed_once_to_each_new_stream() {
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
        let interrupt = CancellationToken::new();
        let replay = Republish::to_new_stream(stream);
        let progress = |done: Republished| {
            if done.documents >= 10 {
                interrupt.cancel();
            }
        };
        let begun = things.republish(&replay, progress, &interrupt).await.unwrap();
        let (one, other) = tokio::join!(republish(&things, &replay), republish(&things, &replay));
        assert!(begun.events < 40);
        assert_eq!(begun.events + one.events + other.events, documents);
    }
    assert_eq!(changed_at().await, before, "nothing has changed by it");
}

#[tokio::test]
async fn only_what_changed_since_then_is_republished() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let all = stored(&things, &infra, 2).await;
    infra.clock.advance(Duration::from_secs(60));
    let then = infra.clock.now();
    let changed = all[1].changed();
    assert!(things.replace(1, &changed.thing, &changed.events).await.unwrap());
    assert_eq!(republish(&things, &Republish::new(then, Some(then))).await.documents, 1);
    let later = then + Duration::from_millis(1);
    assert_eq!(republish(&things, &Republish::new(then, Some(later))).await.documents, 0);

    // What an older version of the program wrote may have changed at any time.
    let documents = infra.database("expiration").await.collection::<Document>("things");
    documents.update_many(doc! {}, doc! { "$unset": { "changedAt": 1 } }).await.unwrap();
    assert_eq!(republish(&things, &Republish::new(then, Some(later))).await.documents, 2);
}

#[tokio::test]
async fn concurrent_changes_are_published_in_the_order_of_their_writes() {
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
    let republishing = async {
        for _ in 0..5 {
            infra.clock.advance(Duration::from_millis(1));
            republish(&things, &Republish::new(infra.clock.now(), None)).await;
        }
    };
    tokio::join!(changing, republishing);
    relayed(&infra).await;
    for (_, published) in versions(&infra).await {
        assert_eq!(
            published.iter().collect::<BTreeSet<_>>(),
            (1..=11).collect::<Vec<_>>().iter().collect()
        );
        assert_eq!(published.len(), 16, "11 changes, republished 5 times: {published:?}");
        assert!(published.is_sorted(), "{published:?}");
    }
}

#[tokio::test]
async fn after_a_restore_every_version_is_bumped_once_even_if_the_command_was_killed() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    stored(&things, &infra, 200).await;
    let restore = async |until: u64| {
        let run = things.begin_restore().await.unwrap();
        let killed = CancellationToken::new();
        let replay = Republish::restored(infra.clock.now(), run.clone());
        let progress = |done: Republished| {
            if done.documents >= until {
                killed.cancel();
            }
        };
        things.republish(&replay, progress, &killed).await.unwrap();
        run
    };
    let versions = async || {
        let documents = infra.database("expiration").await.collection::<Document>("things");
        let versions = documents.distinct("version", doc! {}).await.unwrap();
        versions.into_iter().map(|version| version.as_i64().unwrap()).collect::<Vec<_>>()
    };
    let first = restore(50).await;
    assert_eq!(versions().await, [1, RESTORE_VERSION_OFFSET + 1], "killed half-way");
    assert_eq!(restore(u64::MAX).await, first, "the run is continued");
    assert_eq!(versions().await, [RESTORE_VERSION_OFFSET + 1]);

    things.end_restore(&first).await.unwrap();
    assert_ne!(restore(u64::MAX).await, first, "the next restore is another one");
    assert_eq!(versions().await, [2 * RESTORE_VERSION_OFFSET + 1]);
}

#[tokio::test]
async fn everything_is_republished_once_to_a_recreated_stream() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    relay(&infra, &open(&infra).await).await;
    let all = stored(&things, &infra, 40).await;
    relayed(&infra).await;
    // The outboxes are empty: they don't notice what the broker loses.
    infra.nats.wipe().await;
    eventually("everything to be republished", || async {
        (versions(&infra).await.len() == all.len()).then_some(())
    })
    .await;
    relayed(&infra).await;
    // Both relays noticed, under the same ids.
    let ids = ids(&infra).await;
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    assert!(ids.iter().all(|id| id.contains(":1:replay-")), "{ids:?}");
}

#[tokio::test]
async fn the_first_start_republishes_nothing() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    infra.bus().wait_for_replay("EXPIRATION", "things").await;
    stored(&things, &infra, 3).await;
    relayed(&infra).await;
    // Nor does a relay that starts later.
    let stop = relay(&infra, &open(&infra).await).await;
    relayed(&infra).await;
    stop.cancel();
    assert_eq!(ids(&infra).await.len(), 3);
}

/// The relays of a process's several collections share its streams.
#[tokio::test]
async fn marks_of_several_collections_at_once_are_all_kept() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let bus = crate::thing::bus(&infra, "expiration").await;
    bus.ensure_streams().await.unwrap();
    let kinds = ["users", "sessions", "tokens", "links"];
    let mark = async |kind: &str| {
        for stream in bus.streams_needing_replay(kind).await.unwrap() {
            bus.mark_replayed(&stream, kind, infra.clock.now()).await.unwrap();
        }
    };
    futures::future::join_all(kinds.iter().map(|kind| mark(kind))).await;
    for kind in kinds {
        assert_eq!(bus.streams_needing_replay(kind).await.unwrap().len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn an_interrupted_replay_is_continued_by_another_replica() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let stop = relay(&infra, &things).await;
    stored(&things, &infra, 20).await;
    relayed(&infra).await;
    stop.cancel();
    infra.nats.wipe().await;
    // It creates the stream, and ends.
    let dying = CancellationToken::new();
    dying.cancel();
    things.clone().relay(crate::thing::bus(&infra, "expiration").await, dying).await;
    assert_eq!(versions(&infra).await.len(), 0);

    relay(&infra, &things).await;
    infra.bus().wait_for_replay("EXPIRATION", "things").await;
    relayed(&infra).await;
    assert_eq!(versions(&infra).await.len(), 20);
}
