//! The world as the checker reads it: documents, events, Stripe's ledger, and what clients were told.
//!
//! These types are the checker's own. A mistake in the services' types must not be made here once more,
//! so nothing is shared with them; a state that isn't listed here can't be read, and is told as such.

use mongodb::bson::DateTime;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::claims::Claims;

/// Everything that there is, when nothing moves any more. Plain data: a test plants a mistake by editing it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct World {
    /// When it was read, in milliseconds since 1970.
    pub taken_at: i64,
    /// The broker's store was wiped on the way: its streams tell only what came after.
    pub broker_was_wiped: bool,
    pub users: Vec<User>,
    pub tickets: Vec<Ticket>,
    pub orders: Vec<Order>,
    /// The tickets as orders knows them.
    pub known_tickets: Vec<KnownTicket>,
    pub payments: Vec<Payment>,
    pub schedules: Vec<Schedule>,
    /// The orders that Redis still has a timer for.
    pub timers: Vec<String>,
    pub events: Vec<Event>,
    pub dead_letters: Vec<DeadLetter>,
    pub ledger: Ledger,
    /// Every write to a document that matters here, in the order in which MongoDB made them.
    pub writes: Vec<Write>,
    /// Whether `writes` reaches back to the beginning.
    pub history_is_whole: bool,
    pub claims: Claims,
}

/// An event that waits on its document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub outbox: Vec<Waiting>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub user_id: String,
    pub title: String,
    /// In cents.
    pub price: i64,
    pub hold: i64,
    pub order_id: Option<String>,
    pub sold: bool,
    pub deleted: bool,
    pub outbox: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    #[serde(rename = "created")]
    Created,
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    #[serde(rename = "complete")]
    Complete,
    #[serde(rename = "cancelled")]
    Cancelled,
}

impl OrderStatus {
    pub fn is_live(self) -> bool {
        match self {
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => true,
            OrderStatus::Cancelled => false,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub user_id: String,
    pub ticket_id: String,
    pub ticket: Bought,
    pub status: OrderStatus,
    pub cancel_reason: Option<String>,
    pub active: bool,
    pub unpaid: bool,
    #[serde(deserialize_with = "millis")]
    pub expires_at: i64,
    pub holds: Vec<i64>,
    pub payment: Option<Heard>,
    pub refund_required: Option<String>,
    pub outbox: Vec<Waiting>,
}

impl Order {
    /// The number of its present hold, or of its last one.
    pub fn hold(&self) -> i64 {
        self.holds.last().copied().unwrap_or_default()
    }
}

/// The ticket as it was ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bought {
    pub price: i64,
}

/// What an order has heard of its payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heard {
    pub id: String,
    pub refunded: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownTicket {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub price: i64,
    pub deleted: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    #[serde(rename = "_id")]
    pub order_id: String,
    pub version: i64,
    pub order: KnownOrder,
    pub charge: Option<Charge>,
    #[serde(default, deserialize_with = "maybe_millis")]
    pub work_at: Option<i64>,
    pub outbox: Vec<Waiting>,
}

/// An order as payments knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownOrder {
    pub version: i64,
    pub status: OrderStatus,
    pub cancel_reason: Option<String>,
    pub amount: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Created,
    Processing,
    Completed,
    Refunding,
    Refunded,
    Failed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    pub id: String,
    pub status: PaymentStatus,
    pub intent: Option<String>,
    pub declines: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    Scheduled,
    Fired,
    Over,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    #[serde(rename = "_id")]
    pub order_id: String,
    pub state: ScheduleState,
    pub order_version: i64,
    pub outbox: Vec<Waiting>,
}

/// A message of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub stream: String,
    pub sequence: u64,
    pub subject: String,
    pub data: Value,
}

impl Event {
    /// The id of the thing that it tells of: of an order, also where a payment's event tells of it.
    pub fn about(&self) -> &str {
        let id = match self.subject.as_str() {
            "order.refund_required" => &self.data["orderId"],
            subject if subject.starts_with("payment.") || subject.starts_with("expiration.") => {
                &self.data["orderId"]
            }
            _ => &self.data["id"],
        };
        id.as_str().unwrap_or_default()
    }

    pub fn version(&self) -> i64 {
        self.data["version"].as_i64().unwrap_or_default()
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    pub subject: String,
    pub sequence: u64,
    pub reason: String,
    pub data: Value,
}

/// Stripe's own account of what happened there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    pub payment_intents: Vec<Intent>,
    pub charges: Vec<StripeCharge>,
    pub refunds: Vec<Refund>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intent {
    pub id: String,
    pub status: String,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    pub order_id: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StripeCharge {
    pub id: String,
    pub payment_intent: String,
    pub amount: i64,
    pub currency: String,
    /// `succeeded` or `failed`.
    pub status: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub charge: String,
    pub amount: i64,
    /// `pending`, `succeeded` or `failed`.
    pub status: String,
}

/// One write to one document, as MongoDB's own log has it.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// `database.collection`
    pub namespace: String,
    pub id: String,
    /// What it set, as far as it set it.
    pub version: Option<i64>,
    pub active: Option<bool>,
    /// Of a new order.
    pub ticket_id: Option<String>,
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    DateTime::deserialize(deserializer).map(DateTime::timestamp_millis)
}

fn maybe_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let time = Option::<DateTime>::deserialize(deserializer)?;
    Ok(time.map(DateTime::timestamp_millis))
}
