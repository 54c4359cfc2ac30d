//! The model's parameters, its first state, and the effects of its steps.

use super::bounds::Bounds;
use super::money::Money;
use super::mutants::Mutant;
use super::state::{Purchase, Request, State, SummaryWorker};
use crate::protocol::Change;
use crate::protocol::listing::{Listing, Reservation};
use crate::protocol::order::{ListingReplica, Order};
use crate::protocol::schedule::Schedule;

pub struct PlacesModel {
    pub bounds: Bounds,
    pub mutants: &'static [Mutant],
}

impl PlacesModel {
    pub fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    /// The listing is published, and its event is not consumed yet.
    pub fn initial_state(&self) -> State {
        let purchase = Purchase {
            request: Request::None,
            order: None,
            again: None,
            reservation: None,
            schedule: None,
            money: Money::None,
            has_expired: false,
        };
        let listed = Listing::create(self.bounds.quantity);
        let mut state = State {
            listing: listed.thing,
            replica: None,
            purchases: vec![purchase; self.bounds.orders.len()],
            deliveries: Vec::new(),
            deleting: false,
            deleted_by_mistake: false,
            summaries: vec![SummaryWorker::Idle; self.bounds.summaries],
        };
        Effect::Listing(listed).apply(&mut state);
        state
    }
}

/// The effect of a step: one write, or none.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// Nothing to do.
    Nothing,
    /// It can't be processed yet; the broker redelivers the message.
    Retry,
    /// The consumer has to read more, in steps of their own, before it can write.
    Undecided,
    Listing(Change<Listing>),
    Replica(ListingReplica),
    Reservation(usize, Change<Reservation>),
    Order(usize, Change<Order>),
    Money(usize, Change<Money>),
    Schedule(usize, Change<Schedule>),
}

impl Effect {
    pub fn order(purchase: usize, change: Option<Change<Order>>) -> Effect {
        change.map_or(Effect::Nothing, |change| Effect::Order(purchase, change))
    }

    pub fn money(purchase: usize, change: Option<Change<Money>>) -> Effect {
        change.map_or(Effect::Nothing, |change| Effect::Money(purchase, change))
    }

    /// One atomic write: the document together with its event.
    pub fn apply(self, state: &mut State) {
        let event = match self {
            Effect::Nothing | Effect::Retry | Effect::Undecided => None,
            Effect::Listing(change) => {
                state.listing = change.thing;
                // A request that is guarded by the listing as it was finds another one.
                state.deleting = false;
                change.event
            }
            Effect::Replica(replica) => {
                state.replica = Some(replica);
                None
            }
            Effect::Reservation(purchase, change) => {
                state.purchases[purchase].reservation = Some(change.thing);
                change.event
            }
            Effect::Order(purchase, change) => {
                state.purchases[purchase].order = Some(change.thing);
                // A decision on an earlier version is invalid.
                state.purchases[purchase].again = None;
                change.event
            }
            Effect::Money(purchase, change) => {
                state.purchases[purchase].money = change.thing;
                change.event
            }
            Effect::Schedule(purchase, change) => {
                state.purchases[purchase].schedule = Some(change.thing);
                change.event
            }
        };
        if let Some(event) = event {
            state.publish(event);
        }
    }
}
