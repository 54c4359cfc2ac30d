//! Consuming messages: which listener has what to do about which, and what it has acknowledged.

use super::mutants::Mutant;
use super::other_services::REJECTED;
use super::state::{Delivery, State};
use super::system::{Effect, PlacesModel};
use crate::protocol::event::{Event, Listener};

impl PlacesModel {
    /// How many writes a consumer may make of a message: more than one are steps of their own, in between it may crash.
    pub fn writes(&self, listener: Listener, event: Event) -> usize {
        match (listener, event) {
            (Listener::Orders, Event::Deleted { .. }) => 1 + self.bounds.orders.len(),
            (Listener::Tickets, Event::Order { .. }) => 4,
            (
                Listener::Orders | Listener::Tickets | Listener::Payments | Listener::Expiration,
                _,
            ) => 1,
        }
    }

    fn effect(
        &self,
        state: &State,
        listener: Listener,
        delivery: Delivery,
        write: usize,
    ) -> Effect {
        match listener {
            Listener::Tickets => self.tickets_consume(state, delivery, write),
            Listener::Orders => self.orders_consume(state, delivery.event, write),
            Listener::Payments => self.payments_consume(state, delivery.event),
            Listener::Expiration => self.expiration_consume(state, delivery.event),
        }
    }

    fn has_nothing_to_do(
        &self,
        state: &State,
        listener: Listener,
        delivery: Delivery,
        write: usize,
    ) -> bool {
        matches!(self.effect(state, listener, delivery, write), Effect::Nothing)
    }

    pub fn deliver(
        &self,
        state: &State,
        listener: Listener,
        event: Event,
        write: usize,
    ) -> Option<State> {
        let delivery = *state.deliveries.iter().find(|delivery| delivery.event == event)?;
        let done = usize::from(delivery.writes_done);
        let is_deletion = listener == Listener::Orders && self.writes(listener, event) > 1;
        // Writes are applied in order: by a consumer that has started, or after a redelivery that finds the previous ones
        // applied.
        let nothing = |write| self.has_nothing_to_do(state, listener, delivery, write);
        if is_deletion
            && write > done
            && (self.is_skipped(state, event) || !(0..write).all(nothing))
        {
            return None;
        }
        let mut next = self.after(state, self.effect(state, listener, delivery, write))?;
        if is_deletion && write == done {
            next.delivery(event).writes_done += 1;
        }
        if listener == Listener::Payments {
            // It is done, even if it had to publish an outcome again.
            next.delivery(event).acknowledge(listener);
        }
        if listener == Listener::Tickets {
            match write {
                // The mark is the last write. With the mutant, the process is killed between the acknowledgement and it.
                1 => next.delivery(event).acknowledge(listener),
                0 if self.is_mutant(Mutant::MarkedTooLate) => {
                    next.delivery(event).acknowledge(listener);
                }
                2 => next.delivery(event).writes_done = REJECTED,
                _ => {}
            }
        }
        Some(next)
    }

    /// A consumer that has nothing to do acknowledges: doing so immediately changes nothing for any other process, and
    /// avoids intermediate states. A message that may matter again remains, and may be redelivered.
    pub fn settle(&self, state: &mut State) {
        for purchase in &mut state.purchases {
            // Time doesn't matter to an order that has ended.
            purchase.has_expired |= purchase.order.is_some_and(|order| !order.unpaid);
        }
        for index in 0..state.deliveries.len() {
            state.deliveries[index].in_outbox &= self.bounds.relay;
            let Delivery { in_outbox, event, .. } = state.deliveries[index];
            if in_outbox {
                continue;
            }
            for listener in event.listeners() {
                if state.deliveries[index].is_pending_for(*listener)
                    && self.is_done(state, index, *listener)
                {
                    state.deliveries[index].acknowledge(*listener);
                }
            }
        }
        state.deliveries.retain_mut(|delivery| {
            if !delivery.is_pending() {
                delivery.writes_done = 0;
            }
            delivery.is_pending() || delivery.in_outbox || delivery.event.may_matter_again()
        });
        if self.bounds.summaries > 0 {
            state.renumber_marks();
        }
    }

    pub fn is_modelled(&self, listener: Listener) -> bool {
        match listener {
            // What one buyer may hold is up to orders alone.
            Listener::Tickets => self.bounds.slots.is_none(),
            Listener::Orders | Listener::Payments => true,
            Listener::Expiration => self.bounds.timers,
        }
    }

    fn is_done(&self, state: &mut State, index: usize, listener: Listener) -> bool {
        let Delivery { event, writes_done, .. } = state.deliveries[index];
        if !self.is_modelled(listener) {
            return true;
        }
        let delivery = state.deliveries[index];
        if listener == Listener::Tickets {
            return (0..4).all(|write| self.has_nothing_to_do(state, listener, delivery, write));
        }
        let writes = self.writes(listener, event);
        let mut done = if writes > 1 { usize::from(writes_done) } else { 0 };
        if done == 0 && listener == Listener::Orders && self.is_skipped(state, event) {
            done = writes;
        }
        while done < writes && self.has_nothing_to_do(state, listener, delivery, done) {
            done += 1;
        }
        if writes > 1 {
            state.deliveries[index].writes_done = done as u8;
        }
        done == writes
    }

    /// With the mutant, a consumer skips a message whose version is already recorded.
    fn is_skipped(&self, state: &State, event: Event) -> bool {
        let Event::Deleted { version } = event else { return false };
        let is_marked = state.replica.is_some_and(|replica| replica.version >= version);
        self.is_mutant(Mutant::MarkFirst) && is_marked
    }

    /// No consumer that has it pending can process it now.
    pub fn is_stuck(&self, state: &State, delivery: &Delivery) -> bool {
        let waits = |listener: &&Listener| delivery.is_pending_for(**listener);
        delivery.event.listeners().iter().filter(waits).all(|listener| {
            let writes = 0..self.writes(*listener, delivery.event);
            let effects = writes.map(|write| self.effect(state, *listener, *delivery, write));
            effects.into_iter().all(|effect| matches!(effect, Effect::Nothing | Effect::Retry))
        })
    }

    pub fn waits_indefinitely(&self, state: &State, delivery: &Delivery) -> bool {
        let has_expired = |order: u8| state.purchases[usize::from(order)].has_expired;
        let too_early = matches!(delivery.event, Event::Expired { order } if !has_expired(order));
        delivery.is_pending() && !too_early && self.is_stuck(state, delivery)
    }
}
