//! Publishing. The transactional outbox (`store::Documents`) is the only caller: an event goes out together with the
//! state that it describes, or not at all.

use async_nats::HeaderMap;
use common::Time;
use common::events::Subject;
use telemetry::spans;
use tracing::Instrument;

use crate::connection::Bus;

/// A message as the outbox stored it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// `<type>:<aggregate id>:<version>`; JetStream discards a duplicate.
    pub id: &'a str,
    /// What it is published as.
    pub subject: &'a str,
    /// When the event occurred.
    pub time: Time,
    /// The body, as JSON.
    pub data: &'a str,
    /// The trace in which the event occurred.
    pub traceparent: Option<&'a str>,
}

impl Bus {
    /// Publishes an event, and returns once JetStream has stored it. A failure leaves unknown whether it has: publish it
    /// again under the same id.
    ///
    /// CloudEvents 1.0, binary mode:
    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md>
    pub async fn publish(&self, message: Outgoing<'_>) -> anyhow::Result<()> {
        let Outgoing { id, subject, time, data, traceparent } = message;
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id);
        headers.insert("ce-type", subject);
        headers.insert("ce-source", format!("/services/{}", self.service()));
        headers.insert("ce-time", time.to_string());
        if let Some(aggregate) = id.split(':').nth(1) {
            headers.insert("ce-subject", aggregate);
        }
        headers.insert("content-type", "application/json");
        let span = spans::publish(subject, id, traceparent);
        // With the span of its own, what handles the event follows from the publishing.
        let own = spans::traceparent_of(&span);
        if let Some(traceparent) = own.as_deref().or(traceparent) {
            headers.insert(telemetry::TRACEPARENT, traceparent);
        }
        let publishing = self.publish_message(subject, id, headers, data.to_owned());
        if let Err(error) = publishing.instrument(span.clone()).await {
            spans::fail(&span, "not_published");
            return Err(error);
        }
        metrics::counter!("events_published_total", "subject" => Subject::label(subject))
            .increment(1);
        tracing::debug!(event = id, "event published");
        Ok(())
    }
}
