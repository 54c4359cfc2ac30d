//! The transactional outbox, embedded: an event is pushed onto its aggregate's own document by the very update that
//! changes it, and the relay (`relay.rs`) publishes it until JetStream has acknowledged it.
//!
//! A crash anywhere in between loses nothing: what is on the document is published again, under the same id, which
//! JetStream and every consumer recognise.

use bson::Bson;
use common::Time;
use common::events::{Event, Subject};
use serde::{Deserialize, Serialize};

use crate::mongo;

/// An event that is to be published with the change that it describes.
#[derive(Clone, Debug)]
pub struct OutboxMessage {
    id: String,
    subject: Subject,
    data: String,
}

impl OutboxMessage {
    /// The message of an event.
    ///
    /// # Panics
    ///
    /// If the event can't be serialised, which is a defect of its type: better no write than an empty message.
    pub fn of<E: Event>(event: &E) -> Self {
        let data = match serde_json::to_string(event) {
            Ok(data) => data,
            Err(error) => panic!("{} can't be serialised: {error}", E::SUBJECT),
        };
        OutboxMessage { id: event.id(), subject: E::SUBJECT, data }
    }

    /// `<type>:<aggregate id>:<version>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is published as.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The event as JSON: the body of the message.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The same event under an id of its own, so that JetStream doesn't discard it as a duplicate.
    pub(crate) fn republished(mut self, mark: &str) -> Self {
        self.id = format!("{}:{mark}", self.id);
        self
    }

    /// As it is stored on its document.
    pub(crate) fn to_entry(&self, time: Time) -> OutboxEntry {
        OutboxEntry {
            id: self.id.clone(),
            subject: self.subject.to_string(),
            time,
            data: self.data.clone(),
            traceparent: telemetry::traceparent(),
        }
    }
}

/// A message as it waits on its document. (The subject is a text: an older version may find one that it doesn't know.)
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutboxEntry {
    pub id: String,
    pub subject: String,
    pub time: Time,
    pub data: String,
    pub traceparent: Option<String>,
}

impl OutboxEntry {
    pub fn to_bson(&self) -> bson::error::Result<Bson> {
        mongo::document(self).map(Bson::Document)
    }
}

/// A document with events to publish.
#[derive(Debug, Deserialize)]
pub(crate) struct Pending {
    #[serde(rename = "_id")]
    pub id: String,
    pub outbox: Vec<OutboxEntry>,
}
