//! The parts of the services' responses that pages show.

use common::events::{CancelReason, OrderStatus};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::money::Currency;
use common::{Money, Time};
use serde::{Deserialize, Deserializer, de};

/// A page of a list, and the cursor of the next one.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(alias = "tickets", alias = "orders", alias = "payments")]
    pub items: Vec<T>,
    #[serde(default)]
    pub next: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: Option<String>,
    pub phone: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    pub id: TicketId,
    pub title: String,
    pub description: Option<String>,
    pub date: Option<Time>,
    pub time_zone: String,
    pub venue: Option<String>,
    #[serde(deserialize_with = "decimal")]
    pub price: Money,
    pub currency: Currency,
    /// The seller.
    pub user_id: UserId,
    pub status: TicketStatus,
    pub reserved_until: Option<Time>,
    /// Visible to the seller and to that order's buyer.
    pub order_id: Option<OrderId>,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    Available,
    Reserved,
    Sold,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub id: OrderId,
    /// The buyer.
    pub user_id: UserId,
    pub status: OrderStatus,
    pub cancel_reason: Option<CancelReason>,
    pub expires_at: Time,
    pub ticket: OrderedTicket,
    pub payment_id: Option<PaymentId>,
    /// The other party's contact details, once the order is complete.
    pub contact: Option<Contact>,
    pub version: i64,
    pub created_at: Time,
}

/// The ticket as it was when it was ordered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    pub id: TicketId,
    pub title: String,
    #[serde(deserialize_with = "decimal")]
    pub price: Money,
    pub currency: Currency,
    pub date: Option<Time>,
    pub time_zone: Option<String>,
    pub venue: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Contact {
    pub name: Option<String>,
    pub email: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    pub status: PaymentStatus,
    #[serde(deserialize_with = "decimal")]
    pub amount: Money,
    pub currency: Currency,
    pub declines: i64,
    /// Stripe's decline code of the last card.
    pub decline_code: Option<String>,
    /// How many more cards may be tried.
    pub attempts_left: Option<i64>,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Created,
    Processing,
    Completed,
    Refunding,
    Refunded,
    Failed,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

/// An amount in the API's format.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}
