//! The cast, the bounds and the archive: all that stays the same from state to state.

use std::time::Duration;

use common::ids::{OrderId, PaymentId, UserId};
use common::{Money, Time};
use expiration::domain::Schedule;
use orders::domain::{Order, TicketReplica as Listing};
use payments::domain::Payment;
use store::Change;
use tickets::domain::Ticket;
use tickets::draft::Draft;

use crate::archive::{Decided, Kept, Shelf};
use crate::messages::Message;
use crate::mutants::Mutant;
use crate::state::{Deal, State};
use crate::stripe::Till;

/// How long a buyer holds a ticket. The model knows two moments: before its end, and after it.
pub const RESERVATION: Duration = Duration::from_secs(900);

/// How much of the world is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many times buyers take the ticket.
    pub orders: usize,
    /// How often a buyer clicks *pay* for each of these orders.
    pub clicks: &'static [i64],
    /// How many declined cards end an order.
    pub attempts: i64,
    /// How often Stripe answers with a 500.
    pub failures: u8,
    /// How many processes are at one payment at once.
    pub drivers: usize,
    /// Whether the seller deletes the ticket, changes its price, refunds.
    pub deletes: bool,
    pub edits: bool,
    pub refunds: bool,
    /// Whether expiration is there. Without it, orders' sweep alone ends holds.
    pub timers: bool,
    /// Whether events are seen to wait in outboxes. Else they are on their way at once, which is no
    /// different to anybody: nobody has heard them yet.
    pub relay: bool,
}

impl Bounds {
    pub fn payments(self) -> bool {
        self.clicks.iter().any(|clicks| *clicks > 0)
    }
}

/// The model: what it is made of, and what was found out about that.
pub struct World {
    pub bounds: Bounds,
    pub mutants: &'static [Mutant],
    pub offered: Change<Ticket>,
    pub orders: Vec<OrderId>,
    pub payments: Vec<PaymentId>,
    pub buyers: [UserId; 2],
    pub archive: Archive,
}

/// One shelf for each kind of document.
#[derive(Default)]
pub struct Archive {
    pub tickets: Shelf<Ticket>,
    pub listings: Shelf<Listing>,
    pub orders: Shelf<Order>,
    pub schedules: Shelf<Schedule>,
    pub payments: Shelf<Payment>,
    pub tills: Shelf<Till>,
    pub messages: Shelf<Message>,
}

impl World {
    pub fn new(bounds: Bounds, mutants: &'static [Mutant]) -> World {
        let now = World::before_the_end();
        World {
            bounds,
            mutants,
            offered: Ticket::offer(UserId::new(now), World::draft(2050), now),
            orders: (0..bounds.orders).map(|_| OrderId::new(now)).collect(),
            payments: (0..bounds.orders).map(|_| PaymentId::new(now)).collect(),
            buyers: [UserId::new(now), UserId::new(now)],
            archive: Archive::default(),
        }
    }

    pub fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    pub fn before_the_end() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    pub fn clock(is_over: bool) -> Time {
        let grace = Duration::from_secs(60);
        if is_over {
            World::before_the_end() + RESERVATION + grace
        } else {
            World::before_the_end()
        }
    }

    /// Which order it is.
    pub fn deal(&self, order: OrderId) -> usize {
        self.orders.iter().position(|id| *id == order).expect("an order of the cast")
    }

    /// A ticket is offered; nobody has heard of it yet.
    pub fn beginning(&self) -> State {
        let archive = &self.archive;
        let deal = Deal {
            reading: None,
            order: None,
            retaking: None,
            schedule: None,
            payment: None,
            till: archive.tills.keep(Till::default()),
            is_over: false,
        };
        let mut state = State {
            ticket: archive.tickets.keep(self.offered.thing.clone()),
            listing: None,
            deals: vec![deal; self.bounds.orders],
            letters: Vec::new(),
            failures_left: self.bounds.failures,
        };
        let offered = self.offered.events.iter();
        let offered: Vec<_> =
            offered.map(|event| archive.messages.keep(Message::of(event))).collect();
        state.tell(&offered);
        state
    }

    /// What the seller writes.
    pub fn draft(price: i64) -> Draft {
        Draft {
            listing: common::listing::Listing {
                title: "Motörhead".to_owned(),
                price: Money::from_minor(price),
                currency: "usd".parse().expect("a currency"),
                date: None,
                time_zone: "UTC".to_owned(),
                venue: None,
            },
            description: None,
        }
    }
}

/// What a step makes of the state: one write, or none.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// All is as it should be.
    Nothing,
    /// It can't be done yet; the broker is to deliver the message again.
    NotYet,
    Ticket(Kept<Ticket>, &'static [Kept<Message>]),
    Listing(Kept<Listing>),
    Order(usize, Kept<Order>, &'static [Kept<Message>]),
    Retaking(usize, i64),
    Payment(usize, Kept<Payment>, &'static [Kept<Message>]),
    Schedule(usize, Kept<Schedule>, &'static [Kept<Message>]),
}

impl Effect {
    pub fn order(deal: usize, decided: Decided<Order>) -> Effect {
        decided.map_or(Effect::Nothing, |(order, told)| Effect::Order(deal, order, told))
    }

    pub fn ticket(decided: Decided<Ticket>) -> Effect {
        decided.map_or(Effect::Nothing, |(ticket, told)| Effect::Ticket(ticket, told))
    }

    pub fn payment(deal: usize, decided: Decided<Payment>) -> Effect {
        decided.map_or(Effect::Nothing, |(payment, told)| Effect::Payment(deal, payment, told))
    }

    pub fn schedule(deal: usize, decided: Decided<Schedule>) -> Effect {
        decided.map_or(Effect::Nothing, |(schedule, told)| Effect::Schedule(deal, schedule, told))
    }

    /// One atomic write: the document, and with it the events that tell of the change.
    pub fn write(self, state: &mut State) {
        match self {
            Effect::Nothing | Effect::NotYet => {}
            Effect::Ticket(ticket, told) => {
                state.ticket = ticket;
                state.tell(told);
            }
            Effect::Listing(listing) => state.listing = Some(listing),
            Effect::Order(deal, order, told) => {
                let deal = &mut state.deals[deal];
                deal.order = Some(order);
                // Whoever has read the order before decides anew.
                deal.retaking = None;
                state.tell(told);
            }
            Effect::Retaking(deal, hold) => state.deals[deal].retaking = Some(hold),
            Effect::Payment(deal, payment, told) => {
                state.deals[deal].payment = Some(payment);
                state.tell(told);
            }
            Effect::Schedule(deal, schedule, told) => {
                state.deals[deal].schedule = Some(schedule);
                state.tell(told);
            }
        }
    }
}
