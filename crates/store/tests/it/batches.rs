//! Messages that are handled together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::anyhow;
use bus::{ConsumerHealth, Failure, Listeners};
use common::events::{Expiration, ExpirationComplete, Stream, Subject};
use common::ids::OrderId;
use store::Change;
use testkit::Infra;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::thing::{Thing, bus, open};

const ALL: i64 = 40;

/// What was handled: each call's versions, and those that were handled alone.
#[derive(Clone, Default)]
struct Calls {
    together: Arc<Mutex<Vec<Vec<i64>>>>,
    alone: Arc<Mutex<Vec<i64>>>,
}

/// Publishes events while the first call is in progress; then lets it go on. `answer` says what becomes of a call.
async fn publish_at_once(
    infra: &Infra,
    answer: impl Fn(&[i64]) -> Result<(), Failure> + Send + Sync + 'static,
) -> Calls {
    let (calls, gate, answer) = (Calls::default(), Arc::new(Semaphore::new(0)), Arc::new(answer));
    let listeners = Listeners::new((calls.clone(), Arc::clone(&gate), Arc::clone(&answer)))
        .on(async |(calls, gate, answer), ExpirationComplete(event): ExpirationComplete| {
            let _permit = gate.acquire().await.unwrap();
            calls.alone.lock().unwrap().push(event.version);
            answer(&[event.version])
        })
        .together(
            &[Subject::ExpirationComplete],
            async |(calls, gate, answer), events: Vec<Expiration>| {
                let _permit = gate.acquire().await.unwrap();
                let versions: Vec<i64> = events.iter().map(|event| event.version).collect();
                calls.together.lock().unwrap().push(versions.clone());
                answer(&versions)
            },
        );
    let health = ConsumerHealth::of(&bus(infra, "orders").await);
    tokio::spawn(listeners.run(health, infra.clock.clone(), CancellationToken::new()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    for version in 0..ALL {
        let order_id = OrderId::new(infra.clock.now());
        infra.bus().publish(&ExpirationComplete(Expiration { order_id, version })).await;
    }
    gate.add_permits(ALL as usize);
    infra.bus().settled("orders").await;
    calls
}

#[tokio::test]
async fn what_arrives_meanwhile_is_handled_together_and_everything_once() {
    let infra = Infra::start().await;
    let calls = publish_at_once(&infra, |_| Ok(())).await;
    let together = calls.together.lock().unwrap().clone();
    let alone = calls.alone.lock().unwrap().clone();
    let mut handled = [together.concat(), alone.clone()].concat();
    handled.sort_unstable();
    assert_eq!(handled, (0..ALL).collect::<Vec<_>>());
    // The first call had no more than had arrived by then, and the others wait for it.
    let first = alone.first() == Some(&0) || together.first().is_some_and(|it| it.contains(&0));
    assert!(first, "{together:?} {alone:?}");
    assert!(together.len() + alone.len() < ALL as usize / 2, "{together:?} {alone:?}");
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_message_at_fault_is_a_dead_letter_and_those_with_it_are_handled_alone() {
    const BAD: i64 = 17;
    let infra = Infra::start().await;
    let calls = publish_at_once(&infra, |versions| match versions.contains(&BAD) {
        true => Err(Failure::Permanent(anyhow!("seventeen"))),
        false => Ok(()),
    })
    .await;
    let with_it: Vec<i64> = {
        let together = calls.together.lock().unwrap();
        together.iter().find(|versions| versions.contains(&BAD)).unwrap().clone()
    };
    let alone: BTreeSet<i64> = calls.alone.lock().unwrap().iter().copied().collect();
    assert!(with_it.iter().all(|version| alone.contains(version)), "{with_it:?} {alone:?}");
    assert_eq!(infra.bus().dead_letters().await.len(), 1);
}

#[tokio::test]
async fn of_several_new_documents_those_that_exist_are_not_written() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    let [first, second, third] = [(); 3].map(|()| Thing::new(infra.clock.now()));
    things.insert(&second.thing, &[]).await.unwrap();
    let other = Change { thing: Thing { version: 7, ..second.thing.clone() }, events: Vec::new() };
    let refused = things.insert_all(vec![first.clone(), other, third.clone()]).await.unwrap();
    assert_eq!(refused.into_iter().map(|it| it.thing.id).collect::<Vec<_>>(), [second.thing.id]);
    for Change { thing, .. } in [first, second, third] {
        assert_eq!(things.get(thing.id).await.unwrap(), Some(thing));
    }
}

#[tokio::test]
async fn a_replica_is_the_newest_of_what_several_commands_have_applied() {
    let infra = Infra::start().await;
    let database = infra.database("orders").await;
    let things = database.collection::<Thing>("replicas");
    let [one, two] = [(); 2].map(|()| Thing::new(infra.clock.now()).thing);
    let at = |thing: &Thing, version| Thing { version, ..thing.clone() };
    let all = [
        vec![at(&one, 2), at(&two, 1), at(&one, 3)],
        vec![at(&one, 1), at(&two, 4)],
        vec![at(&one, 3), at(&two, 2)],
    ];
    // At once, and in any order.
    let applied = all.iter().map(|batch| store::replicas::apply_all_if_newer(&things, batch));
    for outcome in futures::future::join_all(applied).await {
        outcome.unwrap();
    }
    for (thing, newest) in [(one, 3), (two, 4)] {
        let found = things.find_one(bson::doc! { "_id": thing.id }).await.unwrap();
        assert_eq!(found.map(|found| found.version), Some(newest));
    }
}
