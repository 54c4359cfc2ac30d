//! The state of the whole system: every document of every service, every event on its way, and what
//! processes have read but not yet written.

use expiration::domain::Schedule;
use orders::domain::{Order, TicketReplica as Listing};
use payments::domain::Payment;
use tickets::domain::Ticket;

use crate::archive::Kept;
use crate::messages::{Listener, Message};
use crate::stripe::Till;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The ticket, in tickets.
    pub ticket: Kept<Ticket>,
    /// Its replica, in orders.
    pub listing: Option<Kept<Listing>>,
    pub deals: Vec<Deal>,
    /// Every event that was ever told. None is taken away: any may come again.
    pub letters: Vec<Letter>,
    /// How often Stripe may still fail.
    pub failures_left: u8,
}

/// One order, in every service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deal {
    /// The buyer's request has read that the ticket, as it was, is free; then the next hold's number.
    pub reading: Option<(Kept<Listing>, Option<i64>)>,
    pub order: Option<Kept<Order>>,
    /// The listener of `payment.created` has read that the ticket can be had again, under this number.
    pub retaking: Option<i64>,
    pub schedule: Option<Kept<Schedule>>,
    pub payment: Option<Kept<Payment>>,
    pub till: Kept<Till>,
    /// Whether the hold's time is over, by orders' clock.
    pub is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    pub message: Kept<Message>,
    /// It waits on its document to be published.
    pub in_outbox: bool,
    /// Who has yet to acknowledge it, a bit each.
    waiting: u8,
    /// How many of the writes that it asks orders for are done.
    pub writes_done: u8,
}

impl State {
    /// The order that has the ticket, in orders' database.
    pub fn holder(&self) -> Option<usize> {
        self.deals.iter().position(|deal| deal.order.is_some_and(|order| order.active))
    }

    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.deals.iter().filter_map(|deal| deal.order.map(Kept::get))
    }

    pub fn letter(&mut self, message: Kept<Message>) -> &mut Letter {
        let letter = self.letters.iter_mut().find(|letter| letter.message == message);
        letter.expect("what is on its way was told")
    }

    /// Written together with the document that they tell of.
    pub fn tell(&mut self, messages: &[Kept<Message>]) {
        for message in messages {
            if !self.letters.iter().any(|letter| letter.message == *message) {
                self.letters.push(Letter::new(*message));
            }
        }
        self.letters.sort_by_key(|letter| letter.message.number());
    }
}

impl Letter {
    fn new(message: Kept<Message>) -> Letter {
        let listeners = Listener::ALL.into_iter().filter(|listener| message.is_heard_by(*listener));
        let waiting = listeners.fold(0, |bits, listener| bits | bit(listener));
        // What nobody listens to might as well be published.
        Letter { message, in_outbox: waiting != 0, waiting, writes_done: 0 }
    }

    pub fn is_awaited_by(&self, listener: Listener) -> bool {
        self.waiting & bit(listener) != 0
    }

    pub fn is_awaited(&self) -> bool {
        self.waiting != 0
    }

    pub fn acknowledge(&mut self, listener: Listener) {
        self.waiting &= !bit(listener);
    }
}

fn bit(listener: Listener) -> u8 {
    match listener {
        Listener::Tickets => 1,
        Listener::Orders => 2,
        Listener::Payments => 4,
        Listener::Expiration => 8,
    }
}
