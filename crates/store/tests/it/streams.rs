//! The configuration of streams, and what a full one does.

use std::time::Duration;

use anyhow::anyhow;
use bus::{ConsumerHealth, Failure, Listeners, StreamSettings};
use common::events::{Expiration, ExpirationComplete, Stream};
use common::ids::OrderId;
use testkit::{Infra, eventually};
use tokio_util::sync::CancellationToken;

use crate::outbox::relayed;
use crate::thing::{Thing, bus_with, open, relay_by};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MIB: i64 = 1024 * 1024;

#[tokio::test]
async fn an_existing_stream_is_updated_to_the_settings() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let things = open(&infra).await;
    for (days, mib) in [(30, 64), (10, 32), (40, 48)] {
        let streams =
            StreamSettings { nats_max_age_days: days, nats_max_mib: mib, ..Default::default() };
        let stop = relay_by(bus_with(&infra, "expiration", streams).await, &things);
        let (age, bytes) = (DAY * u32::try_from(days).unwrap(), i64::from(mib) * MIB);
        eventually("the stream to be as it is declared", || async {
            let config = infra.bus().try_stream("EXPIRATION").await?.config;
            (config.max_age == age && config.max_bytes == bytes).then_some(())
        })
        .await;
        stop.cancel();
    }
    let metadata = infra.bus().try_stream("EXPIRATION").await.unwrap().config.metadata;
    assert_eq!(metadata["created-by"], "expiration", "metadata stays");
}

#[tokio::test]
async fn a_setting_that_would_lose_events_is_undone() {
    let infra = Infra::start().await;
    let things = open(&infra).await;
    relay_by(bus_with(&infra, "expiration", StreamSettings::default()).await, &things);
    is_as_declared(&infra).await;
    let bus = infra.bus();
    bus.edit_stream(Stream::Expiration, |config| config.max_messages = 2).await;
    is_as_declared(&infra).await;
    bus.edit_stream(Stream::Expiration, |config| config.max_messages_per_subject = 2).await;
    is_as_declared(&infra).await;
    bus.edit_stream(Stream::Expiration, |config| config.max_message_size = 8).await;
    is_as_declared(&infra).await;
    bus.edit_stream(Stream::Expiration, |config| config.no_ack = true).await;
    is_as_declared(&infra).await;
}

async fn is_as_declared(infra: &Infra) {
    eventually("the stream to be as it is declared", || async {
        let config = infra.bus().try_stream("EXPIRATION").await?.config;
        let limits = [config.max_messages, config.max_messages_per_subject];
        let is_unlimited = limits == [-1, -1] && config.max_message_size == -1;
        (is_unlimited && !config.no_ack && config.max_age == 30 * DAY).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_stream_discards_its_oldest_events() {
    let infra = Infra::start().await;
    let streams = StreamSettings { nats_max_mib: 1, ..Default::default() };
    let things = open(&infra).await;
    relay_by(bus_with(&infra, "expiration", streams).await, &things);
    for _ in 0..4000 {
        let change = Thing::new(infra.clock.now());
        things.insert(&change.thing, &change.events).await.unwrap();
    }
    relayed(&infra).await;
    let state = infra.bus().try_stream("EXPIRATION").await.unwrap().state;
    assert_eq!(state.last_sequence, 4000, "all are published");
    assert!(state.first_sequence > 1, "{state:?}");
    assert!(state.bytes <= 1024 * 1024, "{state:?}");
}

#[tokio::test]
async fn what_a_full_dead_letter_stream_refuses_stays_in_its_own_stream_until_there_is_room() {
    let infra = Infra::start().await;
    let run = |streams: StreamSettings| {
        let infra = &infra;
        async move {
            let listeners = Listeners::new(()).on(|(), _: ExpirationComplete| async {
                Err(Failure::Permanent(anyhow!("never")))
            });
            let health = ConsumerHealth::of(&bus_with(infra, "orders", streams).await);
            let stop = CancellationToken::new();
            tokio::spawn(listeners.run(health, infra.clock.clone(), stop.clone()));
            stop
        }
    };
    let stop = run(StreamSettings { nats_max_mib: 1, ..Default::default() }).await;
    eventually("the limit", || async {
        (infra.bus().try_stream("DEAD").await?.config.max_bytes == MIB).then_some(())
    })
    .await;
    infra.bus().fill_dead_letter_stream("tickets").await;

    let order_id = OrderId::new(infra.clock.now());
    infra.bus().publish(&ExpirationComplete(Expiration { order_id, version: 1 })).await;
    eventually("the event to be redelivered", || async {
        infra.bus().is_redelivered("orders", Stream::Expiration).await.then_some(())
    })
    .await;
    assert!(infra.bus().dead_letters().await.iter().all(|letter| letter.service == "tickets"));

    // There is room again.
    stop.cancel();
    run(StreamSettings { nats_max_mib: 2, ..Default::default() }).await;
    eventually("the dead letter", || async {
        let letters = infra.bus().dead_letters().await;
        letters.into_iter().find(|letter| letter.service == "orders")
    })
    .await;
}
