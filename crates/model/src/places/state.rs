//! The state of the whole system: all documents of all services, all events, and what processes have read but not yet
//! written.

use super::money::Money;
use crate::protocol::event::{Event, Listener};
use crate::protocol::listing::{Listing, Reservation, Summary};
use crate::protocol::order::{CancelReason, ListingReplica, Order};
use crate::protocol::places::Places;
use crate::protocol::schedule::Schedule;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The listing, in tickets.
    pub listing: Listing,
    /// Its replica in orders.
    pub replica: Option<ListingReplica>,
    pub purchases: Vec<Purchase>,
    /// Every published event that may still have an effect. An acknowledged one may be redelivered.
    pub deliveries: Vec<Delivery>,
    /// The seller's request to delete the listing has read the reservations, and nothing was marked since.
    pub deleting: bool,
    /// The listing was deleted although tickets knew of a live reservation.
    pub deleted_by_mistake: bool,
    /// Processes that compute the summary.
    pub summaries: Vec<SummaryWorker>,
}

/// One order, in every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purchase {
    pub request: Request,
    pub order: Option<Order>,
    /// The consumer of `payment.created` has chosen these places for an order that was paid late.
    pub again: Option<Places>,
    /// In tickets.
    pub reservation: Option<Reservation>,
    /// In expiration.
    pub schedule: Option<Schedule>,
    /// In payments.
    pub money: Money,
    /// Whether the reservation has expired, by orders' clock.
    pub has_expired: bool,
}

/// What the buyer's request has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Nothing, or it was refused.
    None,
    /// It has chosen places, at random or from those that were free, of the listing with this content.
    Chosen { places: Places, slot: u8, content: u8 },
    /// A unique index has refused the insert.
    Conflicted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SummaryWorker {
    Idle,
    /// It has read how many changes were marked. A consumer has an event to summarise, and none of a dirty listing.
    Begun {
        marks: u8,
        event: Option<Event>,
    },
    /// Then it has read the reservations.
    Computed {
        marks: u8,
        event: Option<Event>,
        summary: Summary,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    pub event: Event,
    /// It is not published yet.
    pub in_outbox: bool,
    /// The consumers that have not acknowledged it, one bit each.
    pending: u8,
    /// How many writes the consumer of several has completed.
    pub writes_done: u8,
    /// The listing wasn't deleted yet when it was published: a consumer may have read that.
    pub was_listed: bool,
}

impl State {
    pub fn orders(&self) -> impl Iterator<Item = Order> {
        self.purchases.iter().filter_map(|purchase| purchase.order)
    }

    pub fn reservations(&self) -> impl Iterator<Item = Reservation> {
        self.purchases.iter().filter_map(|purchase| purchase.reservation)
    }

    /// The places that orders' unique index calls taken, except those of one order.
    pub fn taken(&self, except: usize) -> Places {
        let others = self.purchases.iter().enumerate().filter(|(other, _)| *other != except);
        let taken = others.filter_map(|(_, other)| other.order).filter(|order| order.occupies);
        taken.fold(Places::NONE, |taken, order| taken.union(order.places))
    }

    pub fn delivery(&mut self, event: Event) -> &mut Delivery {
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.event == event);
        delivery.expect("a published event")
    }

    /// Added to the outbox, in the same write as the document. An event that was published before is delivered again.
    pub fn publish(&mut self, event: Event) {
        let delivery = Delivery::new(event, !self.listing.deleted);
        match self.deliveries.binary_search_by_key(&event, |delivery| delivery.event) {
            Ok(place) => self.deliveries[place] = delivery,
            Err(place) => self.deliveries.insert(place, delivery),
        }
    }

    /// Numbers of marks matter only in comparison with each other.
    pub fn renumber_marks(&mut self) {
        let mut known = vec![self.listing.marks, self.listing.summarised];
        known.extend(self.summaries.iter().filter_map(SummaryWorker::marks));
        known.sort_unstable();
        known.dedup();
        let renumbered =
            |marks: u8| known.iter().position(|known| *known == marks).unwrap_or_default() as u8;
        self.listing.marks = renumbered(self.listing.marks);
        self.listing.summarised = renumbered(self.listing.summarised);
        for worker in &mut self.summaries {
            match worker {
                SummaryWorker::Idle => {}
                SummaryWorker::Begun { marks, .. } | SummaryWorker::Computed { marks, .. } => {
                    *marks = renumbered(*marks);
                }
            }
        }
    }
}

impl SummaryWorker {
    fn marks(&self) -> Option<u8> {
        match self {
            SummaryWorker::Idle => None,
            SummaryWorker::Begun { marks, .. } | SummaryWorker::Computed { marks, .. } => {
                Some(*marks)
            }
        }
    }
}

impl Purchase {
    pub fn is_overdue(&self) -> bool {
        self.has_expired && self.order.is_some_and(|order| order.unpaid)
    }

    /// Whether its places are nobody else's: while the order is live, and once it was refunded without putting them back
    /// on sale.
    pub fn owns_places(&self) -> bool {
        let Some(order) = self.order else { return false };
        let is_withdrawn = order.reason == Some(CancelReason::Refunded)
            && self.money == Money::Returned { relist: false };
        order.is_live() || is_withdrawn
    }
}

impl Delivery {
    fn new(event: Event, was_listed: bool) -> Delivery {
        let pending = event.listeners().iter().fold(0, |bits, listener| bits | bit(*listener));
        // Only tickets looks at the listing.
        let was_listed = was_listed && matches!(event, Event::Order { .. });
        Delivery { event, in_outbox: true, pending, writes_done: 0, was_listed }
    }

    pub fn is_pending_for(&self, listener: Listener) -> bool {
        self.pending & bit(listener) != 0
    }

    pub fn is_pending(&self) -> bool {
        self.pending != 0
    }

    pub fn acknowledge(&mut self, listener: Listener) {
        self.pending &= !bit(listener);
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
