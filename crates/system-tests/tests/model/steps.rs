//! The transitions of the model.

use stateright::{Model, Property};

use crate::events::{Event, Listener, Message};
use crate::interner::Interned;
use crate::invariants;
use crate::mutants::Mutant;
use crate::state::{Delivery, State};
use crate::stripe::{CallOutcome, InFlight};
use crate::system::{Effect, SystemModel};

/// One step. Orders are identified by their index in [`State::purchases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A buyer's request reads, and expires an order.
    Read(usize),
    /// It reads the next hold number.
    ReadHold(usize),
    /// It writes.
    Reserve(usize),
    Cancel(usize),
    Pay(usize),
    Refund(usize),
    Edit,
    Delete,
    Expire(usize),
    Sweep(usize),
    FireTimer(usize),
    /// The relay publishes an event. (A crash before it is removed from the outbox publishes it again: that is a duplicate
    /// delivery.)
    Publish(Interned<Message>),
    /// A consumer applies the nth write of a message.
    Deliver(Listener, Interned<Message>, usize),
    /// A consumer crashed between two writes, and the message is redelivered.
    Redeliver(Interned<Message>),
    /// The consumer of `payment.created` writes.
    Retake(usize),
    ClaimWork(usize),
    Run {
        order: usize,
        late: bool,
    },
    Execute {
        order: usize,
        index: usize,
        outcome: CallOutcome,
    },
    Record {
        order: usize,
        index: usize,
        late: bool,
    },
    /// A process is killed, with its request in flight.
    Kill {
        order: usize,
        index: usize,
    },
}

impl Model for SystemModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = self.initial_state();
        self.settle(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for order in 0..self.bounds.orders {
            self.steps_of_users(state, order, steps);
            self.steps_at_stripe(state, order, steps);
        }
        steps.extend(self.bounds.edits.then_some(Step::Edit));
        steps.extend(self.bounds.deletes.then_some(Step::Delete));
        for delivery in &state.deliveries {
            let message = delivery.message;
            if delivery.in_outbox {
                steps.push(Step::Publish(message));
                continue;
            }
            for listener in self.listeners(message) {
                if listener == Listener::Payments && self.is_never_paid(message) {
                    continue;
                }
                let writes = if listener == Listener::Orders { message.writes() } else { 1 };
                steps.extend((0..writes).map(|write| Step::Deliver(listener, message, write)));
            }
            if delivery.is_pending_for(Listener::Orders) && delivery.writes_done > 0 {
                steps.push(Step::Redeliver(message));
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = match step {
            Step::Read(order) => self.read_ticket(state, order),
            Step::ReadHold(order) => self.read_hold(state, order),
            Step::Reserve(order) => self.insert(state, order),
            Step::Cancel(order) => self.after(state, self.cancel(state, order)),
            Step::Pay(order) => self.after(state, self.pay(state, order)),
            Step::Refund(order) => self.after(state, self.refund(state, order)),
            Step::Edit => self.after(state, self.edit(state)),
            Step::Delete => self.after(state, self.delete(state)),
            Step::Expire(order) => {
                let mut next = state.clone();
                next.purchases[order].has_expired = true;
                Some(next)
            }
            Step::Sweep(order) => self.after(state, self.expire(state, order)),
            Step::FireTimer(order) => self.after(state, self.fire(state, order)),
            Step::Publish(message) => {
                let mut next = state.clone();
                next.delivery(message).in_outbox = false;
                Some(next)
            }
            Step::Deliver(listener, message, write) => {
                self.deliver(state, listener, message, write)
            }
            Step::Redeliver(message) => {
                let mut next = state.clone();
                next.delivery(message).writes_done = 0;
                Some(next)
            }
            Step::Retake(order) => self.finish_retake(state, order),
            Step::ClaimWork(order) => self.after(state, self.claim_work(state, order)),
            Step::Run { order, late } => self.run_step(state, order, late),
            Step::Execute { order, index, outcome } => self.execute(state, order, index, outcome),
            Step::Record { order, index, late } => self.record(state, order, index, late),
            Step::Kill { order, index } => self.lose(state, order, index),
        }?;
        self.settle(&mut next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<SystemModel>> {
        invariants::all()
    }
}

impl SystemModel {
    fn steps_of_users(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let purchase = &state.purchases[order];
        let Some(known) = purchase.order else {
            // Buyers are symmetric: they start in order.
            let has_started = |purchase: &crate::state::Purchase| {
                purchase.order.is_some() || purchase.reading.is_some()
            };
            match purchase.reading {
                Some((_, None)) => steps.push(Step::ReadHold(order)),
                Some((_, Some(_))) => steps.push(Step::Reserve(order)),
                None if order == 0 || has_started(&state.purchases[order - 1]) => {
                    steps.push(Step::Read(order));
                }
                None => {}
            }
            return;
        };
        if known.unpaid {
            steps.push(Step::Cancel(order));
            steps.push(if purchase.has_expired { Step::Sweep(order) } else { Step::Expire(order) });
        }
        steps.extend(purchase.pending_retake.map(|_| Step::Retake(order)));
        if self.bounds.timers && purchase.schedule.is_some() {
            steps.push(Step::FireTimer(order));
        }
    }

    fn steps_at_stripe(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let purchase = &state.purchases[order];
        let Some(payment) = purchase.payment else { return };
        steps.push(Step::Pay(order));
        steps.extend(self.bounds.refunds.then_some(Step::Refund(order)));
        if payment.next_run_at.is_some() {
            steps.push(Step::ClaimWork(order));
            steps.extend([false, true].map(|late| Step::Run { order, late }));
        }
        for (index, held) in purchase.stripe.in_flight.iter().enumerate() {
            match held {
                InFlight::Request(_) => {
                    steps.extend(CallOutcome::ALL.map(|outcome| Step::Execute {
                        order,
                        index,
                        outcome,
                    }));
                }
                InFlight::Response { .. } => {
                    steps.extend([false, true].map(|late| Step::Record { order, index, late }));
                }
            }
            steps.push(Step::Kill { order, index });
        }
    }

    fn after(&self, state: &State, effect: Effect) -> Option<State> {
        if let Effect::Nothing | Effect::Retry = effect {
            return None;
        }
        let mut next = state.clone();
        effect.apply(&mut next);
        Some(next)
    }

    fn effect(
        &self,
        state: &State,
        listener: Listener,
        message: Interned<Message>,
        write: usize,
    ) -> Effect {
        match listener {
            Listener::Tickets => self.tickets_consume(state, message),
            Listener::Orders => self.orders_consume(state, message, write),
            Listener::Payments => self.payments_consume(state, message),
            Listener::Expiration => self.expiration_consume(state, message),
        }
    }

    fn listeners(&self, message: Interned<Message>) -> impl Iterator<Item = Listener> + use<> {
        let bounds = self.bounds;
        let are_modelled = move |listener: &Listener| match listener {
            Listener::Tickets | Listener::Orders => true,
            Listener::Payments => bounds.payments(),
            Listener::Expiration => bounds.timers,
        };
        let listeners = Listener::ALL.into_iter().filter(are_modelled);
        listeners.filter(move |listener| message.get().is_consumed_by(*listener))
    }

    fn deliver(
        &self,
        state: &State,
        listener: Listener,
        message: Interned<Message>,
        write: usize,
    ) -> Option<State> {
        let done = usize::from(
            state.deliveries.iter().find(|delivery| delivery.message == message)?.writes_done,
        );
        // Writes are applied in order: by a consumer that has started, or after a redelivery that finds the previous ones
        // applied.
        let nothing =
            |write| matches!(self.effect(state, listener, message, write), Effect::Nothing);
        if write > done && (self.is_skipped(state, message) || !(0..write).all(nothing)) {
            return None;
        }
        let effect = self.effect(state, listener, message, write);
        let mut next = self.after(state, effect)?;
        // A read alone is no write.
        let has_written = !matches!(effect, Effect::PendingRetake(..));
        if listener == Listener::Orders && write == done && has_written {
            next.delivery(message).writes_done += 1;
        }
        Some(next)
    }

    /// A consumer that has nothing to do acknowledges: doing so immediately changes nothing for any other process, and
    /// avoids intermediate states. The message remains, and may be redelivered.
    fn settle(&self, state: &mut State) {
        for purchase in &mut state.purchases {
            // Time doesn't matter to an order that has ended.
            purchase.has_expired |= purchase.order.is_some_and(|order| !order.unpaid);
        }
        for index in 0..state.deliveries.len() {
            state.deliveries[index].in_outbox &= self.bounds.relay;
            let Delivery { in_outbox, .. } = state.deliveries[index];
            if in_outbox || !state.deliveries[index].is_pending() {
                continue;
            }
            for listener in Listener::ALL {
                if state.deliveries[index].is_pending_for(listener)
                    && self.is_done(state, index, listener)
                {
                    state.deliveries[index].acknowledge(listener);
                }
            }
        }
    }

    fn is_done(&self, state: &mut State, index: usize, listener: Listener) -> bool {
        let Delivery { message, writes_done, .. } = state.deliveries[index];
        let nothing = |state: &State, write| {
            matches!(self.effect(state, listener, message, write), Effect::Nothing)
        };
        match listener {
            Listener::Expiration if !self.bounds.timers => true,
            Listener::Payments if !self.bounds.payments() => true,
            Listener::Payments if self.is_never_paid(message) => true,
            Listener::Tickets | Listener::Payments | Listener::Expiration => nothing(state, 0),
            Listener::Orders => {
                let writes = message.writes();
                let mut done = usize::from(writes_done);
                if done == 0 && self.is_skipped(state, message) {
                    done = writes;
                }
                while done < writes && nothing(state, done) {
                    done += 1;
                }
                state.deliveries[index].writes_done = done as u8;
                done == writes
            }
        }
    }

    fn is_never_paid(&self, message: Interned<Message>) -> bool {
        let Event::Order(order) = &message.get().event else { return false };
        self.bounds.clicks[self.purchase(order.id)] == 0
    }

    /// With the mutant, a consumer skips a message whose version is already recorded.
    fn is_skipped(&self, state: &State, message: Interned<Message>) -> bool {
        let Event::Ticket(ticket, _) = &message.get().event else { return false };
        let is_marked = state
            .ticket_replica
            .is_some_and(|ticket_replica| ticket_replica.version >= ticket.version);
        self.is_mutant(Mutant::MarkFirst) && is_marked
    }

    /// No consumer that has it pending can process it now.
    pub fn is_stuck(&self, state: &State, delivery: &Delivery) -> bool {
        let waits = |listener: &Listener| delivery.is_pending_for(*listener);
        let write = usize::from(delivery.writes_done);
        Listener::ALL.into_iter().filter(waits).all(|listener| {
            matches!(self.effect(state, listener, delivery.message, write), Effect::Retry)
        })
    }

    pub fn waits_indefinitely(&self, state: &State, delivery: &Delivery) -> bool {
        let has_expired = |order| state.purchases[self.purchase(order)].has_expired;
        let event = &delivery.message.get().event;
        let too_early =
            matches!(event, Event::Expiration(reminder) if !has_expired(reminder.order_id));
        delivery.is_pending() && !too_early && self.is_stuck(state, delivery)
    }
}
