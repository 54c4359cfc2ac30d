//! Dead letters: what a listener can't handle is kept, with its reason, where an operator finds it.

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use async_nats::jetstream::message::PublishMessage;

use super::Bus;

/// The stream of dead letters, of every service.
pub const STREAM: &str = "DEAD";
/// `dead.<service>.<subject>`
pub const SUBJECTS: &str = "dead.>";

/// Keeps a message that `bus`'s service can't handle. Returns once JetStream has stored it.
pub(super) async fn bury(bus: &Bus, message: &Message, reason: &str) -> anyhow::Result<()> {
    let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
    let mut headers = HeaderMap::new();
    if let Some(original) = &message.headers {
        for (name, values) in original.iter() {
            // Its own id would make JetStream take it for something else's duplicate.
            if name.to_string().eq_ignore_ascii_case("Nats-Msg-Id") {
                continue;
            }
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    headers.insert("dead-reason", one_line(reason).as_str());
    headers.insert("dead-service", bus.service());
    headers.insert("dead-subject", message.subject.as_str());
    headers.insert("dead-stream", info.stream);
    headers.insert("dead-sequence", info.stream_sequence.to_string());
    headers.insert("dead-tries", info.delivered.to_string());

    let subject = format!("dead.{}.{}", bus.service(), message.subject);
    let published = info.published.unix_timestamp_nanos();
    let id = format!("dead:{}:{}:{}:{published}", bus.service(), info.stream, info.stream_sequence);
    let publish =
        PublishMessage::build().headers(headers).message_id(id).payload(message.payload.clone());
    bus.jetstream.send_publish(subject, publish).await?.await?;
    metrics::counter!("dead_letters_total", "subject" => message.subject.to_string()).increment(1);
    tracing::error!(
        subject = %message.subject,
        stream = info.stream,
        sequence = info.stream_sequence,
        tries = info.delivered,
        reason,
        "dead letter",
    );
    Ok(())
}

/// A header's value can't hold line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
