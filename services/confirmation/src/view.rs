//! A mail as the API shows it.

use common::Time;
use httpkit::Result;
use serde::Serialize;
use store::StoredResponse;
use utoipa::ToSchema;

use crate::domain::{Kind, Mail, MailId, Status};

/// A mail.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Mail)]
pub struct MailView {
    #[schema(value_type = String, example = "paid:01968d38-4f80-7c3a-9d2e-4b1d00003333")]
    id: MailId,
    #[schema(value_type = Kind)]
    kind: &'static str,
    #[schema(value_type = Status)]
    status: &'static str,
    /// Where it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    attempts: i64,
    /// Why it isn't sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Time>,
    /// The trace in which it changed last, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    trace_id: Option<String>,
    version: i64,
}

impl MailView {
    pub fn of(mail: Mail) -> MailView {
        MailView {
            id: mail.id,
            kind: mail.kind.as_str(),
            status: mail.status.as_str(),
            to: mail.address,
            attempts: mail.attempts,
            reason: mail.reason,
            created_at: mail.created_at,
            sent_at: mail.sent_at,
            trace_id: None,
            version: mail.version,
        }
    }

    /// With its trace, if that is known.
    pub fn with_trace(self, traceparent: Option<&str>) -> MailView {
        let trace_id = traceparent.and_then(telemetry::trace_id_of).map(str::to_owned);
        MailView { trace_id, ..self }
    }
}

/// The response to a request for a mail about an order.
pub fn created(mail: &Mail, location: String) -> Result<StoredResponse> {
    StoredResponse::created(location, mail.version, &MailView::of(mail.clone()))
}
