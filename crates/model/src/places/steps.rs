//! The transitions of the model.

use stateright::{Model, Property};

use super::invariants;
use super::money::Money;
use super::mutants::Mutant;
use super::state::{Delivery, Purchase, Request, State};
use super::system::{Effect, PlacesModel};
use crate::protocol::Change;
use crate::protocol::event::{Event, Listener};
use crate::protocol::places::Places;

/// One step. Orders are identified by their index in [`State::purchases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A buyer's request chooses places.
    Choose(usize, Request),
    /// It finds too few, and ends an expired order.
    EndExpired,
    /// It finds too few, and nothing has expired.
    Refuse(usize),
    /// It writes.
    Reserve(usize),
    Cancel(usize),
    /// The money is authorised, fails, is refunded by the seller, and is returned.
    Pay(usize),
    Fail(usize),
    Refund {
        order: usize,
        relist: bool,
    },
    Return(usize),
    Edit,
    Grow,
    /// The seller's request to delete reads, and writes.
    BeginDelete,
    Delete,
    Expire(usize),
    Sweep(usize),
    FireTimer(usize),
    /// The relay publishes an event. (A crash before it is removed from the outbox publishes it again: that is a duplicate
    /// delivery.)
    Publish(Event),
    /// A consumer applies the nth write of a message.
    Deliver(Listener, Event, usize),
    /// A consumer crashed between two writes, and the message is redelivered.
    Redeliver(Event),
    /// The consumer of `payment.created` chooses places for an order that was paid late, or finds too few, and writes.
    ChooseAgain(usize, Places),
    Reject(usize),
    FinishLatePayment(usize),
    /// A worker reads the mark, reads the reservations, and writes the summary: of a dirty listing, or, as the consumer of
    /// this event, of its own change.
    BeginSummary(usize, Option<Event>),
    ComputeSummary(usize),
    WriteSummary(usize),
}

impl Model for PlacesModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = self.initial_state();
        self.settle(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for order in 0..state.purchases.len() {
            self.steps_of_buyer(state, order, steps);
            self.steps_of_payment(state, order, steps);
        }
        self.steps_of_seller(state, steps);
        for worker in 0..state.summaries.len() {
            steps.push(Step::BeginSummary(worker, None));
            if self.bounds.consumers_summarise {
                let events = state.deliveries.iter().map(|delivery| delivery.event);
                steps.extend(events.map(|event| Step::BeginSummary(worker, Some(event))));
            }
            steps.push(Step::ComputeSummary(worker));
            steps.push(Step::WriteSummary(worker));
        }
        for delivery in &state.deliveries {
            self.steps_of_delivery(delivery, steps);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = match step {
            Step::Choose(order, request) => {
                let mut next = state.clone();
                next.purchases[order].request = request;
                Some(next)
            }
            Step::EndExpired => self.after(state, self.end_expired(state)),
            Step::Refuse(order) => self.refuse(state, order),
            Step::Reserve(order) => self.insert(state, order),
            Step::Cancel(order) => self.after(state, self.cancel(state, order)),
            Step::Pay(order) => self.pay(state, order, Money::authorise),
            Step::Fail(order) => self.pay(state, order, Money::fail),
            Step::Refund { order, relist } => {
                self.pay(state, order, |money, _| money.begin_return(relist))
            }
            Step::Return(order) => self.pay(state, order, Money::finish_return),
            Step::Edit => self.after(state, self.edit(state)),
            Step::Grow => self.after(state, self.grow(state)),
            Step::BeginDelete => self.begin_delete(state),
            Step::Delete => self.delete(state),
            Step::Expire(order) => {
                let mut next = state.clone();
                next.purchases[order].has_expired = true;
                Some(next)
            }
            Step::Sweep(order) => self.after(state, self.expire(state, order)),
            Step::FireTimer(order) => self.after(state, self.fire(state, order)),
            Step::Publish(event) => {
                let mut next = state.clone();
                next.delivery(event).in_outbox = false;
                Some(next)
            }
            Step::Deliver(listener, event, write) => self.deliver(state, listener, event, write),
            Step::Redeliver(event) => {
                let mut next = state.clone();
                next.delivery(event).writes_done = 0;
                Some(next)
            }
            Step::ChooseAgain(order, places) => {
                let mut next = state.clone();
                next.purchases[order].again = Some(places);
                Some(next)
            }
            Step::Reject(order) => self.reject_payment(state, order),
            Step::FinishLatePayment(order) => self.finish_late_payment(state, order),
            Step::BeginSummary(worker, event) => self.begin_summary(state, worker, event),
            Step::ComputeSummary(worker) => self.compute_summary(state, worker),
            Step::WriteSummary(worker) => self.write_summary(state, worker),
        }?;
        self.settle(&mut next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<PlacesModel>> {
        invariants::all()
    }
}

impl PlacesModel {
    fn steps_of_buyer(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let purchase = &state.purchases[order];
        let Some(known) = purchase.order else {
            if !self.may_start(state, order) {
                return;
            }
            let choices = self.choices(state, order);
            match purchase.request {
                Request::Chosen { .. } => steps.push(Step::Reserve(order)),
                Request::Conflicted if choices.is_empty() => {
                    steps.extend([Step::EndExpired, Step::Refuse(order)]);
                }
                Request::Conflicted | Request::None => {}
            }
            steps.extend(choices.into_iter().map(|request| Step::Choose(order, request)));
            return;
        };
        if known.unpaid {
            steps.push(Step::Cancel(order));
            steps.push(if purchase.has_expired { Step::Sweep(order) } else { Step::Expire(order) });
        }
        if self.bounds.timers && purchase.schedule.is_some() {
            steps.push(Step::FireTimer(order));
        }
    }

    /// Buyers who ask for as many places, and either pay or don't, are symmetric: they start in order.
    fn may_start(&self, state: &State, order: usize) -> bool {
        let Some(before) = order.checked_sub(1) else { return true };
        let kind = |order: usize| (self.bounds.orders[order], order < self.bounds.paid);
        let has_started =
            |purchase: &Purchase| purchase.order.is_some() || purchase.request != Request::None;
        kind(before) != kind(order)
            || has_started(&state.purchases[before])
            || has_started(&state.purchases[order])
    }

    fn steps_of_payment(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let purchase = &state.purchases[order];
        if purchase.order.is_none() || order >= self.bounds.paid {
            return;
        }
        match purchase.money {
            Money::None => {
                steps.push(Step::Pay(order));
                steps.extend(self.bounds.failures.then_some(Step::Fail(order)));
            }
            Money::Held => {
                steps.extend(self.bounds.failures.then_some(Step::Fail(order)));
                let choices = [true, false].map(|relist| Step::Refund { order, relist });
                steps.extend(choices.into_iter().filter(|_| self.bounds.refunds));
            }
            Money::Returned { .. } | Money::Failed => {}
            Money::Returning { .. } => steps.push(Step::Return(order)),
        }
        let Some(delivery) = self.pending_payment(state, order) else { return };
        if delivery.in_outbox {
            return;
        }
        if purchase.again.is_some() {
            steps.push(Step::FinishLatePayment(order));
        } else if let Some(choices) = self.choices_again(state, order) {
            if choices.is_empty() {
                steps.extend([Step::EndExpired, Step::Reject(order)]);
            }
            steps.extend(choices.into_iter().map(|places| Step::ChooseAgain(order, places)));
        }
    }

    /// `payment.created`, while orders' consumer may be working on it.
    fn pending_payment<'a>(&self, state: &'a State, order: usize) -> Option<&'a Delivery> {
        state.deliveries.iter().find(|delivery| {
            matches!(delivery.event, Event::PaymentCreated { order: paid, .. } if usize::from(paid) == order)
                && delivery.is_pending_for(Listener::Orders)
        })
    }

    fn steps_of_seller(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(self.bounds.edits.then_some(Step::Edit));
        steps.extend(self.bounds.grows.then_some(Step::Grow));
        if self.bounds.deletes {
            steps.push(if state.deleting { Step::Delete } else { Step::BeginDelete });
        }
    }

    fn steps_of_delivery(&self, delivery: &Delivery, steps: &mut Vec<Step>) {
        let event = delivery.event;
        if delivery.in_outbox {
            steps.push(Step::Publish(event));
            return;
        }
        for listener in event.listeners().iter().filter(|listener| self.is_modelled(**listener)) {
            let writes = 0..self.writes(*listener, event);
            steps.extend(writes.map(|write| Step::Deliver(*listener, event, write)));
        }
        if delivery.is_pending() && delivery.writes_done > 0 {
            steps.push(Step::Redeliver(event));
        }
    }

    fn pay(
        &self,
        state: &State,
        order: usize,
        change: impl FnOnce(Money, u8) -> Option<Change<Money>>,
    ) -> Option<State> {
        let change = change(state.purchases[order].money, order as u8);
        self.after(state, Effect::money(order, change))
    }

    pub fn after(&self, state: &State, effect: Effect) -> Option<State> {
        if let Effect::Nothing | Effect::Retry | Effect::Undecided = effect {
            return None;
        }
        let mut next = state.clone();
        let was_deleting = state.deleting;
        effect.apply(&mut next);
        next.deleting |= was_deleting && self.is_mutant(Mutant::DeleteUnguarded);
        Some(next)
    }
}
