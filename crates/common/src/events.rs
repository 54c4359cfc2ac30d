//! Every event: its type, its subject, its stream, its data. One file, because they are the contract
//! between the services.
//!
//! An event carries the whole public state of what changed and its `version`, so that newer wins and a
//! gap does no harm. Readers ignore members that they don't know; writers only ever add some.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::ids::{OrderId, PaymentId, TicketId, UserId};
use crate::money::{Currency, Money};

/// A JetStream stream; one service publishes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Users,
    Tickets,
    Orders,
    Expiration,
    Payments,
}

impl Stream {
    pub const ALL: [Stream; 5] =
        [Stream::Users, Stream::Tickets, Stream::Orders, Stream::Expiration, Stream::Payments];

    pub fn name(self) -> &'static str {
        match self {
            Stream::Users => "USERS",
            Stream::Tickets => "TICKETS",
            Stream::Orders => "ORDERS",
            Stream::Expiration => "EXPIRATION",
            Stream::Payments => "PAYMENTS",
        }
    }

    /// The subjects that it keeps.
    pub fn subjects(self) -> &'static str {
        match self {
            Stream::Users => "user.>",
            Stream::Tickets => "ticket.>",
            Stream::Orders => "order.>",
            Stream::Expiration => "expiration.>",
            Stream::Payments => "payment.>",
        }
    }

    /// The one service that publishes to it.
    pub fn publisher(self) -> &'static str {
        match self {
            Stream::Users => "auth",
            Stream::Tickets => "tickets",
            Stream::Orders => "orders",
            Stream::Expiration => "expiration",
            Stream::Payments => "payments",
        }
    }

    /// The services that hear it: each has a durable consumer of its own name.
    pub fn listeners(self) -> &'static [&'static str] {
        match self {
            Stream::Users | Stream::Tickets | Stream::Expiration | Stream::Payments => &["orders"],
            Stream::Orders => &["tickets", "expiration", "payments"],
        }
    }

    /// The services that look on, and keep nothing of what they see ([`crate::bus::Bus::watch`]).
    pub fn watchers(self) -> &'static [&'static str] {
        match self {
            Stream::Tickets | Stream::Orders | Stream::Payments => &["web"],
            Stream::Users | Stream::Expiration => &[],
        }
    }
}

/// What changed, and the version it has by the change.
pub trait Versioned {
    fn aggregate_id(&self) -> String;
    fn version(&self) -> i64;
}

/// A message on the bus. The type is bound to its subject, so a wrong pairing doesn't compile.
pub trait Event: Versioned + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The NATS subject, which is also the CloudEvents type.
    const SUBJECT: &'static str;
    const STREAM: Stream;

    /// Unique for what is told: `<type>:<aggregate id>:<version>`. It is the `Nats-Msg-Id` as well.
    fn id(&self) -> String {
        format!("{}:{}:{}", Self::SUBJECT, self.aggregate_id(), self.version())
    }
}

macro_rules! events {
    ($($stream:ident: $($subject:literal $name:ident($data:ty) $doc:literal;)+)+) => {
        $($(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub $data);

            impl Versioned for $name {
                fn aggregate_id(&self) -> String {
                    self.0.aggregate_id()
                }
                fn version(&self) -> i64 {
                    self.0.version()
                }
            }

            impl Event for $name {
                const SUBJECT: &'static str = $subject;
                const STREAM: Stream = Stream::$stream;
            }
        )+)+

        /// Reads an event as its listeners do, and says what was understood. None: there is no such event.
        pub fn reread(
            subject: &str,
            data: &[u8],
        ) -> Option<serde_json::Result<serde_json::Value>> {
            match subject {
                $($($subject => {
                    Some(serde_json::from_slice::<$name>(data).and_then(serde_json::to_value))
                })+)+
                _ => None,
            }
        }

        /// Every subject there is, with its stream.
        pub const CATALOGUE: &[(&str, Stream)] = &[$($(($subject, Stream::$stream)),+),+];
    };
}

events! {
    Users:
        "user.created" UserCreated(User) "Someone signed up.";
        "user.updated" UserUpdated(User) "A user changed, or was banned.";
    Tickets:
        "ticket.created" TicketCreated(Ticket) "A ticket is for sale.";
        "ticket.updated" TicketUpdated(Ticket) "A ticket was edited, locked, unlocked or sold.";
        "ticket.deleted" TicketDeleted(Ticket) "A ticket is off the market for good.";
    Orders:
        "order.created" OrderCreated(Order) "A buyer holds a ticket.";
        "order.cancelled" OrderCancelled(Order) "An order ended without a sale, or its sale was undone.";
        "order.updated" OrderUpdated(Order) "An order changed in a way that no other event tells.";
        "order.completed" OrderCompleted(Order) "A ticket is sold.";
        "order.refund_required" OrderRefundRequired(RefundRequired) "What was paid can't be honoured.";
    Expiration:
        "expiration.complete" ExpirationComplete(Expiration) "A hold has run out, by the timer's clock.";
    Payments:
        "payment.created" PaymentCreated(Payment) "A charge has succeeded (the name is historical).";
        "payment.failed" PaymentFailed(FailedPayment) "A card was declined, or the payment ended unpaid.";
        "payment.refunded" PaymentRefunded(Refund) "A charge was given back in full.";
}

macro_rules! versioned {
    ($($data:ty: $id:ident),+ $(,)?) => {$(
        impl Versioned for $data {
            fn aggregate_id(&self) -> String {
                self.$id.to_string()
            }
            fn version(&self) -> i64 {
                self.version
            }
        }
    )+};
}

versioned! {
    User: id, Ticket: id, Order: id, RefundRequired: order_id, Expiration: order_id,
    Payment: order_id, FailedPayment: order_id, Refund: order_id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    Banned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub status: UserStatus,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    pub id: TicketId,
    pub title: String,
    pub price: Money,
    pub currency: Currency,
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Time>,
    pub time_zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// The order that holds it, as far as tickets knows: a lock confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The greatest hold number that tickets has seen; 0 before the first.
    #[serde(default)]
    pub hold: i64,
    pub version: i64,
}

/// Where an order stands.
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
    pub const ALL: [OrderStatus; 4] = [
        OrderStatus::Created,
        OrderStatus::AwaitingPayment,
        OrderStatus::Complete,
        OrderStatus::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Created => "created",
            OrderStatus::AwaitingPayment => "awaiting:payment",
            OrderStatus::Complete => "complete",
            OrderStatus::Cancelled => "cancelled",
        }
    }

    /// Whether the order has the ticket: nobody else may.
    pub fn is_live(self) -> bool {
        match self {
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => true,
            OrderStatus::Cancelled => false,
        }
    }
}

/// Why an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    User,
    Expired,
    PaymentFailed,
    TicketDeleted,
    Refunded,
    Banned,
}

impl CancelReason {
    pub fn as_str(self) -> &'static str {
        match self {
            CancelReason::User => "user",
            CancelReason::Expired => "expired",
            CancelReason::PaymentFailed => "payment_failed",
            CancelReason::TicketDeleted => "ticket_deleted",
            CancelReason::Refunded => "refunded",
            CancelReason::Banned => "banned",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub id: OrderId,
    /// The fencing number of the hold: of two orders of one ticket, the greater is the newer.
    pub hold: i64,
    /// The buyer.
    pub user_id: UserId,
    pub status: OrderStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<CancelReason>,
    pub expires_at: Time,
    pub ticket: OrderedTicket,
    pub version: i64,
}

/// The ticket as it was when it was ordered: what is bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    pub id: TicketId,
    pub title: String,
    pub price: Money,
    pub currency: Currency,
    /// The seller.
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Time>,
    pub time_zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
}

/// Why a payment is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The order had ended, and the ticket wasn't to be had any more.
    TooLate,
    /// The order had been cancelled by someone before the charge was known.
    OrderCancelled,
    /// The ticket was deleted after it was sold.
    TicketDeleted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundRequired {
    pub order_id: OrderId,
    pub payment_id: PaymentId,
    pub why: RefundReason,
    /// The order's version.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiration {
    pub order_id: OrderId,
    /// The schedule's version, so that what is fired again is a new message.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    pub order_id: OrderId,
    /// Stripe's PaymentIntent (`pi_…`).
    pub stripe_id: String,
    pub amount: Money,
    pub currency: Currency,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPayment {
    pub id: PaymentId,
    pub order_id: OrderId,
    /// How many declines there have been.
    pub attempt: i64,
    /// Whether it can't be tried again.
    pub r#final: bool,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    pub id: PaymentId,
    pub order_id: OrderId,
    /// Stripe's refund (`re_…`).
    pub stripe_refund_id: String,
    pub amount: Money,
    pub version: i64,
}
