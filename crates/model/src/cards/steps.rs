//! The transitions of the model.

use stateright::{Model, Property};

use super::bounds::Elsewhere;
use super::consumers::Reaction;
use super::invariants;
use super::mutants::Mutant;
use super::state::{InFlight, State};
use super::stripe::{Execution, Outcome};
use super::system::CardsModel;
use crate::protocol::Change;
use crate::protocol::event::Event;
use crate::protocol::order::{CancelReason, Order};
use crate::protocol::payment::{Payment, Status, Step as StripeStep};
use crate::protocol::places::Places;
use crate::protocol::stripe::{IntentStatus, Reply};

/// One step. A worker is one that has a request in flight, by its index in [`State::in_flight`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The buyer pays with a card, cancels, comes back from the bank.
    Pay,
    CancelOrder,
    FinishChallenge {
        succeeds: bool,
    },
    /// The seller refunds, deletes the listing.
    AskRefund,
    DeleteListing,
    Expire,
    Sweep,
    /// Another buyer takes the places.
    Rival,
    /// A process begins the payment's next step, by a clock that may be wrong.
    Run {
        in_time: bool,
    },
    /// A process writes that it will cancel the PaymentIntent, or abandons an attempt that was not sent.
    BeginCancelling,
    Abandon,
    /// A webhook, or reconciliation.
    Reconcile,
    /// A request reaches Stripe.
    Execute {
        worker: usize,
        outcome: Outcome,
    },
    /// A response is recorded.
    Record {
        worker: usize,
        in_time: bool,
    },
    /// A process is killed, with its request in flight.
    Kill {
        worker: usize,
    },
    Elsewhere(Elsewhere),
    /// A consumer reacts to a message.
    Deliver(Event),
    /// orders chooses places for an order that was paid late, finds none, and writes.
    ChooseAgain,
    Reject(Event),
    FinishLatePayment(Event),
    /// A message is lost.
    Lose(Event),
    /// What is owed is published again.
    Remind(Event),
}

impl Model for CardsModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial_state()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps_of_people(state, steps);
        self.steps_at_stripe(state, steps);
        self.steps_of_messages(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = match step {
            Step::Pay => self.after(state, state.payment.begin_attempt(self.bounds.limits)),
            Step::CancelOrder => self.after_order(state, state.order.cancel(CancelReason::User)),
            Step::FinishChallenge { succeeds } => {
                let stripe = state.stripe.finish_challenge(state.payment.intent?, succeeds)?;
                Some(State { stripe, has_news: true, ..state.clone() })
            }
            Step::AskRefund => self.ask_refund(state),
            Step::DeleteListing => self.after_order(state, state.order.ticket_deleted()),
            Step::Expire => Some(State { has_expired: true, ..state.clone() }),
            Step::Sweep => self.after_order(state, state.order.cancel(CancelReason::Expired)),
            Step::Rival => Some(State { has_rival: true, ..state.clone() }),
            Step::Run { in_time } => self.run(state, in_time),
            Step::BeginCancelling => self.begin_cancelling(state),
            Step::Abandon => self.after(state, state.payment.abandon_unsent()),
            Step::Reconcile => self.reconcile(state),
            Step::Execute { worker, outcome } => self.execute(state, worker, outcome),
            Step::Record { worker, in_time } => self.record(state, worker, in_time),
            Step::Kill { worker } => {
                let mut next = state.clone();
                next.in_flight.remove(worker);
                Some(next)
            }
            Step::Elsewhere(action) => {
                let stripe = state.stripe.act_elsewhere(state.payment.intent?, action)?;
                let is_done_elsewhere = true;
                Some(State { stripe, has_news: true, is_done_elsewhere, ..state.clone() })
            }
            Step::Deliver(event) => self.deliver(state, event),
            Step::ChooseAgain => Some(State { again: Some(Places::only(0)), ..state.clone() }),
            Step::Reject(event) => self.after_order(state, self.paid(state, event, None)),
            Step::FinishLatePayment(event) => {
                let places = state.again.filter(|_| !state.has_rival);
                let retried = State { again: None, ..state.clone() };
                places.map_or(Some(retried), |places| {
                    self.after_order(state, self.paid(state, event, Some(places)))
                })
            }
            Step::Lose(event) => {
                let losses_left = state.losses_left.checked_sub(1)?;
                let mut next = State { losses_left, ..state.clone() };
                next.acknowledge(event);
                Some(next)
            }
            Step::Remind(event) => {
                let mut next = state.clone();
                next.publish(event, true);
                Some(next)
            }
        }?;
        self.settle(&mut next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<CardsModel>> {
        invariants::all()
    }
}

impl CardsModel {
    fn steps_of_people(&self, state: &State, steps: &mut Vec<Step>) {
        steps.push(Step::Pay);
        if self.bounds.cancels && !state.has_expired {
            steps.push(Step::CancelOrder);
        }
        if self.bounds.challenges {
            steps.extend([true, false].map(|succeeds| Step::FinishChallenge { succeeds }));
        }
        steps.extend(self.bounds.refunds.then_some(Step::AskRefund));
        steps.extend(self.bounds.deletes.then_some(Step::DeleteListing));
        if state.order.unpaid {
            steps.push(if state.has_expired { Step::Sweep } else { Step::Expire });
        }
        if self.bounds.rivals && !state.order.occupies && !state.has_rival {
            steps.push(Step::Rival);
        }
    }

    fn steps_at_stripe(&self, state: &State, steps: &mut Vec<Step>) {
        let times: &[bool] = if self.bounds.is_late { &[true, false] } else { &[true] };
        steps.extend([Step::BeginCancelling, Step::Abandon]);
        if state.in_flight.len() < self.bounds.workers {
            steps.extend(times.iter().map(|in_time| Step::Run { in_time: *in_time }));
            steps.push(Step::Reconcile);
        }
        for (worker, InFlight { reply, .. }) in state.in_flight.iter().enumerate() {
            match reply {
                None => steps.extend(
                    Outcome::ALL.iter().map(|outcome| Step::Execute { worker, outcome: *outcome }),
                ),
                Some(_) => steps
                    .extend(times.iter().map(|in_time| Step::Record { worker, in_time: *in_time })),
            }
            steps.push(Step::Kill { worker });
        }
        if !state.is_done_elsewhere {
            steps.extend(self.bounds.elsewhere.iter().map(|action| Step::Elsewhere(*action)));
        }
    }

    fn steps_of_messages(&self, state: &State, steps: &mut Vec<Step>) {
        for delivery in &state.deliveries {
            let event = delivery.event;
            if delivery.is_pending && state.losses_left > 0 {
                steps.push(Step::Lose(event));
            }
            match self.reaction(state, *delivery) {
                Reaction::Undecided if state.again.is_some() => {
                    steps.push(Step::FinishLatePayment(event));
                }
                Reaction::Undecided if state.has_rival => steps.push(Step::Reject(event)),
                Reaction::Undecided => steps.push(Step::ChooseAgain),
                Reaction::Nothing
                | Reaction::Retry
                | Reaction::Order(_)
                | Reaction::Payment(_)
                | Reaction::AnswerAgain => steps.push(Step::Deliver(event)),
            }
        }
        steps.extend(self.reminders(state).map(Step::Remind));
    }

    /// What is owed, and not on its way.
    pub fn reminders(&self, state: &State) -> impl Iterator<Item = Event> {
        let owed = [self.payment_owes(state.payment), state.order.owed()];
        let is_on_its_way = |event: &Event| {
            state.deliveries.iter().any(|delivery| delivery.event == *event && delivery.is_pending)
        };
        let owed = owed.into_iter().flatten().filter(|event| !is_on_its_way(event));
        let owed: Vec<Event> = owed.filter(|_| self.bounds.losses > 0).collect();
        owed.into_iter()
    }

    fn after(&self, state: &State, payment: Option<Payment>) -> Option<State> {
        Some(State { payment: payment?, ..state.clone() })
    }

    fn after_order(&self, state: &State, change: Option<Change<Order>>) -> Option<State> {
        let mut next = state.clone();
        self.write_order(&mut next, change?);
        Some(next)
    }

    fn paid(&self, state: &State, event: Event, again: Option<Places>) -> Option<Change<Order>> {
        let (Event::PaymentCreated { version, .. } | Event::PaymentCaptured { version, .. }) =
            event
        else {
            return None;
        };
        self.answering(state.order).paid(version, again)
    }

    fn ask_refund(&self, state: &State) -> Option<State> {
        let asked = state.payment.ask_refund()?;
        if self.is_mutant(Mutant::ReleasedTooSoon) && asked.status == Status::Authorised {
            return self.assume_cancelled(state, Payment { cancelling: true, ..asked });
        }
        self.after(state, Some(asked))
    }

    fn begin_cancelling(&self, state: &State) -> Option<State> {
        let cancelling = state.payment.begin_cancelling()?;
        if self.is_mutant(Mutant::CancelledTooSoon) {
            return self.assume_cancelled(state, cancelling);
        }
        self.after(state, Some(cancelling))
    }

    fn assume_cancelled(&self, state: &State, payment: Payment) -> Option<State> {
        let intent = state.stripe.intent(payment.intent?);
        let assumed = crate::protocol::stripe::Intent { status: IntentStatus::Canceled, ..intent };
        let mut next = state.clone();
        self.write_payment(&mut next, payment.learn(assumed)?);
        Some(next)
    }

    /// A process begins the next step: a query is answered at once, a request is on its way.
    fn run(&self, state: &State, in_time: bool) -> Option<State> {
        let step = self.next_step(state.payment, in_time)?;
        let mut next = state.clone();
        let reply = match step {
            StripeStep::RetrieveAttempt { intent, .. }
            | StripeStep::RetrieveCapture { intent, .. }
            | StripeStep::RetrieveRefund { intent, .. }
            | StripeStep::Reconcile { intent, .. } => {
                Some(Reply::Intent(state.stripe.intent(intent)))
            }
            StripeStep::Confirm { number, .. } => {
                if let Some(marked) = state.payment.mark_sent(number, in_time) {
                    next.payment = marked;
                }
                // Otherwise it may not be sent any more.
                next.payment.is_sent(number).then_some(())?;
                None
            }
            StripeStep::CreateIntent { .. }
            | StripeStep::Capture { .. }
            | StripeStep::Cancel { .. }
            | StripeStep::Refund { .. } => None,
        };
        next.send(step, reply);
        Some(next)
    }

    fn reconcile(&self, state: &State) -> Option<State> {
        let intent = state.payment.intent.filter(|_| state.has_news)?;
        let attempt = state.payment.attempt.map_or(0, |attempt| attempt.number);
        let mut next = state.clone();
        let reply = Some(Reply::Intent(state.stripe.intent(intent)));
        next.send(StripeStep::Reconcile { attempt, intent }, reply);
        Some(next)
    }

    fn execute(&self, state: &State, worker: usize, outcome: Outcome) -> Option<State> {
        if outcome.execution == Execution::Challenged && !self.bounds.challenges {
            return None;
        }
        let failures_left = state.failures_left.checked_sub(outcome.fails.into())?;
        let InFlight { step, reply: None } = state.in_flight[worker] else { return None };
        let keys_are_known = !self.is_mutant(Mutant::NoIdempotencyKey);
        let (stripe, reply) = state.stripe.execute(step, outcome, keys_are_known)?;
        let is_changed = stripe.intents.len() == state.stripe.intents.len()
            && stripe.intents != state.stripe.intents;
        let has_news = state.has_news || is_changed;
        let mut next = State { stripe, failures_left, has_news, ..state.clone() };
        next.in_flight[worker].reply = Some(reply);
        next.in_flight.sort_unstable();
        Some(next)
    }

    fn record(&self, state: &State, worker: usize, in_time: bool) -> Option<State> {
        let InFlight { step, reply: Some(reply) } = state.in_flight[worker] else { return None };
        let mut next = state.clone();
        next.in_flight.remove(worker);
        let payment = self.before_record(state.payment, step, reply);
        if let Some(change) = payment.record(step, reply, in_time, self.bounds.limits) {
            self.write_payment(&mut next, change);
            if self.is_mutant(Mutant::RefundForgotten) && next.payment.status == Status::Refunding {
                next.payment.status = Status::Captured;
            }
        } else {
            next.payment = payment;
        }
        let knows_all = match (reply, state.payment.intent) {
            (Reply::Intent(intent), Some(number)) => intent == state.stripe.intent(number),
            (Reply::Declined { charges }, Some(number)) => {
                let intent = state.stripe.intent(number);
                let is_open = intent.status == IntentStatus::RequiresPaymentMethod;
                is_open && intent.charges == charges
            }
            (Reply::Created(_) | Reply::Failed | Reply::Intent(_) | Reply::Declined { .. }, _) => {
                false
            }
        };
        next.has_news &= !knows_all;
        Some(next)
    }

    fn before_record(&self, payment: Payment, step: StripeStep, reply: Reply) -> Payment {
        let is_authorised =
            matches!(reply, Reply::Intent(it) if it.status == IntentStatus::RequiresCapture);
        if self.is_mutant(Mutant::CancellingNotSticky) && is_authorised {
            return Payment { cancelling: false, cancelled: false, ..payment };
        }
        let has_failed = matches!((step, reply), (StripeStep::Capture { .. }, Reply::Failed));
        let is_captured =
            matches!(reply, Reply::Intent(it) if it.status == IntentStatus::Succeeded);
        if self.is_mutant(Mutant::RefundForgotten) && is_captured && !payment.cancelling {
            return Payment { refund_asked: false, rejected: false, ..payment };
        }
        if self.is_mutant(Mutant::CaptureForgotten)
            && has_failed
            && payment.status == Status::Authorised
        {
            return Payment { rejected: true, ..payment };
        }
        payment
    }
}
