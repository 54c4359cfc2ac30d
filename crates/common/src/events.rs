//! Every event: its type, its subject, its stream, its data. One file, because they are the contract
//! between the services.
//!
//! An event carries the whole public state of what changed and its `version`, so that newer wins and a
//! gap does no harm. Readers ignore members that they don't know; writers only ever add some.
//!
//! A value of an enum that a later version adds decodes to `Unknown`, which is never written: it would replace what the
//! later version means. A consumer leaves such an event to that version, and retries it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::ids::{OrderId, PaymentId, SessionId, TicketId, UserId};
use crate::listing::{Delivery, Listing};
use crate::money::{Currency, Money};
use crate::places::{Place, Quantity};

/// A JetStream stream; exactly one service publishes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Of auth.
    Users,
    /// Of tickets.
    Tickets,
    /// Of orders.
    Orders,
    /// Of expiration.
    Expiration,
    /// Of payments.
    Payments,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Stream; 5] =
        [Stream::Users, Stream::Tickets, Stream::Orders, Stream::Expiration, Stream::Payments];

    /// As JetStream spells it.
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

    /// The services that consume events of it: each has a durable consumer of its own name.
    pub fn consumers(self) -> BTreeSet<&'static str> {
        let own = Subject::ALL.iter().filter(|subject| subject.stream() == self);
        own.flat_map(|subject| subject.consumers()).copied().collect()
    }

    /// The services of which each process follows the stream for itself, without a durable consumer (`bus::Bus::watch`).
    pub fn watchers(self) -> &'static [&'static str] {
        match self {
            Stream::Tickets | Stream::Orders | Stream::Payments => &["web"],
            // Which session tokens are refused: everyone who verifies some.
            Stream::Users => &["auth", "confirmation", "orders", "payments", "tickets", "web"],
            Stream::Expiration => &[],
        }
    }
}

/// What changed, and the version that the change gave it.
pub trait Versioned {
    /// The id of the aggregate.
    fn aggregate_id(&self) -> String;
    /// The version of the aggregate's document.
    fn version(&self) -> i64;
    /// Whether it contains a value that this version doesn't know.
    fn has_unknown_value(&self) -> bool;
}

/// Of each aggregate, its newest state among these.
pub fn newest<T: Versioned>(states: Vec<T>) -> Vec<T> {
    let mut newest: BTreeMap<String, T> = BTreeMap::new();
    for state in states {
        match newest.entry(state.aggregate_id()) {
            Entry::Vacant(vacant) => drop(vacant.insert(state)),
            Entry::Occupied(mut known) if known.get().version() < state.version() => {
                known.insert(state);
            }
            Entry::Occupied(_) => {}
        }
    }
    newest.into_values().collect()
}

/// A message on the bus. The type is bound to its subject, so a wrong pairing doesn't compile.
pub trait Event: Versioned + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is published as.
    const SUBJECT: Subject;

    /// Unique for each fact: `<type>:<aggregate id>:<version>`. It is the `Nats-Msg-Id` as well.
    fn id(&self) -> String {
        format!("{}:{}:{}", Self::SUBJECT, self.aggregate_id(), self.version())
    }
}

macro_rules! events {
    ($($stream:ident: $($subject:literal $name:ident($data:ty) => [$($consumer:ident)*] $doc:literal;)+)+) => {
        /// The NATS subject of an event, which is also its CloudEvents type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Subject {
            $($(#[doc = $doc] $name,)+)+
        }

        impl Subject {
            /// Every subject, in the order of the catalogue.
            pub const ALL: &[Subject] = &[$($(Subject::$name,)+)+];

            /// As NATS spells it, such as `order.created`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Subject::$name => $subject,)+)+
                }
            }

            /// What metrics call the subject of a message: `unknown` if the catalogue doesn't have it, for each value
            /// of a label is a series that is kept indefinitely.
            pub fn label(text: &str) -> &'static str {
                text.parse().map_or("unknown", Subject::as_str)
            }

            /// The stream that stores it.
            pub const fn stream(self) -> Stream {
                match self {
                    $($(Subject::$name => Stream::$stream,)+)+
                }
            }

            /// What has happened.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $($(Subject::$name => $doc,)+)+
                }
            }

            /// The services with a listener for it.
            pub const fn consumers(self) -> &'static [&'static str] {
                match self {
                    $($(Subject::$name => &[$(stringify!($consumer)),*],)+)+
                }
            }

            /// The schema of its data, as it is published.
            pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self {
                    $($(Subject::$name => generator.subschema_for::<$data>(),)+)+
                }
            }

            /// Decodes an event as its consumers do, and encodes what was understood.
            pub fn round_trip(self, data: &[u8]) -> serde_json::Result<serde_json::Value> {
                match self {
                    $($(Subject::$name => {
                        serde_json::from_slice::<$name>(data).and_then(serde_json::to_value)
                    })+)+
                }
            }
        }

        $($(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(
                /// The body.
                pub $data,
            );

            impl Versioned for $name {
                fn aggregate_id(&self) -> String {
                    self.0.aggregate_id()
                }
                fn version(&self) -> i64 {
                    self.0.version()
                }
                fn has_unknown_value(&self) -> bool {
                    self.0.has_unknown_value()
                }
            }

            impl Event for $name {
                const SUBJECT: Subject = Subject::$name;
            }
        )+)+
    };
}

events! {
    Users:
        "user.created" UserCreated(User) => [orders confirmation]
            "Someone signed up.";
        "user.updated" UserUpdated(User) => [orders confirmation tickets]
            "A user changed, was banned, or has signed out everywhere.";
        "user.session_ended" UserSessionEnded(EndedSession) => []
            "A session has ended: its tokens are refused.";
    Tickets:
        "ticket.created" TicketCreated(Ticket) => [orders]
            "A ticket was listed.";
        "ticket.updated" TicketUpdated(Ticket) => [orders]
            "A ticket was edited, reserved, released or sold.";
        "ticket.deleted" TicketDeleted(Ticket) => [orders]
            "A listing was removed permanently.";
        "ticket.reserved" TicketReserved(Reserved) => [orders]
            "An order's places are reserved in tickets.";
    Orders:
        "order.created" OrderCreated(Order) => [tickets expiration payments confirmation]
            "A buyer reserved places of a listing.";
        "order.cancelled" OrderCancelled(Order) => [tickets expiration payments confirmation]
            "An order ended without a sale, or its sale was refunded.";
        "order.updated" OrderUpdated(Order) => [payments confirmation]
            "An order changed in a way that no other event covers.";
        "order.completed" OrderCompleted(Order) => [tickets expiration payments confirmation]
            "An order's places were sold.";
        "order.refund_required" OrderRefundRequired(RefundRequired) => [payments]
            "A payment can't be honoured, and must be released or refunded.";
    Expiration:
        "expiration.complete" ExpirationComplete(Expiration) => [orders]
            "A reservation expired, by the timer's clock.";
    Payments:
        "payment.created" PaymentCreated(Payment) => [orders]
            "The money is authorised (the name is historical).";
        "payment.captured" PaymentCaptured(Payment) => [orders]
            "The card was charged.";
        "payment.failed" PaymentFailed(FailedPayment) => [orders]
            "A card was declined, or the payment ended unpaid.";
        "payment.released" PaymentReleased(ReleasedPayment) => [orders confirmation]
            "What was authorised is released: nothing was charged.";
        "payment.refunded" PaymentRefunded(Refund) => [orders confirmation]
            "A charge was refunded in full.";
        "payment.disputed" PaymentDisputed(DisputedPayment) => [orders]
            "The cardholder's bank disputes a charge, or has decided.";
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of no event in this version's catalogue.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a subject of the catalogue")]
pub struct UnknownSubject;

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(text: &str) -> Result<Self, UnknownSubject> {
        Subject::ALL.iter().copied().find(|subject| subject.as_str() == text).ok_or(UnknownSubject)
    }
}

macro_rules! versioned {
    ($($data:ty: $id:ident, $($value:ident)*;)+) => {$(
        impl Versioned for $data {
            fn aggregate_id(&self) -> String {
                self.$id.to_string()
            }
            fn version(&self) -> i64 {
                self.version
            }
            fn has_unknown_value(&self) -> bool {
                false $(|| self.$value.is_unknown())*
            }
        }
    )+};
}

// The id of the aggregate, and the members whose values a later version may extend.
versioned! {
    User: id, status links;
    EndedSession: id,;
    Ticket: id, listing;
    Reserved: order_id,;
    Order: id, status cancel_reason ticket handover;
    RefundRequired: order_id, why;
    Expiration: order_id,;
    Payment: order_id,;
    FailedPayment: order_id,;
    ReleasedPayment: order_id,;
    Refund: order_id,;
    DisputedPayment: order_id, status;
}

/// An enum of which a later version may have more values.
trait Extensible {
    /// Whether it is a value of a later version.
    fn is_unknown(&self) -> bool;
}

macro_rules! extensible {
    ($($kind:ident)+) => {$(
        impl Extensible for $kind {
            fn is_unknown(&self) -> bool {
                *self == $kind::Unknown
            }
        }
    )+};
}

extensible! { UserStatus LinkPurpose OrderStatus CancelReason HandoverState RefundReason DisputeStatus }

impl Extensible for Listing {
    fn is_unknown(&self) -> bool {
        self.delivery == Delivery::Unknown
    }
}

impl Extensible for OrderedTicket {
    fn is_unknown(&self) -> bool {
        self.listing.is_unknown()
    }
}

impl Extensible for Handover {
    fn is_unknown(&self) -> bool {
        self.state.is_unknown()
    }
}

impl Extensible for Vec<AccountLink> {
    fn is_unknown(&self) -> bool {
        self.iter().any(|link| link.purpose.is_unknown())
    }
}

impl<T: Extensible> Extensible for Option<T> {
    fn is_unknown(&self) -> bool {
        self.as_ref().is_some_and(Extensible::is_unknown)
    }
}

/// Whether a user may use the marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// May buy and sell.
    Active,
    /// May not.
    Banned,
    /// The account was closed: the owner of its address said that they hadn't signed up.
    Closed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// What a link that a user is mailed is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// The address is the user's own.
    Verification,
    /// Another password, without the one before.
    Recovery,
    /// Another address, which the link is mailed to.
    EmailChange,
    /// The owner of the address hasn't signed up.
    Disown,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl LinkPurpose {
    /// As events and codes spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkPurpose::Verification => "verification",
            LinkPurpose::Recovery => "recovery",
            LinkPurpose::EmailChange => "email_change",
            LinkPurpose::Disown => "disown",
            LinkPurpose::Unknown => "unknown",
        }
    }
}

/// A link that was issued and not used yet. What opens it is computed from this with a key: nothing here is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLink {
    /// What it is for. A user has one of each purpose at most: a newer one replaces the older.
    pub purpose: LinkPurpose,
    /// Different for each link.
    pub nonce: String,
    /// To which address it is mailed.
    pub email: String,
    /// When it was issued.
    pub issued_at: Time,
    /// When it ends; none: as long as the address isn't confirmed.
    pub ends_at: Option<Time>,
    /// Whether it was issued at sign-up: the welcome carries it.
    #[serde(default)]
    pub at_sign_up: bool,
}

/// A change of a user's password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordChange {
    /// When it was, by auth's clock.
    pub at: Time,
    /// The address that the user had then.
    pub email: String,
}

/// A user, without anything secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The aggregate.
    pub id: UserId,
    /// Unique among all users.
    pub email: String,
    /// Whether the user has shown that mails to it reach them.
    #[serde(default)]
    pub email_verified: bool,
    /// As the user wants to be addressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether they may use the marketplace.
    pub status: UserStatus,
    /// The links that were issued and not used yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<AccountLink>,
    /// The last change of the password, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_change: Option<PasswordChange>,
    /// Of a banned user, and of a closed account: what that means for their orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban: Option<Ban>,
    /// The first generation of their sessions whose tokens are valid. It only grows.
    #[serde(default)]
    pub session_generation: i64,
    /// The user's version.
    pub version: i64,
}

/// What the ban of a user means for their orders and listings. (Why they were banned is between them and the administrators.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// When it was decided, by auth's clock.
    pub at: Time,
    /// Whether paid orders are refunded, of which the user is buyer or seller and whose event is yet to come.
    pub refund: bool,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedSession {
    /// The aggregate.
    pub id: SessionId,
    /// Whose session it was.
    pub user_id: UserId,
    /// The session's version.
    pub version: i64,
}

/// A listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// The aggregate.
    pub id: TicketId,
    /// The seller.
    pub user_id: UserId,
    /// What the seller wrote.
    #[serde(flatten)]
    pub listing: Listing,
    /// The order that has the only place of a listing of one, as far as tickets knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The ticket's version.
    pub version: i64,
}

/// An order's places are reserved in tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// The aggregate: one reservation per order.
    pub order_id: OrderId,
    /// Of which listing.
    pub ticket_id: TicketId,
    /// The version of the reservation's document.
    pub version: i64,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub enum OrderStatus {
    /// Reserved; tickets hasn't confirmed the reservation yet.
    #[serde(rename = "created")]
    Created,
    /// Reserved, in tickets too.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// Paid.
    #[serde(rename = "complete")]
    Complete,
    /// Ended; its `cancelReason` says why.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl OrderStatus {
    /// Every status that this version knows.
    pub const ALL: [OrderStatus; 4] = [
        OrderStatus::Created,
        OrderStatus::AwaitingPayment,
        OrderStatus::Complete,
        OrderStatus::Cancelled,
    ];

    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Created => "created",
            OrderStatus::AwaitingPayment => "awaiting:payment",
            OrderStatus::Complete => "complete",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Unknown => "unknown",
        }
    }

    /// Whether an order in this state has its places, so that nobody else may (I1). Of an unknown state that is assumed.
    pub fn is_live(self) -> bool {
        match self {
            OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Complete
            | OrderStatus::Unknown => true,
            OrderStatus::Cancelled => false,
        }
    }
}

/// Why an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its buyer cancelled it.
    User,
    /// It wasn't paid in time.
    Expired,
    /// Too many cards were declined, or the payment ended unpaid.
    PaymentFailed,
    /// The seller removed the listing.
    TicketDeleted,
    /// The seller, or a payment that couldn't be honoured, refunded it.
    Refunded,
    /// Its buyer or seller was banned.
    Banned,
    /// The cardholder's bank has taken the charge back.
    Disputed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl CancelReason {
    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            CancelReason::User => "user",
            CancelReason::Expired => "expired",
            CancelReason::PaymentFailed => "payment_failed",
            CancelReason::TicketDeleted => "ticket_deleted",
            CancelReason::Refunded => "refunded",
            CancelReason::Banned => "banned",
            CancelReason::Disputed => "disputed",
            CancelReason::Unknown => "unknown",
        }
    }
}

/// How far the delivery of a ticket has come, as its seller and its buyer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandoverState {
    /// The seller has sent it, or sent it again.
    Sent,
    /// The buyer has it.
    Received,
    /// The buyer misses it, or it is not what they bought.
    Problem,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl HandoverState {
    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            HandoverState::Sent => "sent",
            HandoverState::Received => "received",
            HandoverState::Problem => "problem",
            HandoverState::Unknown => "unknown",
        }
    }
}

/// The delivery of an order's tickets. What the buyer has written about a problem is not in it: only the order's page and the API
/// show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// How far it has come.
    pub state: HandoverState,
    /// The number of this state: how often it has changed.
    pub changes: i64,
}

/// An order, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", from = "ReadOrder")]
pub struct Order {
    /// The aggregate.
    pub id: OrderId,
    /// The buyer.
    pub user_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<CancelReason>,
    /// When the reservation ends unless it is paid, by orders' clock.
    pub expires_at: Time,
    /// How many places it is for.
    pub quantity: Quantity,
    /// Which ones: those that it has, or had last.
    pub places: Vec<Place>,
    /// Whether nobody else can have these places: while the order is live, and after a refund that doesn't put them back
    /// on sale.
    pub occupies: bool,
    /// What the buyer pays for all of them.
    pub total: Money,
    /// The ticket at the time of the order: what is bought. Its price is that of one place.
    pub ticket: OrderedTicket,
    /// The greatest version of its payment that orders has seen. (None of the previous version.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_version: Option<i64>,
    /// When its payment completed it, also after its end. (None of the previous version.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Time>,
    /// How far the seller's delivery has come, once one of the parties has said something about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// The order's version.
    pub version: i64,
}

/// An order as an event of any version carries it. In the previous version, an order was for a whole listing of one.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReadOrder {
    id: OrderId,
    user_id: UserId,
    status: OrderStatus,
    cancel_reason: Option<CancelReason>,
    expires_at: Time,
    quantity: Option<Quantity>,
    places: Option<Vec<Place>>,
    occupies: Option<bool>,
    total: Option<Money>,
    ticket: OrderedTicket,
    payment_version: Option<i64>,
    paid_at: Option<Time>,
    handover: Option<Handover>,
    version: i64,
}

impl From<ReadOrder> for Order {
    fn from(read: ReadOrder) -> Order {
        let quantity = read.quantity.unwrap_or(Quantity::ONE);
        Order {
            id: read.id,
            user_id: read.user_id,
            status: read.status,
            cancel_reason: read.cancel_reason,
            expires_at: read.expires_at,
            quantity,
            places: read.places.unwrap_or_else(|| vec![Place::FIRST]),
            occupies: read.occupies.unwrap_or_else(|| read.status.is_live()),
            total: read.total.unwrap_or_else(|| quantity.times(read.ticket.listing.price)),
            ticket: read.ticket,
            payment_version: read.payment_version,
            paid_at: read.paid_at,
            handover: read.handover,
            version: read.version,
        }
    }
}

/// A ticket as it was ordered, whatever becomes of the listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    /// Which ticket.
    pub id: TicketId,
    /// The seller.
    pub user_id: UserId,
    /// What the seller had written.
    #[serde(flatten)]
    pub listing: Listing,
}

/// Why a payment must be released or refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The order had expired, and the ticket was no longer available.
    TooLate,
    /// The order had been cancelled before the payment became known.
    OrderCancelled,
    /// The listing was removed after the sale.
    TicketDeleted,
    /// Its buyer or seller was banned, and the administrator has chosen a refund.
    Banned,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl RefundReason {
    /// As events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            RefundReason::TooLate => "too_late",
            RefundReason::OrderCancelled => "order_cancelled",
            RefundReason::TicketDeleted => "ticket_deleted",
            RefundReason::Banned => "banned",
            RefundReason::Unknown => "unknown",
        }
    }
}

/// What orders requires of payments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundRequired {
    /// The aggregate.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
    /// Why.
    pub why: RefundReason,
    /// Whether the answer hasn't arrived: if it was given, it is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The order's version.
    pub version: i64,
}

/// A reminder that a reservation has expired; orders' clock decides whether it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expiration {
    /// The aggregate.
    pub order_id: OrderId,
    /// The schedule's version, so that a second reminder is a new message.
    pub version: i64,
}

/// A payment that is authorised, or captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Which payment.
    pub id: PaymentId,
    /// The aggregate: one payment an order.
    pub order_id: OrderId,
    /// Stripe's PaymentIntent (`pi_…`).
    pub stripe_id: String,
    /// What is authorised, or was charged.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// Whether the order's answer hasn't arrived: if it was given, it is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The version of the payment's document.
    pub version: i64,
}

/// A declined card, or a payment that ended unpaid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedPayment {
    /// Which payment.
    pub id: PaymentId,
    /// The aggregate.
    pub order_id: OrderId,
    /// The number of declines so far.
    pub attempt: i64,
    /// Whether no further card can be tried.
    pub r#final: bool,
    /// Whether orders hasn't said that it has seen this: if it has, that is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The version of the payment's document.
    pub version: i64,
}

/// A payment that was authorised and never captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleasedPayment {
    /// Which payment.
    pub id: PaymentId,
    /// The aggregate.
    pub order_id: OrderId,
    /// What had been authorised.
    pub amount: Money,
    /// Whether the order's places go back on sale.
    pub relist: bool,
    /// Whether orders hasn't said that it has seen this: if it has, that is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The version of the payment's document.
    pub version: i64,
}

/// What has become of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The bank hasn't decided; the charge can't be refunded meanwhile.
    Open,
    /// The seller keeps the money.
    Won,
    /// The cardholder has it back.
    Lost,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl DisputeStatus {
    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            DisputeStatus::Open => "open",
            DisputeStatus::Won => "won",
            DisputeStatus::Lost => "lost",
            DisputeStatus::Unknown => "unknown",
        }
    }
}

/// A charge that the cardholder's bank disputes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisputedPayment {
    /// Which payment.
    pub id: PaymentId,
    /// The aggregate.
    pub order_id: OrderId,
    /// Stripe's dispute (`dp_…`).
    pub stripe_dispute_id: String,
    /// What is disputed.
    pub amount: Money,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Whether orders hasn't said that it has seen this: if it has, that is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The version of the payment's document.
    pub version: i64,
}

fn always() -> bool {
    true
}

/// A full refund that has succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Which payment.
    pub id: PaymentId,
    /// The aggregate.
    pub order_id: OrderId,
    /// Stripe's refund (`re_…`).
    pub stripe_refund_id: String,
    /// What was refunded.
    pub amount: Money,
    /// Whether the order's places go back on sale. In the previous version they always did.
    #[serde(default = "always")]
    pub relist: bool,
    /// Whether the answer hasn't arrived: if it was given, it is published again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// The version of the payment's document.
    pub version: i64,
}
