//! Listening: failures of each kind, dead letters, and a broker that loses everything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use bus::{ConsumerHealth, Failure, Listeners};
use common::events::{ExpirationComplete, Stream};
use common::ids::OrderId;
use testkit::{Infra, eventually};
use tokio_util::sync::CancellationToken;

use crate::thing::bus;

type Heard = Arc<Mutex<Vec<i64>>>;

/// A listener that notes each version that it is given, and then does what it is told.
async fn listen(
    infra: &Infra,
    answer: impl Fn(i64, usize) -> Result<(), Failure> + Send + Sync + 'static,
) -> (Heard, ConsumerHealth) {
    let heard = Heard::default();
    let (notes, calls, answer) =
        (Arc::clone(&heard), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let listeners =
        Listeners::new(()).on(move |(), ExpirationComplete(event): ExpirationComplete| {
            let (notes, calls, answer) =
                (Arc::clone(&notes), Arc::clone(&calls), Arc::clone(&answer));
            async move {
                notes.lock().unwrap().push(event.version);
                answer(event.version, calls.fetch_add(1, Ordering::SeqCst))
            }
        });
    let feeds = ConsumerHealth::of(&bus(infra, "orders").await);
    tokio::spawn(listeners.run(feeds.clone(), infra.clock.clone(), CancellationToken::new()));
    infra.bus().wait_for_consumers("orders", &[Stream::Expiration]).await;
    (heard, feeds)
}

fn event(infra: &Infra, version: i64) -> ExpirationComplete {
    let order_id = OrderId::new(infra.clock.now());
    ExpirationComplete(common::events::Expiration { order_id, version })
}

#[tokio::test]
async fn what_fails_is_tried_again_and_others_are_not_kept_waiting() {
    let infra = Infra::start().await;
    let (heard, _) = listen(&infra, |version, calls| match (version, calls) {
        (1, 0..3) => Err(Failure::Transient(anyhow!("not yet"))),
        _ => Ok(()),
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    infra.bus().publish(&event(&infra, 2)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*heard.lock().unwrap(), [1, 1, 1, 1, 2]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_never_works_and_what_panics_for_ever_is_kept_with_its_reason() {
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
async fn what_comes_too_early_comes_again_at_its_time_and_is_never_dead() {
    let infra = Infra::start().await;
    let moment = infra.clock.now() + Duration::from_millis(300);
    let clock = infra.clock.clone();
    let (heard, _) = listen(&infra, move |_, calls| {
        if calls == 0 {
            return Err(Failure::RetryAt(moment));
        }
        assert!(clock.now() <= moment);
        Ok(())
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*heard.lock().unwrap(), [1, 1]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_dependency_that_is_down_is_waited_for() {
    let infra = Infra::start().await;
    let (heard, _) = listen(&infra, |_, calls| match calls {
        0..3 => Err(Failure::DependencyDown(anyhow!("MongoDB is down"))),
        _ => Ok(()),
    })
    .await;
    infra.bus().publish(&event(&infra, 1)).await;
    infra.bus().settled("orders").await;
    assert_eq!(*heard.lock().unwrap(), [1, 1, 1, 1]);
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_broker_that_was_wiped_is_listened_to_again() {
    let infra = Infra::start().await;
    let (heard, feeds) = listen(&infra, |_, _| Ok(())).await;
    assert!(!feeds.is_disconnected(Stream::Expiration));
    infra.nats.kill();
    eventually("the feed to be cut off", || async {
        feeds.is_disconnected(Stream::Expiration).then_some(())
    })
    .await;
    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    eventually("the feed to be heard again", || async {
        (!feeds.is_disconnected(Stream::Expiration)).then_some(())
    })
    .await;
    infra.bus().publish(&event(&infra, 7)).await;
    eventually("the event to be heard", || async {
        heard.lock().unwrap().contains(&7).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_jetstream_itself_gives_up_is_kept_too() {
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
    assert_eq!(letter.reason, "JetStream has given it up: its deliveries are used up");

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

#[tokio::test]
async fn what_a_listener_gives_up_is_kept_once() {
    let infra = Infra::start().await;
    listen(&infra, |_, _| Err(Failure::Permanent(anyhow!("never")))).await;
    for version in 1..=5 {
        infra.bus().publish(&event(&infra, version)).await;
    }
    infra.bus().settled("orders").await;
    // JetStream tells of each that it was terminated; the service knows why.
    eventually("the advisories to be heard", || async {
        (infra.bus().advisories("orders").await == 0).then_some(())
    })
    .await;
    assert_eq!(infra.bus().dead_letters().await.len(), 5);
}
