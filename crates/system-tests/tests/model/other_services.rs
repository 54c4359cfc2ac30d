//! tickets and expiration: they consume the events of orders.

use common::events::{Order, OrderStatus};
use expiration::domain::{ExpiryDecision, Schedule};
use store::Change;
use tickets::domain::Ticket;

use crate::events::{Event, Message};
use crate::interner::{Decided, Interned};
use crate::mutants::Mutant;
use crate::state::State;
use crate::system::{Effect, SystemModel};

impl SystemModel {
    /// `DELETE /api/tickets/{id}`.
    pub fn delete(&self, state: &State) -> Effect {
        self.change_ticket(state, "delete", 0, |ticket| ticket.delete().ok())
    }

    /// `PUT /api/tickets/{id}`, with another price, once.
    pub fn edit(&self, state: &State) -> Effect {
        if state.ticket.listing.price != self.offered.thing.listing.price {
            return Effect::Nothing;
        }
        self.change_ticket(state, "edit", 0, |ticket| ticket.edit(SystemModel::draft(2100)).ok())
    }

    fn change_ticket(
        &self,
        state: &State,
        what: &'static str,
        about: u64,
        decide: impl FnOnce(&Ticket) -> Option<Change<Ticket>>,
    ) -> Effect {
        let ticket = state.ticket;
        // The store doesn't find a deleted ticket.
        let decide = || if ticket.deleted { None } else { decide(ticket.get()) };
        Effect::ticket(self.ticket_decides((what, ticket, about), decide))
    }

    pub fn tickets_consume(&self, state: &State, message: Interned<Message>) -> Effect {
        let Event::Order(order) = &message.get().event else { return Effect::Nothing };
        let ticket = state.ticket;
        Effect::ticket(self.ticket_decides(("follow", ticket, message.number()), || {
            if self.is_mutant(Mutant::NoTombstone) && cancels_unknown_order(order, ticket.order_id)
            {
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

    pub fn expiration_consume(&self, state: &State, message: Interned<Message>) -> Effect {
        let Event::Order(order) = &message.get().event else { return Effect::Nothing };
        let purchase = self.purchase(order.id);
        let schedule = state.purchases[purchase].schedule;
        Effect::schedule(
            purchase,
            self.schedule_decides(("follow", schedule, message.number()), || match schedule {
                Some(schedule) => schedule.follow(order).map(Change::without_event),
                None => Some(Change::without_event(Schedule::of(order))),
            }),
        )
    }

    /// The timer fires, at any time: expiration's clock may be wrong.
    pub fn fire(&self, state: &State, purchase: usize) -> Effect {
        let Some(schedule) = state.purchases[purchase].schedule else { return Effect::Nothing };
        let fire = || match schedule.expire(SystemModel::clock(true)) {
            ExpiryDecision::Expire(change) => Some(*change),
            ExpiryDecision::NotDue(_) | ExpiryDecision::NothingToDo => None,
        };
        Effect::schedule(purchase, self.schedule_decides(("fire", Some(schedule), 0), fire))
    }

    fn ticket_decides(
        &self,
        (what, ticket, about): (&'static str, Interned<Ticket>, u64),
        decide: impl FnOnce() -> Option<Change<Ticket>>,
    ) -> Decided<Ticket> {
        self.interners.tickets.decide(&self.interners.messages, (what, Some(ticket), about), decide)
    }

    fn schedule_decides(
        &self,
        question: (&'static str, Option<Interned<Schedule>>, u64),
        decide: impl FnOnce() -> Option<Change<Schedule>>,
    ) -> Decided<Schedule> {
        self.interners.schedules.decide(&self.interners.messages, question, decide)
    }
}

/// The cancellation of an order that the consumer doesn't know.
fn cancels_unknown_order(order: &Order, known: Option<common::ids::OrderId>) -> bool {
    order.status == OrderStatus::Cancelled && known != Some(order.id)
}
