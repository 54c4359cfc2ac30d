//! What has happened to an order, as each service knows it.

use common::Time;
use common::ids::{OrderId, PaymentId};
use http::Method;
use serde::Deserialize;

use super::Failure;
use super::client::{Caller, ask};

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

#[derive(Deserialize)]
struct Entries {
    history: Vec<HistoryEntry>,
}

impl Caller {
    pub async fn history_of_order(&self, id: OrderId) -> Result<Vec<HistoryEntry>, Failure> {
        let request = self.orders_at(Method::GET, &format!("/api/orders/{id}/history"))?;
        Ok(ask::<Entries>(request).await?.history)
    }

    pub async fn history_of_payment(&self, id: PaymentId) -> Result<Vec<HistoryEntry>, Failure> {
        let request = self.payments_at(Method::GET, &format!("/api/payments/{id}/history"))?;
        Ok(ask::<Entries>(request).await?.history)
    }

    pub async fn checkins(&self, order: OrderId) -> Result<Vec<CheckIn>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            checkins: Vec<CheckIn>,
        }
        let request = self.tickets_at(Method::GET, &format!("/api/orders/{order}/checkins"))?;
        Ok(ask::<Body>(request).await?.checkins)
    }

    pub async fn mails_about(&self, order: OrderId) -> Result<Vec<Mail>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            mails: Vec<Mail>,
        }
        let request = self.confirmation_at(Method::GET, &format!("/api/orders/{order}/mails"))?;
        Ok(ask::<Body>(request).await?.mails)
    }
}
