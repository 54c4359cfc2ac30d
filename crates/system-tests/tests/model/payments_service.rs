//! payments: what it stores, and its requests to Stripe.
//!
//! Leases are not modelled: any number of workers may process a payment at any time.

use payments::domain::{AttemptNumber, IntentState, Limits, OrderPayment, Step, Transition};
use store::Change;

use crate::events::{Event, Message};
use crate::interner::{Decided, Interned};
use crate::mutants::Mutant;
use crate::state::State;
use crate::stripe::{CallOutcome, InFlight, StripeResult, StripeState};
use crate::system::{Effect, SystemModel};

impl SystemModel {
    fn limits(&self) -> Limits {
        Limits { max_declines: self.bounds.attempts }
    }

    pub fn payments_consume(&self, state: &State, message: Interned<Message>) -> Effect {
        let (now, limits) = (SystemModel::clock(false), self.limits());
        match &message.get().event {
            Event::Order(order) => {
                let purchase = self.purchase(order.id);
                let known = state.purchases[purchase].payment;
                let question = ("follow", known, message.number());
                Effect::payment(
                    purchase,
                    self.payment_decides(purchase, question, || match known {
                        Some(payment) => payment.follow(order, limits, now),
                        None => Some(Change::without_event(OrderPayment::new(order))),
                    }),
                )
            }
            Event::RefundRequired(_) if self.is_mutant(Mutant::NoRefund) => Effect::Nothing,
            Event::RefundRequired(required) => {
                let purchase = self.purchase(required.order_id);
                let Some(payment) = state.purchases[purchase].payment else { return Effect::Retry };
                if payment.refund_required(required, now).is_err() {
                    return Effect::Retry;
                }
                let question = ("refund required", Some(payment), message.number());
                Effect::payment(
                    purchase,
                    self.payment_decides(purchase, question, || {
                        payment.refund_required(required, now).ok().flatten()
                    }),
                )
            }
            Event::Ticket(..)
            | Event::Ignored
            | Event::Expiration(_)
            | Event::Paid(_)
            | Event::Failed(_)
            | Event::Refunded(_) => Effect::Nothing,
        }
    }

    /// `POST /api/payments`: each click uses a different card. payments' clock may be behind.
    pub fn pay(&self, state: &State, purchase: usize) -> Effect {
        let Some(payment) = state.purchases[purchase].payment else { return Effect::Nothing };
        let last = payment.payment.as_ref().map_or(AttemptNumber::NONE, |known| known.last_attempt);
        let click = last.get() + 1;
        if click > self.bounds.clicks[purchase] {
            return Effect::Nothing;
        }
        Effect::payment(
            purchase,
            self.payment_decides(purchase, ("pay", Some(payment), 0), || {
                let card = format!("pm_{click}").parse().ok()?;
                payment.begin_attempt(&card, self.limits(), SystemModel::clock(false)).ok()
            }),
        )
    }

    /// `POST /api/payments/{id}/refund`.
    pub fn refund(&self, state: &State, purchase: usize) -> Effect {
        let Some(payment) = state.purchases[purchase].payment else { return Effect::Nothing };
        let question = ("refund", Some(payment), 0);
        Effect::payment(
            purchase,
            self.payment_decides(purchase, question, || {
                payment.begin_refund(SystemModel::clock(false))
            }),
        )
    }

    /// A worker claims the payment, and abandons an attempt that was not sent. The lease is not modelled.
    pub fn claim_work(&self, state: &State, purchase: usize) -> Effect {
        let Some(payment) = state.purchases[purchase].payment else { return Effect::Nothing };
        let (limits, now) = (self.limits(), SystemModel::clock(false));
        let is_paying = |payment: &OrderPayment| {
            payment.payment.as_ref().is_some_and(|payment| payment.attempt.is_some())
        };
        let abandoned = || payment.claim(limits, now).filter(|claimed| !is_paying(&claimed.thing));
        let claim = || if is_paying(payment.get()) { abandoned() } else { None };
        Effect::payment(
            purchase,
            self.payment_decides(purchase, ("claim", Some(payment), 0), claim),
        )
    }

    /// A worker determines the next step and starts it. `late`: by its clock the reservation has expired.
    pub fn run_step(&self, state: &State, purchase: usize, late: bool) -> Option<State> {
        let payment =
            state.purchases[purchase].payment.filter(|payment| payment.next_run_at.is_some())?;
        let (limits, now) = (self.limits(), SystemModel::clock(late));
        let step = payment.next_step(limits, now);
        let mut next = state.clone();
        let written = match &step {
            None => self.payment_decides(purchase, ("idle", Some(payment), 0), || {
                payment.idle(limits, now)
            }),
            Some(Step::AbandonAttempt { number }) => {
                let abandon = || payment.abandon_unsent_attempt(*number, limits, now);
                self.payment_decides(purchase, ("abandon", Some(payment), 0), abandon)
            }
            Some(Step::Confirm { number, .. }) => {
                self.payment_decides(purchase, ("sending", Some(payment), 0), || {
                    payment.mark_sent(*number, now)
                })
            }
            Some(Step::CancelIntent { .. }) if self.is_mutant(Mutant::FailedTooSoon) => {
                let canceled = || payment.on_cancellation(&Ok(IntentState::Canceled), now).change;
                self.payment_decides(purchase, ("canceled", Some(payment), 0), canceled)
            }
            Some(_) => None,
        };
        Effect::payment(purchase, written).apply(&mut next);
        if let Some(step) = step.filter(|step| !matches!(step, Step::AbandonAttempt { .. })) {
            let stripe = state.purchases[purchase].stripe;
            if stripe.in_flight.len() == self.bounds.workers {
                return None;
            }
            let about = (payment.number() << 1) | u64::from(late);
            next.purchases[purchase].stripe = self
                .stripe_decides(("begin", Some(stripe), about), || {
                    stripe.query(&step, late).or_else(|| stripe.send(InFlight::Request(step)))
                })?;
        }
        Some(next)
    }

    /// A request reaches Stripe.
    pub fn execute(
        &self,
        state: &State,
        purchase: usize,
        index: usize,
        outcome: CallOutcome,
    ) -> Option<State> {
        let failures_left = state.failures_left.checked_sub(outcome.fails.into())?;
        let stripe = state.purchases[purchase].stripe;
        let number = CallOutcome::ALL.iter().position(|one| *one == outcome)?;
        let keys_are_known = !self.is_mutant(Mutant::NoIdempotencyKey);
        let about = ((index << 8) | number) as u64;
        let stripe = self.stripe_decides(("arrive", Some(stripe), about), || {
            stripe.execute(index, outcome, keys_are_known)
        })?;
        let mut next = State { failures_left, ..state.clone() };
        next.purchases[purchase].stripe = stripe;
        Some(next)
    }

    /// A response of Stripe's is recorded in the current document.
    pub fn record(
        &self,
        state: &State,
        purchase: usize,
        index: usize,
        late: bool,
    ) -> Option<State> {
        let (payment, stripe) =
            (state.purchases[purchase].payment?, state.purchases[purchase].stripe);
        let InFlight::Response { step, result, late: known } = stripe.get().in_flight.get(index)?
        else {
            return None;
        };
        let now = SystemModel::clock(late || *known);
        let limits = self.limits();
        let question =
            ("note", Some(payment), (stripe.number() << 8) | (index << 1) as u64 | u64::from(late));
        let written = self.payment_decides(purchase, question, || {
            record_result(payment.get(), step, result, limits, now)?.change
        });
        let mut next = self.lose(state, purchase, index)?;
        Effect::payment(purchase, written).apply(&mut next);
        Some(next)
    }

    /// The process that has sent the request is killed.
    pub fn lose(&self, state: &State, purchase: usize, index: usize) -> Option<State> {
        let stripe = state.purchases[purchase].stripe;
        let mut next = state.clone();
        next.purchases[purchase].stripe =
            self.stripe_decides(("forget", Some(stripe), index as u64), || stripe.remove(index))?;
        Some(next)
    }

    fn payment_decides(
        &self,
        purchase: usize,
        (what, payment, about): (&'static str, Option<Interned<OrderPayment>>, u64),
        decide: impl FnOnce() -> Option<Change<OrderPayment>>,
    ) -> Decided<OrderPayment> {
        let question = (what, payment, (about << 4) | purchase as u64);
        self.interners.payments.decide(&self.interners.messages, question, || {
            let Change { thing: mut payment, events } = decide()?;
            // Values that no decision reads are normalized: the id, the due time, and failures beyond those
            // that end an attempt.
            if let Some(payment) = &mut payment.payment {
                payment.id = self.payments[purchase];
            }
            payment.next_run_at = payment.next_run_at.map(|_| SystemModel::clock(false));
            payment.failures = payment.failures.min(2);
            Some(Change { thing: payment, events })
        })
    }

    fn stripe_decides(
        &self,
        question: (&'static str, Option<Interned<StripeState>>, u64),
        decide: impl FnOnce() -> Option<StripeState>,
    ) -> Option<Interned<StripeState>> {
        let decide = || decide().map(Change::without_event);
        self.interners
            .stripe_states
            .decide(&self.interners.messages, question, decide)
            .map(|(stripe, _)| stripe)
    }
}

/// How payments records a result of Stripe's.
fn record_result(
    payment: &OrderPayment,
    step: &Step,
    result: &StripeResult,
    limits: Limits,
    now: common::Time,
) -> Option<Transition> {
    Some(match (step, result) {
        (Step::CreateIntent { number, attempt }, StripeResult::Made(result)) => {
            payment.on_intent_created(*number, *attempt, result, limits, now)
        }
        (Step::Confirm { number, .. }, StripeResult::Intent(result)) => {
            payment.on_confirmation(*number, result, limits, now)
        }
        (Step::RetrieveIntent { number, .. }, StripeResult::Intent(result)) => {
            payment.on_attempt_retrieved(*number, result, limits, now)
        }
        (Step::CancelIntent { .. }, StripeResult::Intent(result)) => {
            payment.on_cancellation(result, now)
        }
        (Step::CreateRefund { number, .. }, StripeResult::Refund(result)) => {
            payment.on_refund(*number, result, now)
        }
        (Step::RetrieveRefunds { number, .. }, StripeResult::Refunds(result)) => {
            payment.on_refunds_retrieved(*number, result, now)
        }
        _ => return None,
    })
}
