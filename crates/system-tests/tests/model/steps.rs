//! What can happen next: the transitions.

use stateright::{Model, Property};

use crate::archive::Kept;
use crate::invariants;
use crate::messages::{Event, Listener, Message};
use crate::mutants::Mutant;
use crate::state::{Letter, State};
use crate::stripe::{Fate, InHand};
use crate::world::{Effect, World};

/// One step of somebody's. Orders are told apart by their place in [`State::deals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A buyer's attempt reads, and ends a hold that has run out.
    Look(usize),
    /// It reads the next hold's number.
    Count(usize),
    /// It writes.
    Reserve(usize),
    GiveUp(usize),
    Pay(usize),
    Refund(usize),
    Edit,
    Delete,
    TimeRunsOut(usize),
    Sweep(usize),
    TimerRings(usize),
    /// The relay publishes an event. (Who dies before it is taken off its document publishes it again:
    /// that is a message that comes twice.)
    Publish(Kept<Message>),
    /// A listener does the nth of its writes for a message.
    Hear(Listener, Kept<Message>, usize),
    /// A listener died between its writes, and the message comes again.
    HearAgain(Kept<Message>),
    /// The listener of `payment.created` writes.
    Retake(usize),
    TakeUp(usize),
    Drive {
        order: usize,
        late: bool,
    },
    Arrive {
        order: usize,
        hand: usize,
        fate: Fate,
    },
    Note {
        order: usize,
        hand: usize,
        late: bool,
    },
    /// A process is killed, with what it had in hand.
    Kill {
        order: usize,
        hand: usize,
    },
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = self.beginning();
        self.settle(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for order in 0..self.bounds.orders {
            self.steps_of_people(state, order, steps);
            self.steps_at_stripe(state, order, steps);
        }
        steps.extend(self.bounds.edits.then_some(Step::Edit));
        steps.extend(self.bounds.deletes.then_some(Step::Delete));
        for letter in &state.letters {
            let message = letter.message;
            if letter.in_outbox {
                steps.push(Step::Publish(message));
                continue;
            }
            for listener in self.listeners(message) {
                if listener == Listener::Payments && self.is_never_paid(message) {
                    continue;
                }
                let writes = if listener == Listener::Orders { message.writes() } else { 1 };
                steps.extend((0..writes).map(|write| Step::Hear(listener, message, write)));
            }
            if letter.is_awaited_by(Listener::Orders) && letter.writes_done > 0 {
                steps.push(Step::HearAgain(message));
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = match step {
            Step::Look(order) => self.look(state, order),
            Step::Count(order) => self.count(state, order),
            Step::Reserve(order) => self.insert(state, order),
            Step::GiveUp(order) => self.after(state, self.give_up(state, order)),
            Step::Pay(order) => self.after(state, self.pay(state, order)),
            Step::Refund(order) => self.after(state, self.refund(state, order)),
            Step::Edit => self.after(state, self.edit(state)),
            Step::Delete => self.after(state, self.delete(state)),
            Step::TimeRunsOut(order) => {
                let mut next = state.clone();
                next.deals[order].is_over = true;
                Some(next)
            }
            Step::Sweep(order) => self.after(state, self.expire(state, order)),
            Step::TimerRings(order) => self.after(state, self.fire(state, order)),
            Step::Publish(message) => {
                let mut next = state.clone();
                next.letter(message).in_outbox = false;
                Some(next)
            }
            Step::Hear(listener, message, write) => self.hear(state, listener, message, write),
            Step::HearAgain(message) => {
                let mut next = state.clone();
                next.letter(message).writes_done = 0;
                Some(next)
            }
            Step::Retake(order) => self.finish_retaking(state, order),
            Step::TakeUp(order) => self.after(state, self.take_up(state, order)),
            Step::Drive { order, late } => self.drive(state, order, late),
            Step::Arrive { order, hand, fate } => self.arrive(state, order, hand, fate),
            Step::Note { order, hand, late } => self.note(state, order, hand, late),
            Step::Kill { order, hand } => self.forget(state, order, hand),
        }?;
        self.settle(&mut next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<World>> {
        invariants::all()
    }
}

impl World {
    fn steps_of_people(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let deal = &state.deals[order];
        let Some(known) = deal.order else {
            // Buyers are alike: whoever comes next is the next one.
            let begun = |deal: &crate::state::Deal| deal.order.is_some() || deal.reading.is_some();
            match deal.reading {
                Some((_, None)) => steps.push(Step::Count(order)),
                Some((_, Some(_))) => steps.push(Step::Reserve(order)),
                None if order == 0 || begun(&state.deals[order - 1]) => {
                    steps.push(Step::Look(order))
                }
                None => {}
            }
            return;
        };
        if known.unpaid {
            steps.push(Step::GiveUp(order));
            steps.push(if deal.is_over { Step::Sweep(order) } else { Step::TimeRunsOut(order) });
        }
        steps.extend(deal.retaking.map(|_| Step::Retake(order)));
        if self.bounds.timers && deal.schedule.is_some() {
            steps.push(Step::TimerRings(order));
        }
    }

    fn steps_at_stripe(&self, state: &State, order: usize, steps: &mut Vec<Step>) {
        let deal = &state.deals[order];
        let Some(payment) = deal.payment else { return };
        steps.push(Step::Pay(order));
        steps.extend(self.bounds.refunds.then_some(Step::Refund(order)));
        if payment.work_at.is_some() {
            steps.push(Step::TakeUp(order));
            steps.extend([false, true].map(|late| Step::Drive { order, late }));
        }
        for (hand, held) in deal.till.hands.iter().enumerate() {
            match held {
                InHand::Call(_) => {
                    steps.extend(Fate::ALL.map(|fate| Step::Arrive { order, hand, fate }));
                }
                InHand::Answer { .. } => {
                    steps.extend([false, true].map(|late| Step::Note { order, hand, late }));
                }
            }
            steps.push(Step::Kill { order, hand });
        }
    }

    fn after(&self, state: &State, effect: Effect) -> Option<State> {
        if let Effect::Nothing | Effect::NotYet = effect {
            return None;
        }
        let mut next = state.clone();
        effect.write(&mut next);
        Some(next)
    }

    fn effect(
        &self,
        state: &State,
        listener: Listener,
        message: Kept<Message>,
        write: usize,
    ) -> Effect {
        match listener {
            Listener::Tickets => self.tickets_hears(state, message),
            Listener::Orders => self.orders_hears(state, message, write),
            Listener::Payments => self.payments_hears(state, message),
            Listener::Expiration => self.expiration_hears(state, message),
        }
    }

    fn listeners(&self, message: Kept<Message>) -> impl Iterator<Item = Listener> + use<> {
        let bounds = self.bounds;
        let are_there = move |listener: &Listener| match listener {
            Listener::Tickets | Listener::Orders => true,
            Listener::Payments => bounds.payments(),
            Listener::Expiration => bounds.timers,
        };
        let listeners = Listener::ALL.into_iter().filter(are_there);
        listeners.filter(move |listener| message.get().is_heard_by(*listener))
    }

    fn hear(
        &self,
        state: &State,
        listener: Listener,
        message: Kept<Message>,
        write: usize,
    ) -> Option<State> {
        let done =
            usize::from(state.letters.iter().find(|letter| letter.message == message)?.writes_done);
        // A write is done after those before it: by one who has begun, or by one who comes anew and finds
        // those before it done.
        let nothing =
            |write| matches!(self.effect(state, listener, message, write), Effect::Nothing);
        if write > done && (self.is_skipped(state, message) || !(0..write).all(nothing)) {
            return None;
        }
        let effect = self.effect(state, listener, message, write);
        let mut next = self.after(state, effect)?;
        // Who has only read has done nothing yet.
        let has_written = !matches!(effect, Effect::Retaking(..));
        if listener == Listener::Orders && write == done && has_written {
            next.letter(message).writes_done += 1;
        }
        Some(next)
    }

    /// Whoever finds nothing to do has done it, and acknowledges: to do so at once changes nothing for
    /// anybody, and saves the states in between. The message stays, and may come again.
    fn settle(&self, state: &mut State) {
        for deal in &mut state.deals {
            // Time means nothing to an order that has ended.
            deal.is_over |= deal.order.is_some_and(|order| !order.unpaid);
        }
        for index in 0..state.letters.len() {
            state.letters[index].in_outbox &= self.bounds.relay;
            let Letter { in_outbox, .. } = state.letters[index];
            if in_outbox || !state.letters[index].is_awaited() {
                continue;
            }
            for listener in Listener::ALL {
                if state.letters[index].is_awaited_by(listener)
                    && self.is_done(state, index, listener)
                {
                    state.letters[index].acknowledge(listener);
                }
            }
        }
    }

    fn is_done(&self, state: &mut State, index: usize, listener: Listener) -> bool {
        let Letter { message, writes_done, .. } = state.letters[index];
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
                state.letters[index].writes_done = done as u8;
                done == writes
            }
        }
    }

    fn is_never_paid(&self, message: Kept<Message>) -> bool {
        let Event::Order(order) = &message.get().event else { return false };
        self.bounds.clicks[self.deal(order.id)] == 0
    }

    /// A listener that looks at the version mark first has nothing to do with what is marked.
    fn is_skipped(&self, state: &State, message: Kept<Message>) -> bool {
        let Event::Ticket(ticket, _) = &message.get().event else { return false };
        let is_marked = state.listing.is_some_and(|listing| listing.version >= ticket.version);
        self.is_mutant(Mutant::MarkFirst) && is_marked
    }

    /// Nobody who waits for it can do anything about it now.
    pub fn is_stuck(&self, state: &State, letter: &Letter) -> bool {
        let waits = |listener: &Listener| letter.is_awaited_by(*listener);
        let write = usize::from(letter.writes_done);
        Listener::ALL.into_iter().filter(waits).all(|listener| {
            matches!(self.effect(state, listener, letter.message, write), Effect::NotYet)
        })
    }

    pub fn waits_for_ever(&self, state: &State, letter: &Letter) -> bool {
        let is_over = |order| state.deals[self.deal(order)].is_over;
        let event = &letter.message.get().event;
        let too_early = matches!(event, Event::Expiration(reminder) if !is_over(reminder.order_id));
        letter.is_awaited() && !too_early && self.is_stuck(state, letter)
    }
}
