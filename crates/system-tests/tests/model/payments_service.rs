//! payments: what it stores, and its requests to Stripe.
//!
//! Leases are not modelled: any number of workers may process a payment at any time.

use payments::domain::Payment;
use payments::gateway::Intent;
use payments::steps::Step;
use payments::words::Heard;
use store::Change;

use crate::events::{Event, Message};
use crate::interner::{Decided, Interned};
use crate::mutants::Mutant;
use crate::state::State;
use crate::stripe::{CallOutcome, InFlight, StripeResult, StripeState};
use crate::system::{Effect, SystemModel};

impl SystemModel {
    pub fn payments_consume(&self, state: &State, message: Interned<Message>) -> Effect {
        let (now, attempts) = (SystemModel::clock(false), self.bounds.attempts);
        match &message.get().event {
            Event::Order(order) => {
                let purchase = self.purchase(order.id);
                let known = state.purchases[purchase].payment;
                let question = ("follow", known, message.number());
                Effect::payment(
                    purchase,
                    self.payment_decides(purchase, question, || match known {
                        Some(payment) => payment.follow(order, attempts, now),
                        None => Some(Change::without_event(Payment::of(order))),
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
        let click = payment.charge.as_ref().map_or(0, |charge| charge.attempt_key) + 1;
        if click > self.bounds.clicks[purchase] {
            return Effect::Nothing;
        }
        Effect::payment(
            purchase,
            self.payment_decides(purchase, ("pay", Some(payment), 0), || {
                let card = format!("pm_{click}");
                let claimed = payment.claim(&card, self.bounds.attempts, SystemModel::clock(false));
                claimed.ok()
            }),
        )
    }

    /// `POST /api/payments/{id}/refund`.
    pub fn refund(&self, state: &State, purchase: usize) -> Effect {
        let Some(payment) = state.purchases[purchase].payment else { return Effect::Nothing };
        let question = ("refund", Some(payment), 0);
        Effect::payment(
            purchase,
            self.payment_decides(purchase, question, || payment.refund(SystemModel::clock(false))),
        )
    }

    /// A worker claims the payment, and abandons an attempt that was not sent. The lease is not modelled.
    pub fn claim_work(&self, state: &State, purchase: usize) -> Effect {
        let Some(payment) = state.purchases[purchase].payment else { return Effect::Nothing };
        let (attempts, now) = (self.bounds.attempts, SystemModel::clock(false));
        let is_paying = |payment: &Payment| {
            payment.charge.as_ref().is_some_and(|charge| charge.attempt.is_some())
        };
        let abandoned = || payment.taken_up(attempts, now).filter(|taken| !is_paying(&taken.thing));
        let claim = || if is_paying(payment.get()) { abandoned() } else { None };
        Effect::payment(
            purchase,
            self.payment_decides(purchase, ("claim", Some(payment), 0), claim),
        )
    }

    /// A worker determines the next step and starts it. `late`: by its clock the reservation has expired.
    pub fn run_step(&self, state: &State, purchase: usize, late: bool) -> Option<State> {
        let payment =
            state.purchases[purchase].payment.filter(|payment| payment.work_at.is_some())?;
        let (attempts, now) = (self.bounds.attempts, SystemModel::clock(late));
        let step = payment.next_step(attempts, now);
        let mut next = state.clone();
        let written = match &step {
            None => self.payment_decides(purchase, ("idle", Some(payment), 0), || {
                payment.at_rest(attempts, now)
            }),
            Some(Step::GiveUp { key }) => {
                let abandon = || payment.given_up_unsent(*key, attempts, now);
                self.payment_decides(purchase, ("abandon", Some(payment), 0), abandon)
            }
            Some(Step::Confirm { key, .. }) => {
                self.payment_decides(purchase, ("sending", Some(payment), 0), || {
                    payment.sending(*key, now)
                })
            }
            Some(Step::CancelIntent { .. }) if self.is_mutant(Mutant::FailedTooSoon) => {
                let canceled = || payment.heard_of_cancellation(&Ok(Intent::Canceled), now).change;
                self.payment_decides(purchase, ("canceled", Some(payment), 0), canceled)
            }
            Some(_) => None,
        };
        Effect::payment(purchase, written).apply(&mut next);
        if let Some(step) = step.filter(|step| !matches!(step, Step::GiveUp { .. })) {
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
        let attempts = self.bounds.attempts;
        let question =
            ("note", Some(payment), (stripe.number() << 8) | (index << 1) as u64 | u64::from(late));
        let written = self.payment_decides(purchase, question, || {
            record_result(payment.get(), step, result, attempts, now)?.change
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
        (what, payment, about): (&'static str, Option<Interned<Payment>>, u64),
        decide: impl FnOnce() -> Option<Change<Payment>>,
    ) -> Decided<Payment> {
        let question = (what, payment, (about << 4) | purchase as u64);
        self.interners.payments.decide(&self.interners.messages, question, || {
            let Change { thing: mut payment, events } = decide()?;
            // Values that no decision reads are normalized: the id, the due time, and failures beyond those
            // that end an attempt.
            if let Some(charge) = &mut payment.charge {
                charge.id = self.payments[purchase];
            }
            payment.work_at = payment.work_at.map(|_| SystemModel::clock(false));
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
    payment: &Payment,
    step: &Step,
    result: &StripeResult,
    attempts: i64,
    now: common::Time,
) -> Option<Heard> {
    Some(match (step, result) {
        (Step::MakeIntent { key, attempt }, StripeResult::Made(result)) => {
            payment.heard_of_intent(*key, *attempt, result, attempts, now)
        }
        (Step::Confirm { key, .. }, StripeResult::Intent(result)) => {
            payment.heard_of_confirmation(*key, result, attempts, now)
        }
        (Step::Ask { key, .. }, StripeResult::Intent(result)) => {
            payment.heard_of_attempt(*key, result, attempts, now)
        }
        (Step::CancelIntent { .. }, StripeResult::Intent(result)) => {
            payment.heard_of_cancellation(result, now)
        }
        (Step::Refund { key, .. }, StripeResult::Refund(result)) => {
            payment.heard_of_refund(*key, result, now)
        }
        (Step::AskRefund { key, .. }, StripeResult::Refunds(result)) => {
            payment.heard_of_refunds(*key, result, now)
        }
        _ => return None,
    })
}
