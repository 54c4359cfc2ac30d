//! Webhook endpoints, events, and their deliveries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// <https://docs.stripe.com/api/webhook_endpoints>
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: String,
    pub created: u64,
    pub url: String,
    /// Types of events, or `*`.
    pub enabled_events: Vec<String>,
    pub secret: String,
    pub is_enabled: bool,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub api_version: Option<String>,
}

impl WebhookEndpoint {
    pub fn receives(&self, kind: &str) -> bool {
        self.is_enabled
            && self.enabled_events.iter().any(|enabled| enabled == "*" || enabled == kind)
    }
}

/// <https://docs.stripe.com/api/events>
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub created: u64,
    /// `payment_intent.succeeded`
    pub kind: String,
    /// As it was when the event occurred.
    pub object: Value,
    pub previous_attributes: Option<Value>,
    /// The request to the API that caused it; none if the dashboard or the time did.
    pub request: Option<EventRequest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventRequest {
    pub id: String,
    pub idempotency_key: Option<String>,
}

/// One event to one endpoint, with all its attempts. Two deliveries of one event are a duplicate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub created: u64,
    pub event: String,
    pub endpoint: String,
    pub form: Form,
    pub state: DeliveryState,
    /// Until the event after it has been delivered, or until its time comes.
    pub is_held_back: bool,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The next attempt is due at this time.
    Pending {
        at_ms: u64,
    },
    Succeeded,
    /// Given up, or the endpoint doesn't exist any more.
    Failed,
    /// An injected fault: it is never sent.
    Lost,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    AsIs,
    /// Another event, of a type that no receiver knows.
    UnknownType,
    /// This event, rendered by an API version that no receiver can read.
    UnknownVersion,
    /// Another event, with a signature by somebody who doesn't know the secret.
    Forged,
    /// This event, with a signature that is valid and too old.
    Stale,
}

impl Form {
    /// Whether it is sent again until the endpoint accepts it.
    pub fn is_retried(self) -> bool {
        match self {
            Self::AsIs | Self::UnknownType | Self::UnknownVersion => true,
            Self::Forged | Self::Stale => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at_ms: u64,
    /// The response's; without one, the error.
    pub status: Option<u16>,
    pub error: Option<String>,
}

impl Attempt {
    pub fn has_succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Delivery {
    pub fn due_ms(&self) -> Option<u64> {
        match self.state {
            DeliveryState::Pending { at_ms } => Some(at_ms),
            DeliveryState::Succeeded | DeliveryState::Failed | DeliveryState::Lost => None,
        }
    }
}
