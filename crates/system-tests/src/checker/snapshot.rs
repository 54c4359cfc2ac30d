//! What the checker reads: documents, events, Stripe's ledger, and what was acknowledged to clients.
//!
//! These types are not shared with the services, so that a mistake there isn't repeated here. A state that isn't listed
//! here is a read error.

use common::events::{Stream, Subject};
use mongodb::bson::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::acknowledged::Acknowledged;
use super::catalogue;

/// The state of an idle stack. Plain data: a test of the checker introduces mistakes by editing it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// When it was read, in milliseconds since 1970.
    pub taken_at: i64,
    /// The broker's store was wiped, or a stream truncated, during the run: some events are missing.
    pub events_were_lost: bool,
    pub users: Vec<User>,
    pub tickets: Vec<Ticket>,
    /// The reservations as tickets has them.
    pub reservations: Vec<Reservation>,
    pub orders: Vec<Order>,
    /// The replicas of tickets in orders.
    pub ticket_replicas: Vec<TicketReplica>,
    pub payments: Vec<Payment>,
    pub mails: Vec<Mail>,
    /// The Message-ID of each mail in the local mailbox; once for each copy.
    pub mailbox: Vec<String>,
    pub schedules: Vec<Schedule>,
    /// The orders for which Redis has a timer.
    pub timers: Vec<String>,
    pub events: Vec<Event>,
    pub dead_letters: Vec<DeadLetter>,
    pub ledger: Ledger,
    /// Stripe's events that are about a PaymentIntent.
    pub stripe_events: Vec<StripeEvent>,
    /// Those that payments has, from webhooks or from its own sweep.
    pub webhooks: Vec<Webhook>,
    /// All writes to aggregates, in the order of MongoDB's oplog.
    pub oplog: Vec<OplogEntry>,
    /// Whether the oplog reaches back to the beginning.
    pub oplog_is_complete: bool,
    pub acknowledged: Acknowledged,
}

/// An event that is not published yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxEntry {
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub outbox: Vec<OutboxEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    #[serde(rename = "_id")]
    pub id: String,
    pub version: i64,
    pub user_id: String,
    pub title: String,
    /// Of one place, in cents.
    pub price: i64,
    pub quantity: u64,
    /// The order that has the only place.
    pub order_id: Option<String>,
    pub sold: bool,
    pub summary: Summary,
    pub deleted: bool,
    pub outbox: Vec<OutboxEntry>,
}

/// How many places of a listing are reserved, sold, and refunded without going back on sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub reserved: u64,
    pub sold: u64,
    pub withdrawn: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    Reserved,
    Sold,
    Withdrawn,
    Ended,
}

impl ReservationStatus {
    pub fn is_live(self) -> bool {
        match self {
            ReservationStatus::Reserved | ReservationStatus::Sold => true,
            ReservationStatus::Withdrawn | ReservationStatus::Ended => false,
        }
    }
}

/// A place that was let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckIn {
    pub place: i64,
}

/// What tickets has of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    #[serde(rename = "_id")]
    pub order_id: String,
    pub ticket_id: String,
    pub places: Vec<i64>,
    pub status: ReservationStatus,
    pub order_version: i64,
    #[serde(default)]
    pub check_ins: Vec<CheckIn>,
    pub version: i64,
    pub outbox: Vec<OutboxEntry>,
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

    pub fn is_unpaid(self) -> bool {
        match self {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Complete | OrderStatus::Cancelled => false,
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
    pub ticket: OrderedTicket,
    pub status: OrderStatus,
    pub cancel_reason: Option<String>,
    pub quantity: u64,
    pub places: Vec<i64>,
    /// Whether the unique index keeps others from its places.
    pub occupies: bool,
    /// Refunded without putting the places back on sale.
    pub withdrawn: bool,
    pub slot: Option<i64>,
    /// What its buyer pays, in cents.
    pub total: i64,
    pub unpaid: bool,
    #[serde(deserialize_with = "millis")]
    pub expires_at: i64,
    pub payment: Option<OrderPayment>,
    pub refund_required: Option<String>,
    pub outbox: Vec<OutboxEntry>,
}

impl Order {
    /// Whether nobody else may have its places.
    pub fn has_places(&self) -> bool {
        self.status.is_live() || self.withdrawn
    }
}

/// The ticket as it was ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderedTicket {
    pub price: i64,
}

/// The payment as the order has recorded it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderPayment {
    pub id: String,
    pub refunded: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TicketReplica {
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
    pub order: OrderReplica,
    #[serde(rename = "charge")]
    pub state: Option<PaymentState>,
    #[serde(rename = "workAt", default, deserialize_with = "maybe_millis")]
    pub next_run_at: Option<i64>,
    pub outbox: Vec<OutboxEntry>,
}

/// The replica of an order in payments.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReplica {
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
    ActionRequired,
    Authorised,
    Completed,
    Refunding,
    Refunded,
    Released,
    Failed,
    ChargedBack,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentState {
    pub id: String,
    pub status: PaymentStatus,
    pub intent: Option<String>,
    pub declines: i64,
    /// In cents.
    #[serde(default)]
    pub amount_refunded: i64,
    pub dispute: Option<PaymentDispute>,
}

/// The newest dispute, as payments knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDispute {
    pub stripe_id: String,
    /// `open`, `won` or `lost`.
    pub status: String,
}

/// An event of Stripe's, as payments has stored it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    #[serde(rename = "_id")]
    pub id: String,
    pub kind: String,
    pub intent: Option<String>,
    #[serde(default, deserialize_with = "maybe_millis")]
    pub next_run_at: Option<i64>,
}

/// An event as Stripe has it.
#[derive(Clone, Debug, Serialize)]
pub struct StripeEvent {
    pub id: String,
    pub kind: String,
    pub intent: String,
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
    pub version: i64,
    pub outbox: Vec<OutboxEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    Queued,
    Sending,
    Sent,
    Failed,
    Suppressed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// `<kind>:<order or user>`
    #[serde(rename = "_id")]
    pub id: String,
    pub status: MailStatus,
    pub unknown_outcomes: i64,
}

/// A message of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    #[serde(serialize_with = "name")]
    pub stream: Stream,
    pub sequence: u64,
    pub subject: String,
    pub data: Value,
}

impl Event {
    /// None: the catalogue doesn't have it.
    pub fn known_subject(&self) -> Option<Subject> {
        self.subject.parse().ok()
    }

    pub fn is(&self, subject: Subject) -> bool {
        self.known_subject() == Some(subject)
    }

    pub fn carries_state(&self) -> bool {
        self.known_subject().is_some_and(catalogue::carries_state)
    }

    /// The id of its aggregate; empty if the catalogue doesn't have the event.
    pub fn aggregate_id(&self) -> &str {
        let member = self.known_subject().map(catalogue::id_member);
        member.and_then(|member| self.data[member].as_str()).unwrap_or_default()
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

/// What was really charged and refunded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    pub payment_intents: Vec<PaymentIntent>,
    pub charges: Vec<Charge>,
    pub refunds: Vec<Refund>,
    #[serde(default)]
    pub disputes: Vec<Dispute>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    pub status: String,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    pub order_id: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    pub id: String,
    pub payment_intent: String,
    pub amount: i64,
    pub currency: String,
    /// `succeeded` or `failed`.
    pub status: String,
    /// Whether the card was charged with what is authorised.
    pub captured: bool,
}

/// A charge that the cardholder's bank disputes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub charge: String,
    pub amount: i64,
    /// `lost`, or another one of Stripe's.
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

/// A write to a document.
#[derive(Clone, Debug, Serialize)]
pub struct OplogEntry {
    /// `database.collection`
    pub namespace: String,
    pub id: String,
    /// The new value, if the write changed it.
    pub version: Option<i64>,
    /// Of an order.
    pub status: Option<OrderStatus>,
    /// Of a reservation in tickets.
    pub reservation: Option<ReservationStatus>,
    /// Whether somebody came in with a reservation.
    pub checks_in: bool,
    pub withdrawn: Option<bool>,
    pub places: Option<Vec<i64>>,
    /// Of a new order.
    pub ticket_id: Option<String>,
}

fn name<S: Serializer>(stream: &Stream, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stream.name())
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    DateTime::deserialize(deserializer).map(DateTime::timestamp_millis)
}

fn maybe_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let time = Option::<DateTime>::deserialize(deserializer)?;
    Ok(time.map(DateTime::timestamp_millis))
}
