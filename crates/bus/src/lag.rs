//! How far a service's consumers are behind, for its metrics: what waits, for how long, and what comes once more.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::RawMessageErrorKind;
use common::Clock;
use common::events::{Stream, Subject};
use tokio_util::sync::CancellationToken;

use crate::connection::Bus;
use crate::time;

const PERIOD: Duration = Duration::from_secs(15);

/// Measures the consumers of these streams until `stop` is cancelled. Every replica reports the same, as they share them.
pub(crate) async fn run(
    bus: Bus,
    streams: BTreeMap<Stream, Vec<Subject>>,
    stop: CancellationToken,
) {
    let measuring = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            for (stream, subjects) in &streams {
                if let Err(error) = measure(&bus, *stream, subjects).await {
                    let error = format!("{error:#}");
                    tracing::debug!(stream = stream.name(), error, "could not measure a consumer");
                }
            }
        }
    };
    stop.run_until_cancelled(measuring).await;
}

async fn measure(bus: &Bus, stream: Stream, subjects: &[Subject]) -> anyhow::Result<()> {
    let name = stream.name();
    let consumer: Consumer<pull::Config> =
        bus.jetstream.get_consumer_from_stream(bus.service(), name).await?;
    let info = consumer.cached_info();
    let unacknowledged = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
    let waiting = info.num_pending.saturating_add(unacknowledged);
    let age = match waiting {
        0 => Duration::ZERO,
        _ => oldest(bus, stream, subjects, info.ack_floor.stream_sequence + 1).await?,
    };
    let redelivered = u64::try_from(info.num_redelivered).unwrap_or(u64::MAX);
    metrics::gauge!("consumer_waiting", "stream" => name).set(waiting as f64);
    metrics::gauge!("consumer_oldest_seconds", "stream" => name).set(age.as_secs_f64());
    metrics::gauge!("consumer_redelivered", "stream" => name).set(redelivered as f64);
    Ok(())
}

/// How old the first message of these subjects is, from this one on.
async fn oldest(
    bus: &Bus,
    stream: Stream,
    subjects: &[Subject],
    from: u64,
) -> anyhow::Result<Duration> {
    let reader = bus.reader(stream.name()).await?;
    let mut published = None;
    for subject in subjects {
        match reader.get_first_raw_message_by_subject(subject.as_str(), from).await {
            Ok(message) => {
                let time = time::from_nanos(message.time.unix_timestamp_nanos());
                published = Some(published.map_or(time, |first| time.min(first)));
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The broker's clock, which is ours.
    Ok(published.map_or(Duration::ZERO, |time| time.until(Clock::system().now())))
}
