//! Consuming: each kind of failure, dead letters, and a broker that loses everything.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use bson::doc;
use bus::{ConsumerHealth, Failure, Listeners};
use common::events::{ExpirationComplete, Stream};
use common::ids::OrderId;
use mongodb::Collection;
use testkit::{Infra, eventually};
use tokio_util::sync::CancellationToken;

use crate::thing::{FAIL_POINT, bus};

type Received = Arc<Mutex<Vec<i64>>>;

/// A listener that records each version that it receives, and returns what `answer` says.
async fn listen(
    infra: &Infra,
    answer: impl Fn(i64, usize) -> Result<(), Failure> + Send + Sync + 'static,
) -> (Received, ConsumerHealth) {
    let received = Received::default();
    let (notes, calls, answer) =
        (Arc::clone(&received), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let listeners =
        Listeners::new(()).on(move |(), ExpirationComplete(event): ExpirationComplete| {
            let (notes, calls, answer) =
                (Arc::clone(&notes), Arc::clone(&calls), Arc::clone(&answer));
            async move {
                notes.lock().unwrap().push(event.version);
                answer(event.version, calls.fetch_add(1, Ordering::SeqCst))
            }
        });
    let health = ConsumerHealth::of(&bus(infra, "orders").await);
    tokio::spawn(listeners.run(health.clone(), infra.clock.clone(), CancellationToken::new()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    (received, health)
}

fn event(infra: &Infra, version: i64) -> ExpirationComplete {
    let order_id = OrderId::new(infra.clock.now());
    ExpirationComplete(common::events::Expiration { order_id, version })
}

#[tokio::test]
async fn a_transient_failure_is_retried_without_blocking_other_events() {
    let infra = Infra::start().await;
    let (received, _) = listen(&infra, |version, calls| match (version, calls) {
        (1, 0..3) => Err(Failure::Transient(anyhow!("not yet"))),
        _ => Ok(()),
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    infra.bus().publish(&event(&infra, 2)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*received.lock().unwrap(), [1, 1, 1, 1, 2]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_permanent_failure_becomes_a_dead_letter_with_its_reason() {
    let infra = Infra::start().await;
    listen(&infra, |version, _| match version {
        1 => Err(Failure::Permanent(anyhow!("the reason\nof two lines"))),
        _ => Ok(()),
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().publish_raw("expiration.complete", "rubbish").await;
    infra.bus().publish(&event(&infra, 2)).await;
    infra.bus().settled("orders").await;
    let letters = eventually("both dead letters", || async {
        Some(infra.bus().dead_letters().await).filter(|letters| letters.len() == 2)
    })
    .await;
    let reasons = letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>();
    assert!(reasons.contains(&"the reason of two lines"), "{reasons:?}");
    assert!(
        reasons.iter().any(|reason| reason.starts_with("not a expiration.complete")),
        "{reasons:?}"
    );
    for letter in letters {
        assert_eq!(
            (letter.subject.as_str(), letter.stream.as_str()),
            ("expiration.complete", "EXPIRATION")
        );
        assert_eq!(letter.service, "orders");
    }
}

#[tokio::test]
async fn an_early_event_is_redelivered_at_its_time_and_never_dead_lettered() {
    let infra = Infra::start().await;
    let moment = infra.clock.now() + Duration::from_millis(300);
    let clock = infra.clock.clone();
    let (received, _) = listen(&infra, move |_, calls| {
        if calls == 0 {
            return Err(Failure::RetryAt(moment));
        }
        assert!(clock.now() <= moment);
        Ok(())
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*received.lock().unwrap(), [1, 1]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_dependency_that_is_down_is_retried_until_it_responds() {
    let infra = Infra::start().await;
    let (received, _) = listen(&infra, |_, calls| match calls {
        0..3 => Err(Failure::DependencyDown(anyhow!("MongoDB is down"))),
        _ => Ok(()),
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*received.lock().unwrap(), [1, 1, 1, 1]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

/// While MongoDB refuses, the readiness of a service decides whether its consumer takes more than it can work on.
#[tokio::test]
async fn a_consumer_takes_nothing_more_while_its_service_is_not_ready() {
    for is_ready in [false, true] {
        let infra = Infra::start().await;
        let received = Arc::new(Mutex::new(BTreeSet::new()));
        let (refuses, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let state = (Arc::clone(&received), Arc::clone(&refuses));
        let readiness = (Arc::clone(&refuses), Arc::clone(&asked));
        let listeners = Listeners::new(state)
            .on(
                |(received, refuses): (Arc<Mutex<BTreeSet<i64>>>, Arc<AtomicBool>),
                 ExpirationComplete(event)| async move {
                    received.lock().unwrap().insert(event.version);
                    match refuses.load(Ordering::SeqCst) {
                        true => Err(Failure::DependencyDown(anyhow!("refused"))),
                        false => Ok(()),
                    }
                },
            )
            .paused_unless(move || {
                readiness.1.fetch_add(1, Ordering::SeqCst);
                let ready = is_ready || !readiness.0.load(Ordering::SeqCst);
                async move { ready }
            });
        let health = ConsumerHealth::of(&bus(&infra, "orders").await);
        tokio::spawn(listeners.run(health, infra.clock.clone(), CancellationToken::new()));
        infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
        for version in 1..=40 {
            infra.bus().publish(&event(&infra, version)).await;
        }
        // Each of those that are handled concurrently has asked more often than it is tried in place.
        eventually("many questions", || async {
            (asked.load(Ordering::SeqCst) >= 16 * 8).then_some(())
        })
        .await;
        let taken = received.lock().unwrap().len();
        assert_eq!(taken > 16, is_ready, "{taken} messages");
        refuses.store(false, Ordering::SeqCst);
        infra.bus().settled("orders").await;
        assert_eq!(received.lock().unwrap().len(), 40);
        assert!(infra.bus().dead_letters().await.is_empty());
    }
}

#[tokio::test]
async fn a_consumer_that_cant_handle_what_it_has_is_behind_after_ten_seconds() {
    let infra = Infra::start().await;
    let refuses = Arc::new(AtomicBool::new(true));
    let ready = Arc::clone(&refuses);
    let listeners = Listeners::new(Arc::clone(&refuses))
        .on(|refuses: Arc<AtomicBool>, ExpirationComplete(_)| async move {
            match refuses.load(Ordering::SeqCst) {
                true => Err(Failure::DependencyDown(anyhow!("refused"))),
                false => Ok(()),
            }
        })
        .paused_unless(move || std::future::ready(!ready.load(Ordering::SeqCst)));
    let health = ConsumerHealth::of(&bus(&infra, "orders").await);
    tokio::spawn(listeners.run(health.clone(), infra.clock.clone(), CancellationToken::new()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    let in_an_hour = || infra.clock.now() + Duration::from_secs(60 * 60);
    eventually("the consumer, which nothing was published for", || async {
        (!health.is_behind(Stream::Expiration, in_an_hour())).then_some(())
    })
    .await;

    infra.bus().publish(&event(&infra, 1)).await;
    eventually("a message that isn't handled", || async {
        health.is_behind(Stream::Expiration, in_an_hour()).then_some(())
    })
    .await;
    assert!(!health.is_behind(Stream::Expiration, infra.clock.now()), "it was just published");

    refuses.store(false, Ordering::SeqCst);
    eventually("the message to be handled", || async {
        (!health.is_behind(Stream::Expiration, in_an_hour())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_consumer_is_recreated_after_the_broker_was_wiped() {
    let infra = Infra::start().await;
    let (received, health) = listen(&infra, |_, _| Ok(())).await;
    eventually("the consumer to be connected", || async {
        (!health.is_disconnected(Stream::Expiration)).then_some(())
    })
    .await;
    infra.nats.kill();
    eventually("the consumer to be disconnected", || async {
        health.is_disconnected(Stream::Expiration).then_some(())
    })
    .await;
    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    eventually("the consumer to be connected", || async {
        (!health.is_disconnected(Stream::Expiration)).then_some(())
    })
    .await;
    infra.bus().publish(&event(&infra, 7)).await;
    eventually("the event", || async { received.lock().unwrap().contains(&7).then_some(()) }).await;
}

#[tokio::test]
async fn what_jetstream_stops_delivering_becomes_a_dead_letter() {
    let infra = Infra::start().await;
    let tomorrow = infra.clock.now() + Duration::from_secs(24 * 60 * 60);
    listen(&infra, move |version, _| match version {
        1 => Err(Failure::Transient(anyhow!("not yet"))),
        _ => Err(Failure::RetryAt(tomorrow)),
    })
    .await;
    infra.bus().limit_deliveries("orders", Stream::Expiration, 2).await;
    infra.bus().publish(&event(&infra, 1)).await;
    let letter = eventually("the message that came twice", || async {
        infra.bus().dead_letters().await.pop()
    })
    .await;
    assert_eq!((letter.stream.as_str(), letter.sequence), ("EXPIRATION", 1));
    assert_eq!(letter.reason, "maximum deliveries reached");

    infra.bus().publish(&event(&infra, 2)).await;
    let letter = eventually("the message that somebody has terminated", || async {
        infra.bus().terminate("orders", Stream::Expiration, 2, "by hand").await;
        infra.bus().dead_letters().await.into_iter().nth(1)
    })
    .await;
    assert_eq!((letter.subject.as_str(), letter.sequence), ("expiration.complete", 2));
    assert_eq!(letter.reason, "terminated by other means: by hand");
    assert!(letter.body.contains("\"version\":2"), "{}", letter.body);
}

/// A limit, a purge or a deletion: JetStream says so, and it may do so a moment before the message is gone.
#[tokio::test]
async fn what_is_removed_from_its_stream_is_no_dead_letter() {
    let infra = Infra::start().await;
    let tomorrow = infra.clock.now() + Duration::from_secs(24 * 60 * 60);
    listen(&infra, move |_, _| Err(Failure::RetryAt(tomorrow))).await;
    // The advisories come in this order.
    for (version, reason) in [(1, "Unacknowledged message was deleted"), (2, "by hand")] {
        infra.bus().publish(&event(&infra, version)).await;
        eventually("the delivery", || async {
            let delivered = infra.bus().deliveries("orders", Stream::Expiration).await;
            (delivered >= version.unsigned_abs()).then_some(())
        })
        .await;
        let sequence = version.unsigned_abs();
        infra.bus().terminate("orders", Stream::Expiration, sequence, reason).await;
    }
    let letters = eventually("the dead letter", || async {
        Some(infra.bus().dead_letters().await).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!(letters.iter().map(|letter| letter.sequence).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_terminated_event_is_dead_lettered_once() {
    let infra = Infra::start().await;
    listen(&infra, |_, _| Err(Failure::Permanent(anyhow!("never")))).await;
    for version in 1..=5 {
        infra.bus().publish(&event(&infra, version)).await;
    }
    infra.bus().settled("orders").await;
    // JetStream publishes an advisory for each; the service recognises its own reason.
    eventually("the advisories to be consumed", || async {
        (infra.bus().advisories("orders").await == 0).then_some(())
    })
    .await;
    assert_eq!(infra.bus().dead_letters().await.len(), 5);
}

/// As when the password is rotated: first in MongoDB, then in the service's settings.
#[tokio::test]
async fn a_wrong_password_is_an_outage() {
    let infra = Infra::start().await;
    let database = infra.database("rotated").await;
    let user = doc! { "createUser": "service", "pwd": "new", "roles": ["readWrite"] };
    database.run_command(user).await.unwrap();
    for (password, is_right) in [("old", false), ("new", true)] {
        let uri = infra.mongo_uri("rotated").replacen("//", &format!("//service:{password}@"), 1);
        let database = store::mongo::connect(&uri, "rotated").await.unwrap();
        let writes: Collection<bson::Document> = database.collection("writes");
        let outcome = writes.insert_one(doc! {}).await.map(drop).map_err(store::Error::from);
        match outcome.map_err(Failure::from) {
            Ok(()) => assert!(is_right),
            Err(Failure::DependencyDown(_)) => assert!(!is_right),
            Err(failure) => panic!("{failure:?}"),
        }
    }
    database.run_command(doc! { "dropUser": "service" }).await.unwrap();
}

#[tokio::test]
async fn while_mongodb_refuses_nothing_is_dead_lettered_and_then_all_is_handled() {
    let _failing = FAIL_POINT.lock().await;
    let infra = Infra::start().await;
    // Not the shared connections: the failure concerns this application's name alone.
    let uri = infra.mongo_uri("refused");
    let database = store::mongo::connect(&uri, "refused-by-mongodb").await.unwrap();
    let writes: Collection<bson::Document> = database.collection("writes");
    let admin = infra.database("refused").await.client().database("admin");
    let refusals = 10;
    let listeners = Listeners::new(writes.clone()).on(
        |writes: Collection<bson::Document>, ExpirationComplete(event): ExpirationComplete| async move {
            let write = doc! { "version": event.version };
            writes.insert_one(write).await.map(drop).map_err(store::Error::from)?;
            Ok(())
        },
    );
    // Unauthorized, AuthenticationFailed, a quota of a managed cluster: none of them is in a list of outages.
    for (version, code) in [(1, 13), (2, 18), (3, 8000)] {
        let fail = doc! {
            "failCommands": ["insert"], "errorCode": code, "appName": "refused-by-mongodb",
        };
        let point = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": fail };
        admin.run_command(point).await.unwrap();
        for _ in 0..refusals {
            let data = serde_json::to_vec(&event(&infra, version)).unwrap();
            let failure = listeners.handle("expiration.complete", &data).await.unwrap_err();
            assert!(matches!(failure, Failure::DependencyDown(_)), "{code}: {failure:?}");
        }
    }
    let health = ConsumerHealth::of(&bus(&infra, "orders").await);
    tokio::spawn(listeners.run(health, infra.clock.clone(), CancellationToken::new()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    infra.bus().publish(&event(&infra, 7)).await;
    // After the tries in place it goes back to JetStream, and comes again.
    eventually("the second delivery", || async {
        (infra.bus().deliveries("orders", Stream::Expiration).await >= 2).then_some(())
    })
    .await;
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    admin.run_command(off).await.unwrap();
    infra.bus().settled("orders").await;
    assert_eq!(writes.count_documents(doc! { "version": 7 }).await.unwrap(), 1);
    assert!(infra.bus().dead_letters().await.is_empty());
}

/// What has begun may take its time. What hasn't is handled by another replica at once, not when its acknowledgement is overdue:
/// then those that have begun would come to the other one, too.
#[tokio::test]
async fn a_stopping_replica_gives_back_what_it_has_not_begun() {
    const EVENTS: i64 = 200;
    let infra = Infra::start().await;
    let begun = Received::default();
    let notes = Arc::clone(&begun);
    let listeners =
        Listeners::new(()).on(move |(), ExpirationComplete(event): ExpirationComplete| {
            notes.lock().unwrap().push(event.version);
            std::future::pending::<Result<(), Failure>>()
        });
    let (health, stop) =
        (ConsumerHealth::of(&bus(&infra, "orders").await), CancellationToken::new());
    tokio::spawn(listeners.run(health, infra.clock.clone(), stop.clone()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    for version in 1..=EVENTS {
        infra.bus().publish(&event(&infra, version)).await;
    }
    eventually("some to be begun", async || (begun.lock().unwrap().len() >= 16).then_some(()))
        .await;

    let (received, _) = listen(&infra, |_, _| Ok(())).await;
    stop.cancel();
    let begun: BTreeSet<i64> = begun.lock().unwrap().iter().copied().collect();
    let others: BTreeSet<i64> = (1..=EVENTS).filter(|version| !begun.contains(version)).collect();
    let received = eventually("the others to be handled", async || {
        let received: BTreeSet<i64> = received.lock().unwrap().iter().copied().collect();
        received.is_superset(&others).then_some(received)
    });
    assert_eq!(received.await, others);
}
