//! What has happened to an order, as each service knows it.

use common::Time;
use common::ids::{OrderId, PaymentId};
use http::Method;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Caller, ask};
use super::{Failure, List};

/// What has happened to an order, or to its payment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The event that describes it.
    pub event: String,
    /// What its name alone doesn't say.
    pub detail: Option<String>,
    pub at: Time,
    pub trace_id: Option<String>,
}

/// A mail about an order.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    pub kind: String,
    pub status: String,
    pub created_at: Time,
    pub sent_at: Option<Time>,
    pub trace_id: Option<String>,
}

/// A place of an order that has come in.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckIn {
    pub place: u16,
    pub at: Time,
    pub gate: Option<String>,
}

impl Caller {
    pub async fn history_of_order(&self, id: OrderId) -> Result<Vec<HistoryEntry>, Failure> {
        all(self.orders_at(Method::GET, &format!("/api/orders/{id}/history"))?).await
    }

    pub async fn history_of_payment(&self, id: PaymentId) -> Result<Vec<HistoryEntry>, Failure> {
        all(self.payments_at(Method::GET, &format!("/api/payments/{id}/history"))?).await
    }

    pub async fn checkins(&self, order: OrderId) -> Result<Vec<CheckIn>, Failure> {
        all(self.tickets_at(Method::GET, &format!("/api/orders/{order}/checkins"))?).await
    }

    pub async fn mails_about(&self, order: OrderId) -> Result<Vec<Mail>, Failure> {
        all(self.confirmation_at(Method::GET, &format!("/api/orders/{order}/mails"))?).await
    }
}

/// What a list without pages contains.
async fn all<T: DeserializeOwned>(request: RequestBuilder) -> Result<Vec<T>, Failure> {
    Ok(ask::<List<T>>(request).await?.items)
}
