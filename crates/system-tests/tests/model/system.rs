//! The users, the bounds and the interners: what is common to all states.

use std::time::Duration;

use common::ids::{OrderId, PaymentId, UserId};
use common::listing::Listing;
use common::{Money, Time};
use expiration::domain::Schedule;
use orders::domain::{Order, TicketReplica};
use payments::domain::OrderPayment;
use store::Change;
use testkit::fixtures;
use tickets::domain::{Draft, Ticket};

use crate::events::Message;
use crate::interner::{Decided, Interned, Interner};
use crate::mutants::Mutant;
use crate::state::{Purchase, State};
use crate::stripe::StripeState;

/// How long a reservation lasts. The model has two points in time: before the expiry, and after it.
pub const RESERVATION: Duration = Duration::from_secs(900);

/// The bounds of the explored state space.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many orders are placed.
    pub orders: usize,
    /// How often a buyer pays for each of these orders.
    pub clicks: &'static [i64],
    /// How many declined cards cancel an order.
    pub attempts: i64,
    /// How often Stripe responds with a 500.
    pub failures: u8,
    /// How many processes work on one payment concurrently.
    pub workers: usize,
    /// Whether the seller deletes the ticket, changes its price, refunds.
    pub deletes: bool,
    pub edits: bool,
    pub refunds: bool,
    /// Whether expiration is modelled. Without it, only orders' sweep expires orders.
    pub timers: bool,
    /// Whether events wait in outboxes as a separate state. Otherwise they are published immediately, which no process can
    /// distinguish.
    pub relay: bool,
}

impl Bounds {
    pub fn payments(self) -> bool {
        self.clicks.iter().any(|clicks| *clicks > 0)
    }
}

/// The model: its parameters, and the interned values.
pub struct SystemModel {
    pub bounds: Bounds,
    pub mutants: &'static [Mutant],
    pub offered: Change<Ticket>,
    pub orders: Vec<OrderId>,
    pub payments: Vec<PaymentId>,
    pub buyers: [UserId; 2],
    pub interners: Interners,
}

/// One interner for each type.
#[derive(Default)]
pub struct Interners {
    pub tickets: Interner<Ticket>,
    pub listings: Interner<TicketReplica>,
    pub orders: Interner<Order>,
    pub schedules: Interner<Schedule>,
    pub payments: Interner<OrderPayment>,
    pub stripe_states: Interner<StripeState>,
    pub messages: Interner<Message>,
}

impl SystemModel {
    pub fn new(bounds: Bounds, mutants: &'static [Mutant]) -> SystemModel {
        let now = SystemModel::before_expiry();
        SystemModel {
            bounds,
            mutants,
            offered: Ticket::create(UserId::new(now), SystemModel::draft(2050), now),
            orders: (0..bounds.orders).map(|_| OrderId::new(now)).collect(),
            payments: (0..bounds.orders).map(|_| PaymentId::new(now)).collect(),
            buyers: [UserId::new(now), UserId::new(now)],
            interners: Interners::default(),
        }
    }

    pub fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    pub fn before_expiry() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    pub fn clock(has_expired: bool) -> Time {
        let grace = Duration::from_secs(60);
        if has_expired {
            SystemModel::before_expiry() + RESERVATION + grace
        } else {
            SystemModel::before_expiry()
        }
    }

    /// The index of an order.
    pub fn purchase(&self, order: OrderId) -> usize {
        self.orders.iter().position(|id| *id == order).expect("an order of the model")
    }

    /// A ticket is listed, and its event is not consumed yet.
    pub fn initial_state(&self) -> State {
        let interners = &self.interners;
        let purchase = Purchase {
            reading: None,
            order: None,
            pending_retake: None,
            schedule: None,
            payment: None,
            stripe: interners.stripe_states.intern(StripeState::default()),
            has_expired: false,
        };
        let mut state = State {
            ticket: interners.tickets.intern(self.offered.thing.clone()),
            ticket_replica: None,
            purchases: vec![purchase; self.bounds.orders],
            deliveries: Vec::new(),
            failures_left: self.bounds.failures,
        };
        let offered = self.offered.events.iter();
        let offered: Vec<_> =
            offered.map(|event| interners.messages.intern(Message::of(event))).collect();
        state.publish(&offered);
        state
    }

    /// The seller's input.
    pub fn draft(price: i64) -> Draft {
        Draft {
            listing: Listing { price: Money::from_minor(price), ..fixtures::listing() },
            description: None,
        }
    }
}

/// The effect of a step: one write, or none.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// Nothing to do.
    Nothing,
    /// It can't be processed yet; the broker redelivers the message.
    Retry,
    Ticket(Interned<Ticket>, &'static [Interned<Message>]),
    Listing(Interned<TicketReplica>),
    Order(usize, Interned<Order>, &'static [Interned<Message>]),
    PendingRetake(usize, i64),
    Payment(usize, Interned<OrderPayment>, &'static [Interned<Message>]),
    Schedule(usize, Interned<Schedule>, &'static [Interned<Message>]),
}

impl Effect {
    pub fn order(purchase: usize, decided: Decided<Order>) -> Effect {
        decided
            .map_or(Effect::Nothing, |(order, published)| Effect::Order(purchase, order, published))
    }

    pub fn ticket(decided: Decided<Ticket>) -> Effect {
        decided.map_or(Effect::Nothing, |(ticket, published)| Effect::Ticket(ticket, published))
    }

    pub fn payment(purchase: usize, decided: Decided<OrderPayment>) -> Effect {
        decided.map_or(Effect::Nothing, |(payment, published)| {
            Effect::Payment(purchase, payment, published)
        })
    }

    pub fn schedule(purchase: usize, decided: Decided<Schedule>) -> Effect {
        decided.map_or(Effect::Nothing, |(schedule, published)| {
            Effect::Schedule(purchase, schedule, published)
        })
    }

    /// One atomic write: the document together with its events.
    pub fn apply(self, state: &mut State) {
        match self {
            Effect::Nothing | Effect::Retry => {}
            Effect::Ticket(ticket, published) => {
                state.ticket = ticket;
                state.publish(published);
            }
            Effect::Listing(ticket_replica) => state.ticket_replica = Some(ticket_replica),
            Effect::Order(purchase, order, published) => {
                let purchase = &mut state.purchases[purchase];
                purchase.order = Some(order);
                // A decision on an earlier version is invalid.
                purchase.pending_retake = None;
                state.publish(published);
            }
            Effect::PendingRetake(purchase, hold) => {
                state.purchases[purchase].pending_retake = Some(hold);
            }
            Effect::Payment(purchase, payment, published) => {
                state.purchases[purchase].payment = Some(payment);
                state.publish(published);
            }
            Effect::Schedule(purchase, schedule, published) => {
                state.purchases[purchase].schedule = Some(schedule);
                state.publish(published);
            }
        }
    }
}
