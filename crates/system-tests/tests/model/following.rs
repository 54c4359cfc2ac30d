//! tickets and expiration, as the model runs them: they follow what orders tells.

use common::events::{Order, OrderStatus};
use expiration::domain::{ExpiryDecision, Schedule};
use store::Change;
use tickets::domain::Ticket;

use crate::archive::{Decided, Kept};
use crate::messages::{Event, Message};
use crate::mutants::Mutant;
use crate::state::State;
use crate::world::{Effect, World};

impl World {
    /// `DELETE /api/tickets/{id}`.
    pub fn delete(&self, state: &State) -> Effect {
        self.change_ticket(state, "delete", 0, |ticket| ticket.delete().ok())
    }

    /// `PUT /api/tickets/{id}`, with another price, once.
    pub fn edit(&self, state: &State) -> Effect {
        if state.ticket.listing.price != self.offered.thing.listing.price {
            return Effect::Nothing;
        }
        self.change_ticket(state, "edit", 0, |ticket| ticket.edit(World::draft(2100)).ok())
    }

    fn change_ticket(
        &self,
        state: &State,
        what: &'static str,
        about: u64,
        decide: impl FnOnce(&Ticket) -> Option<Change<Ticket>>,
    ) -> Effect {
        let ticket = state.ticket;
        // The store has no such ticket for anyone once it is deleted.
        let decide = || if ticket.deleted { None } else { decide(ticket.get()) };
        Effect::ticket(self.ticket_decides((what, ticket, about), decide))
    }

    pub fn tickets_hears(&self, state: &State, message: Kept<Message>) -> Effect {
        let Event::Order(order) = &message.get().event else { return Effect::Nothing };
        let ticket = state.ticket;
        Effect::ticket(self.ticket_decides(("follow", ticket, message.number()), || {
            if self.is_mutant(Mutant::NoTombstone) && ends_what_is_unknown(order, ticket.order_id) {
                return None;
            }
            let hold = if self.is_mutant(Mutant::NoHoldNumber) { 1 } else { order.hold };
            let mut change = ticket.follow(&Order { hold, ..order.clone() })?;
            if self.is_mutant(Mutant::CrossingUnanswered) && ticket.deleted {
                change.events.clear();
            }
            Some(change)
        }))
    }

    pub fn expiration_hears(&self, state: &State, message: Kept<Message>) -> Effect {
        let Event::Order(order) = &message.get().event else { return Effect::Nothing };
        let deal = self.deal(order.id);
        let schedule = state.deals[deal].schedule;
        Effect::schedule(
            deal,
            self.schedule_decides(("follow", schedule, message.number()), || match schedule {
                Some(schedule) => schedule.follow(order).map(Change::without_event),
                None => Some(Change::without_event(Schedule::of(order))),
            }),
        )
    }

    /// The timer rings, at any time: expiration's clock may be wrong.
    pub fn fire(&self, state: &State, deal: usize) -> Effect {
        let Some(schedule) = state.deals[deal].schedule else { return Effect::Nothing };
        let fire = || match schedule.expire(World::clock(true)) {
            ExpiryDecision::Expire(change) => Some(*change),
            ExpiryDecision::NotDue(_) | ExpiryDecision::NothingToDo => None,
        };
        Effect::schedule(deal, self.schedule_decides(("fire", Some(schedule), 0), fire))
    }

    fn ticket_decides(
        &self,
        (what, ticket, about): (&'static str, Kept<Ticket>, u64),
        decide: impl FnOnce() -> Option<Change<Ticket>>,
    ) -> Decided<Ticket> {
        self.archive.tickets.decide(&self.archive.messages, (what, Some(ticket), about), decide)
    }

    fn schedule_decides(
        &self,
        question: (&'static str, Option<Kept<Schedule>>, u64),
        decide: impl FnOnce() -> Option<Change<Schedule>>,
    ) -> Decided<Schedule> {
        self.archive.schedules.decide(&self.archive.messages, question, decide)
    }
}

/// The end of an order that the listener hasn't heard of.
fn ends_what_is_unknown(order: &Order, known: Option<common::ids::OrderId>) -> bool {
    order.status == OrderStatus::Cancelled && known != Some(order.id)
}
