//! What is committed is published, once and in order, whatever crashes in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use common::events::ExpirationComplete;
use futures::future::join_all;
use httpkit::Error;
use store::replicas;
use testkit::{Infra, eventually};

use crate::thing::{Thing, bus, open, relay};

pub async fn versions(infra: &Infra) -> BTreeMap<String, Vec<i64>> {
    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in infra.bus().published::<ExpirationComplete>().await {
        versions.entry(event.0.order_id.to_string()).or_default().push(event.0.version);
    }
    versions
}

/// Waits until every outbox is empty.
pub async fn relayed(infra: &Infra) {
    let things = infra.database("expiration").await.collection::<Document>("things");
    eventually("all outboxes to be empty", || async {
        let waiting =
            things.count_documents(doc! { "outbox.0": { "$exists": true } }).await.unwrap();
        let flagged = things.count_documents(doc! { "outboxPending": true }).await.unwrap();
        (waiting == 0 && flagged == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_next_process_publishes_what_a_crashed_one_left_in_the_outbox() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let change = Thing::new(infra.clock.now());
    things.insert(&change.thing, &change.events).await.unwrap();
    assert_eq!(versions(&infra).await.len(), 0, "nobody relays yet");

    relay(&infra, &things).await;
    relayed(&infra).await;
    assert_eq!(versions(&infra).await.into_values().collect::<Vec<_>>(), [[1]]);
}

/// A sweep reads twice if it finds something; there is one a second.
#[tokio::test]
async fn what_is_new_is_published_without_being_read() {
    const MANY: usize = 200;
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    relayed(&infra).await;
    let database = infra.database("expiration").await;
    let begun = Instant::now();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    for _ in 0..MANY {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
    }
    relayed(&infra).await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let reads = doc! { "op": "query", "command.filter.outboxPending": true };
    let reads = profile.count_documents(reads).await.unwrap();
    let sweeps = begun.elapsed().as_secs() + 2;
    assert!(reads <= 2 * sweeps, "{reads} reads for {MANY} documents in {sweeps} sweeps");
    assert_eq!(versions(&infra).await.len(), MANY);
}

#[tokio::test]
async fn concurrent_changes_are_published_in_order_by_two_concurrent_relays() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    relay(&infra, &open(&infra).await).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
        ids.push(change.thing.id);
    }
    let changes = ids.iter().flat_map(|id| {
        let things = &things;
        (0..10)
            .map(move |_| things.change(*id, |thing: &Thing| Ok::<_, Error>(Some(thing.changed()))))
    });
    for changed in join_all(changes).await {
        changed.unwrap().unwrap();
    }
    relayed(&infra).await;
    let published = versions(&infra).await;
    for id in ids {
        assert_eq!(published[&id.to_string()], (1..=11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn changes_are_kept_while_the_broker_is_down_and_published_when_it_is_back() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    infra.nats.kill();
    let change = Thing::new(infra.clock.now());
    things.insert(&change.thing, &change.events).await.unwrap();
    infra.nats.restart().await;
    relayed(&infra).await;
    assert_eq!(versions(&infra).await.into_values().collect::<Vec<_>>(), [[1]]);
}

#[tokio::test]
async fn a_broker_that_lost_everything_gets_its_streams_again() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay(&infra, &things).await;
    infra.nats.wipe().await;
    let change = Thing::new(infra.clock.now());
    things.insert(&change.thing, &change.events).await.unwrap();
    infra.bus().wait_for_replay("EXPIRATION", "things").await;
    relayed(&infra).await;
    // Once from its outbox, and once because everything is republished to a new stream.
    assert_eq!(versions(&infra).await.into_values().collect::<Vec<_>>(), [[1, 1]]);
}

#[tokio::test]
async fn a_change_that_was_decided_on_an_older_version_is_not_written() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let change = Thing::new(infra.clock.now());
    things.insert(&change.thing, &change.events).await.unwrap();
    let next = change.thing.changed();
    assert!(things.replace(1, &next.thing, &next.events).await.unwrap());
    assert!(!things.replace(1, &next.thing, &next.events).await.unwrap());
    let again = things.insert(&change.thing, &change.events).await.unwrap_err();
    assert_eq!(again.duplicate_of().as_deref(), Some("_id_"));
    assert_eq!(things.get(change.thing.id).await.unwrap(), Some(next.thing));
}

#[tokio::test]
async fn of_two_versions_at_once_of_an_unknown_thing_the_newer_stands() {
    let infra = Infra::start().await;
    let replica = infra.database("replica").await.collection::<Thing>("things");
    for _ in 0..100 {
        let older = Thing::new(infra.clock.now()).thing;
        let newer = older.changed().thing;
        let id = older.id.to_string();
        let (first, second) = tokio::join!(
            replicas::apply_if_newer(&replica, &id, older.version, &older),
            replicas::apply_if_newer(&replica, &id, newer.version, &newer),
        );
        first.unwrap();
        assert_eq!(second.unwrap(), replicas::Applied::Newer);
        let stands = replica.find_one(doc! { "_id": &id }).await.unwrap();
        assert_eq!(stands, Some(newer.clone()));
        let late = replicas::apply_if_newer(&replica, &id, older.version, &older).await.unwrap();
        assert_eq!(late, replicas::Applied::Stale);
    }
}

#[tokio::test]
async fn documents_that_cannot_be_published_do_not_delay_the_others() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let raw = infra.database("expiration").await.collection::<Document>("things");
    for _ in 0..64 {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
    }
    // No stream has this subject.
    raw.update_many(doc! {}, doc! { "$set": { "outbox.0.subject": "nobody.stores.this" } })
        .await
        .unwrap();
    let good = Thing::new(infra.clock.now());
    things.insert(&good.thing, &good.events).await.unwrap();
    relay(&infra, &things).await;
    eventually("the good one to be published", || async {
        (versions(&infra).await.len() == 1).then_some(())
    })
    .await;
    // The good one's outbox is emptied after its event is published.
    eventually("only the others to be pending", || async {
        let pending = raw.count_documents(doc! { "outboxPending": true });
        (pending.await.unwrap() == 64).then_some(())
    })
    .await;
}

/// An operator's command on a busy service: something always waits there.
#[tokio::test]
async fn a_command_waits_for_what_was_pending_when_it_began_and_for_nothing_later() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let raw = infra.database("expiration").await.collection::<Document>("things");
    let insert = async || {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
        change.thing.id.to_string()
    };
    for _ in 0..3 {
        insert().await;
    }
    let later = insert().await;
    let unpublishable = doc! { "outbox.0.subject": "nobody.stores.this" };
    let id = doc! { "_id": &later };
    raw.update_one(id.clone(), doc! { "$set": unpublishable }).await.unwrap();
    let relay_all =
        async || things.relay_all(&bus(&infra, "expiration").await, Duration::from_secs(1)).await;
    assert!(relay_all().await.is_err(), "it was pending before");
    let time = infra.clock.now() + Duration::from_secs(1);
    raw.update_one(id, doc! { "$set": { "outbox.0.time": time } }).await.unwrap();
    insert().await;
    relay_all().await.unwrap();
    assert_eq!(versions(&infra).await.len(), 4);
    let pending = raw.find_one(doc! { "outboxPending": true }).await.unwrap().unwrap();
    assert_eq!(pending.get_str("_id").unwrap(), later);
}
