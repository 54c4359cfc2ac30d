//! Events with sensible defaults, and `with_…` changes. A new field of an event is added to the tests here alone.
//!
//! ```
//! use common::{Clock, events::OrderCreated};
//! use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _};
//!
//! let now = Clock::system().now();
//! let ticket = fixtures::ticket(now).with_title("Tosca").with_version(3);
//! let order = OrderCreated(fixtures::order(&ticket, now).with_version(7));
//! assert_eq!((order.0.ticket.listing.title.as_str(), order.0.version), ("Tosca", 7));
//! ```

use std::time::Duration;

use common::events::{
    CancelReason, DisputeStatus, DisputedPayment, Expiration, FailedPayment, Handover, Order,
    OrderStatus, OrderedTicket, Payment, Refund, RefundReason, RefundRequired, ReleasedPayment,
    Reserved, Ticket, User, UserStatus,
};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::listing::Listing;
use common::{Money, Place, Quantity, Time};

/// How long the reservation of [`order`] lasts.
pub const RESERVATION: Duration = Duration::from_secs(900);

/// An active user who has just signed up.
pub fn user(now: Time) -> User {
    User {
        id: UserId::new(now),
        email: "kim@example.org".to_owned(),
        email_verified: true,
        name: None,
        status: UserStatus::Active,
        links: Vec::new(),
        password_change: None,
        ban: None,
        session_generation: 0,
        version: 1,
    }
}

/// What a seller writes about a ticket for $20.50.
pub fn listing() -> Listing {
    Listing {
        title: "Aida".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        venue: Some("Arena".to_owned()),
        ..Listing::unknown(Money::from_minor(2050), "usd".parse().expect("a currency"))
    }
}

/// A ticket that was just listed.
pub fn ticket(now: Time) -> Ticket {
    Ticket {
        id: TicketId::new(now),
        user_id: UserId::new(now),
        listing: listing(),
        order_id: None,
        version: 1,
    }
}

/// What a buyer orders: the ticket as listed.
pub fn ordered_ticket(ticket: &Ticket) -> OrderedTicket {
    OrderedTicket { id: ticket.id, user_id: ticket.user_id, listing: ticket.listing.clone() }
}

/// tickets has reserved the places of an order.
pub fn reserved(order: &Order) -> Reserved {
    Reserved { order_id: order.id, ticket_id: order.ticket.id, version: 1 }
}

/// A new order of the first place of a ticket, by a new buyer.
pub fn order(ticket: &Ticket, now: Time) -> Order {
    Order {
        id: OrderId::new(now),
        user_id: UserId::new(now),
        status: OrderStatus::Created,
        cancel_reason: None,
        expires_at: now + RESERVATION,
        quantity: Quantity::ONE,
        places: vec![Place::FIRST],
        occupies: true,
        total: ticket.listing.price,
        ticket: ordered_ticket(ticket),
        payment_version: None,
        paid_at: None,
        handover: None,
        version: 1,
    }
}

/// The order for these places instead.
pub fn with_places(order: Order, places: impl IntoIterator<Item = u16>) -> Order {
    let places: Vec<_> = places.into_iter().map(Place::new).collect();
    let quantity = Quantity::of(&places);
    Order { total: quantity.times(order.ticket.listing.price), quantity, places, ..order }
}

/// The reminder that the reservation of an order has expired.
pub fn expiration(order_id: OrderId) -> Expiration {
    Expiration { order_id, version: 1 }
}

/// The payment of an order, authorised or captured, of the price of [`ticket`].
pub fn payment(order_id: OrderId, now: Time) -> Payment {
    Payment {
        id: PaymentId::new(now),
        order_id,
        stripe_id: format!("pi_{order_id}"),
        amount: Money::from_minor(2050),
        currency: "usd".parse().expect("a currency"),
        reminder: false,
        version: 3,
    }
}

/// The first decline of an order, after which the buyer may try again.
pub fn failed_payment(order_id: OrderId, now: Time) -> FailedPayment {
    FailedPayment {
        id: PaymentId::new(now),
        order_id,
        attempt: 1,
        r#final: false,
        reminder: false,
        version: 3,
    }
}

/// The full refund of a payment.
pub fn refund(payment: &Payment) -> Refund {
    Refund {
        id: payment.id,
        order_id: payment.order_id,
        stripe_refund_id: format!("re_{}", payment.order_id),
        amount: payment.amount,
        relist: true,
        reminder: false,
        version: payment.version + 2,
    }
}

/// The release of a payment that was authorised.
pub fn released(payment: &Payment) -> ReleasedPayment {
    ReleasedPayment {
        id: payment.id,
        order_id: payment.order_id,
        amount: payment.amount,
        relist: true,
        reminder: false,
        version: payment.version + 2,
    }
}

/// The dispute of a charge.
pub fn disputed(payment: &Payment, status: DisputeStatus) -> DisputedPayment {
    DisputedPayment {
        id: payment.id,
        order_id: payment.order_id,
        stripe_dispute_id: format!("dp_{}", payment.order_id),
        amount: payment.amount,
        status,
        reminder: false,
        version: payment.version + 2,
    }
}

/// The request to refund a payment that came too late for its order.
pub fn refund_required(order_id: OrderId, payment_id: PaymentId) -> RefundRequired {
    let why = RefundReason::TooLate;
    RefundRequired { order_id, payment_id, why, reminder: false, version: 2 }
}

macro_rules! changes {
    ($(#[$doc:meta])* $changes:ident of $event:ty { $($method:ident => $($field:ident).+: $value:ty),+ $(,)? }) => {
        $(#[$doc])*
        pub trait $changes: Sized {
            $(fn $method(self, value: impl Into<$value>) -> Self;)+
        }

        impl $changes for $event {
            $(fn $method(mut self, value: impl Into<$value>) -> Self {
                self.$($field).+ = value.into();
                self
            })+
        }
    };
}

changes! {
    /// Changes of [`user`].
    UserChanges of User {
        with_id => id: UserId,
        with_email => email: String,
        with_name => name: Option<String>,
        with_status => status: UserStatus,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`ticket`].
    TicketChanges of Ticket {
        with_id => id: TicketId,
        with_title => listing.title: String,
        with_price => listing.price: Money,
        with_seller => user_id: UserId,
        with_date => listing.date: Option<Time>,
        with_time_zone => listing.time_zone: String,
        with_venue => listing.venue: Option<String>,
        with_quantity => listing.quantity: Quantity,
        with_max_per_order => listing.max_per_order: Quantity,
        with_sold_together => listing.sold_together: bool,
        with_closed => listing.closed: bool,
        with_order => order_id: Option<OrderId>,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`order`].
    OrderChanges of Order {
        with_id => id: OrderId,
        with_buyer => user_id: UserId,
        with_status => status: OrderStatus,
        with_cancel_reason => cancel_reason: Option<CancelReason>,
        with_expiry => expires_at: Time,
        with_payment_version => payment_version: Option<i64>,
        with_paid_at => paid_at: Option<Time>,
        with_handover => handover: Option<Handover>,
        with_occupies => occupies: bool,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`payment`].
    PaymentChanges of Payment {
        with_id => id: PaymentId,
        with_amount => amount: Money,
        with_stripe_id => stripe_id: String,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`failed_payment`].
    FailedPaymentChanges of FailedPayment {
        with_id => id: PaymentId,
        with_attempt => attempt: i64,
        with_final => r#final: bool,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`refund`].
    RefundChanges of Refund {
        with_relist => relist: bool,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`refund_required`].
    RefundRequiredChanges of RefundRequired {
        with_reason => why: RefundReason,
        with_version => version: i64,
    }
}

changes! {
    /// Changes of [`expiration`].
    ExpirationChanges of Expiration {
        with_version => version: i64,
    }
}

/// The next version of an order: cancelled for this reason.
pub fn cancelled(order: &Order, reason: CancelReason) -> Order {
    let version = order.version + 1;
    let cancelled = order.clone().with_status(OrderStatus::Cancelled).with_version(version);
    cancelled.with_cancel_reason(reason).with_occupies(false)
}

/// The next version of an order: complete.
pub fn completed(order: &Order) -> Order {
    order.clone().with_status(OrderStatus::Complete).with_version(order.version + 1)
}
