//! The parts of the services' responses that pages show.

use common::events::{CancelReason, OrderStatus};
use common::ids::{OrderId, PaymentId, SessionId, TicketId, UserId};
use common::listing::{Delivery, Listing};
use common::money::Currency;
use common::{Money, Quantity, Time};
use httpkit::auth::ADMIN;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A page of a list, and the cursor of the next one.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(
        alias = "tickets",
        alias = "orders",
        alias = "payments",
        alias = "history",
        alias = "checkins",
        alias = "mails"
    )]
    pub items: Vec<T>,
    #[serde(default)]
    pub next: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    /// (The version before confirmed no addresses.)
    #[serde(default)]
    pub email_verified: bool,
    /// The address that takes effect once it is confirmed.
    pub pending_email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
}

/// An account, as administrators see it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    #[serde(flatten)]
    pub user: User,
    pub groups: Vec<String>,
    pub ban: Option<AccountBan>,
    pub created_at: Time,
    pub audit: Vec<UserAct>,
}

impl Account {
    pub fn is_admin(&self) -> bool {
        self.groups.iter().any(|group| group == ADMIN)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct AccountBan {
    pub reason: String,
}

/// What an administrator has done.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAct {
    pub user_id: UserId,
    pub at: Time,
    pub by: Option<UserId>,
    pub act: String,
    pub reason: Option<String>,
    pub refund: Option<bool>,
    pub group: Option<String>,
}

/// Where a user is signed in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSession {
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    pub created_at: Time,
    pub last_used_at: Time,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    pub id: SessionId,
    pub name: String,
    pub scopes: Vec<String>,
    pub expires_at: Time,
    pub last_used_at: Option<Time>,
}

/// A token to be created.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewApiToken {
    pub name: String,
    pub scopes: Vec<String>,
    pub expires_in_days: i64,
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
    /// Of one place.
    #[serde(deserialize_with = "decimal")]
    pub price: Money,
    pub currency: Currency,
    /// How many places there are. (Until the first version with places has ended, tickets may show none of this.)
    #[serde(default = "one")]
    pub quantity: Quantity,
    /// How many of them nobody has.
    #[serde(default)]
    pub available: u16,
    #[serde(default)]
    pub reserved: u16,
    #[serde(default)]
    pub sold: u16,
    #[serde(default = "Listing::default_max_per_order")]
    pub max_per_order: Quantity,
    #[serde(default)]
    pub sold_together: bool,
    #[serde(default)]
    pub delivery: Delivery,
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
    /// The seller has stopped the sale, or has refunded every buyer without putting the places back on sale.
    Closed,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

impl Ticket {
    /// Whether the listing has several places, which are counted; a listing of one is reserved or sold as a whole.
    pub fn is_many(&self) -> bool {
        self.quantity > Quantity::ONE
    }

    /// How many places were refunded without going back on sale.
    pub fn withdrawn(&self) -> u16 {
        let counted = self.available + self.reserved + self.sold;
        if self.is_many() { self.quantity.get().saturating_sub(counted) } else { 0 }
    }

    /// Whether the seller has stopped the sale, and can reopen it.
    pub fn can_reopen(&self) -> bool {
        self.status == TicketStatus::Closed && self.available > 0
    }

    /// Whether the seller can change something: of one place that an order has, nothing.
    pub fn can_edit(&self) -> bool {
        match self.status {
            TicketStatus::Available => true,
            TicketStatus::Reserved | TicketStatus::Sold => self.is_many(),
            TicketStatus::Closed => self.is_many() || self.can_reopen(),
            TicketStatus::Unknown => false,
        }
    }

    /// Whether the seller can remove the listing: nothing of it is reserved or sold.
    pub fn can_remove(&self) -> bool {
        match self.status {
            TicketStatus::Available | TicketStatus::Closed => self.reserved == 0 && self.sold == 0,
            TicketStatus::Reserved | TicketStatus::Sold | TicketStatus::Unknown => false,
        }
    }

    /// The most places that one order can have at this moment, and the fewest.
    pub fn choices(&self) -> std::ops::RangeInclusive<u16> {
        if self.sold_together {
            self.quantity.get()..=self.quantity.get()
        } else {
            1..=self.max_per_order.get().min(self.available).max(1)
        }
    }
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
    #[serde(default = "one")]
    pub quantity: Quantity,
    /// None: of the version before, in which an order was for one place.
    #[serde(default, deserialize_with = "maybe_decimal")]
    total: Option<Money>,
    pub ticket: OrderedTicket,
    pub payment_id: Option<PaymentId>,
    /// The other party's contact details, once the order is complete.
    pub contact: Option<Contact>,
    /// What seller and buyer have said about it.
    pub handover: Option<Handover>,
    /// Of an order that was paid.
    pub receipt: Option<Receipt>,
    pub version: i64,
    pub created_at: Time,
}

impl Order {
    /// What the buyer pays.
    pub fn total(&self) -> Money {
        self.total.unwrap_or_else(|| self.quantity.times(self.ticket.price))
    }

    pub fn is_of_many(&self) -> bool {
        self.quantity > Quantity::ONE
    }

    /// Whether our code opens the door; otherwise the seller sends the ticket.
    pub fn is_checked_in_here(&self) -> bool {
        self.ticket.delivery == Delivery::CheckedInHere
    }

    pub fn handover_state(&self) -> Option<HandoverState> {
        self.handover.as_ref().map(|handover| handover.state)
    }

    pub fn has_problem(&self) -> bool {
        self.handover_state() == Some(HandoverState::Problem)
    }
}

/// An order whose buyer has reported a problem, for administrators.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportedOrder {
    #[serde(flatten)]
    pub order: Order,
    pub buyer: Option<Contact>,
    pub seller: Option<Contact>,
}

/// The ticket as it was when it was ordered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    pub id: TicketId,
    pub title: String,
    /// Of one place.
    #[serde(deserialize_with = "decimal")]
    pub price: Money,
    pub currency: Currency,
    pub date: Option<Time>,
    pub time_zone: Option<String>,
    pub venue: Option<String>,
    #[serde(default)]
    pub delivery: Delivery,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    pub state: HandoverState,
    pub sent_at: Option<Time>,
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandoverState {
    Sent,
    Received,
    Problem,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

/// A place of a paid order, and the code that opens the door for it. (Without `Debug`: a code is in no log.)
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    pub place: u16,
    pub code: String,
    pub checked_in: Option<CheckedIn>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CheckedIn {
    pub at: Time,
    pub gate: Option<String>,
}

/// The door of a listing: how many have come in, and how many are still to come.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Door {
    pub r#in: u16,
    pub left: u16,
    /// Of the link by which staff joins; shown to the seller.
    pub invitation: Option<String>,
    /// Shown to the seller.
    pub staff: Option<Vec<Staff>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Staff {
    pub user_id: UserId,
    pub name: String,
}

/// Someone was let in.
#[derive(Clone, Debug, Deserialize)]
pub struct Admitted {
    pub place: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub message: String,
    pub reported_at: Time,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// It never changes.
    pub number: String,
    /// None of an order that the version before has completed.
    pub paid_at: Option<Time>,
    pub seller: Option<Contact>,
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
    /// With it the page continues the payment, if the buyer's bank asks the buyer.
    pub client_secret: Option<String>,
    /// The page of the buyer's bank.
    pub redirect_url: Option<String>,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Created,
    Processing,
    ActionRequired,
    Completed,
    Refunding,
    Refunded,
    Released,
    Failed,
    ChargedBack,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

/// An amount in the API's format.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn maybe_decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    decimal(deserializer).map(Some)
}

fn one() -> Quantity {
    Quantity::ONE
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ticket(changes: Value) -> Ticket {
        let mut ticket = json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b", "title": "Tosca", "timeZone": "UTC",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        });
        ticket.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(ticket).unwrap()
    }

    fn many(status: &str, available: u16, reserved: u16, sold: u16) -> Ticket {
        ticket(json!({
            "quantity": 100, "maxPerOrder": 4, "status": status,
            "available": available, "reserved": reserved, "sold": sold,
        }))
    }

    #[test]
    fn a_listing_and_an_order_of_the_version_before_are_of_one_place() {
        let ticket = ticket(json!({}));
        assert!(!ticket.is_many() && ticket.can_edit() && ticket.can_remove());
        assert_eq!((ticket.withdrawn(), ticket.choices()), (0, 1..=1));
        let id = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b";
        let order = json!({
            "id": id, "userId": id, "status": "created", "expiresAt": "2026-01-01T00:15:00Z",
            "ticket": { "id": id, "title": "Tosca", "price": "20.50", "currency": "usd" },
            "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        });
        let order: Order = serde_json::from_value(order).unwrap();
        assert!(!order.is_of_many());
        assert_eq!(order.total(), Money::from_minor(2050));
    }

    #[test]
    fn a_buyer_chooses_no_more_than_the_limit_and_what_is_left_or_takes_all_together() {
        assert_eq!(many("available", 37, 0, 63).choices(), 1..=4);
        assert_eq!(many("available", 3, 0, 97).choices(), 1..=3);
        let pair = json!({ "quantity": 2, "available": 2, "soldTogether": true, "maxPerOrder": 1 });
        assert_eq!(ticket(pair).choices(), 2..=2);
    }

    #[test]
    fn the_seller_can_do_what_the_state_of_the_listing_allows() {
        let can = |ticket: Ticket| (ticket.can_edit(), ticket.can_remove(), ticket.can_reopen());
        assert_eq!(can(many("available", 100, 0, 0)), (true, true, false));
        assert_eq!(can(many("available", 37, 2, 61)), (true, false, false));
        assert_eq!(can(many("sold", 0, 0, 100)), (true, false, false));
        assert_eq!(can(many("closed", 37, 2, 61)), (true, false, true));
        assert_eq!(
            can(ticket(json!({ "status": "reserved", "reserved": 1 }))),
            (false, false, false)
        );
        assert_eq!(can(ticket(json!({ "status": "closed", "available": 1 }))), (true, true, true));
        // Refunded without going back on sale.
        assert_eq!(can(ticket(json!({ "status": "closed" }))), (false, true, false));
        assert_eq!(many("available", 90, 2, 3).withdrawn(), 5);
    }
}
