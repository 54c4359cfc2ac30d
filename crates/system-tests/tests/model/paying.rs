//! payments, as the model runs it: what it writes down, and what it does at Stripe.
//!
//! Which worker has leased a payment is left out: any number of them may be at it, at any time.

use payments::domain::Payment;
use payments::gateway::Intent;
use payments::steps::Step;
use payments::words::Heard;
use store::Change;

use crate::archive::{Decided, Kept};
use crate::messages::{Event, Message};
use crate::mutants::Mutant;
use crate::state::State;
use crate::stripe::{Fate, InHand, Till, Word};
use crate::world::{Effect, World};

impl World {
    pub fn payments_hears(&self, state: &State, message: Kept<Message>) -> Effect {
        let (now, attempts) = (World::clock(false), self.bounds.attempts);
        match &message.get().event {
            Event::Order(order) => {
                let deal = self.deal(order.id);
                let known = state.deals[deal].payment;
                let question = ("follow", known, message.number());
                Effect::payment(
                    deal,
                    self.payment_decides(deal, question, || match known {
                        Some(payment) => payment.follow(order, attempts, now),
                        None => Some(Change::without_event(Payment::of(order))),
                    }),
                )
            }
            Event::RefundRequired(_) if self.is_mutant(Mutant::NoRefund) => Effect::Nothing,
            Event::RefundRequired(required) => {
                let deal = self.deal(required.order_id);
                let Some(payment) = state.deals[deal].payment else { return Effect::NotYet };
                if payment.refund_required(required, now).is_err() {
                    return Effect::NotYet;
                }
                let question = ("refund required", Some(payment), message.number());
                Effect::payment(
                    deal,
                    self.payment_decides(deal, question, || {
                        payment.refund_required(required, now).ok().flatten()
                    }),
                )
            }
            Event::Ticket(..)
            | Event::Unheard
            | Event::Expiration(_)
            | Event::Paid(_)
            | Event::Failed(_)
            | Event::Refunded(_) => Effect::Nothing,
        }
    }

    /// `POST /api/payments`: each click has a card of its own. payments' clock may be behind.
    pub fn pay(&self, state: &State, deal: usize) -> Effect {
        let Some(payment) = state.deals[deal].payment else { return Effect::Nothing };
        let click = payment.charge.as_ref().map_or(0, |charge| charge.attempt_key) + 1;
        if click > self.bounds.clicks[deal] {
            return Effect::Nothing;
        }
        Effect::payment(
            deal,
            self.payment_decides(deal, ("pay", Some(payment), 0), || {
                let card = format!("pm_{click}");
                let claimed = payment.claim(&card, self.bounds.attempts, World::clock(false));
                claimed.ok()
            }),
        )
    }

    /// `POST /api/payments/{id}/refund`.
    pub fn refund(&self, state: &State, deal: usize) -> Effect {
        let Some(payment) = state.deals[deal].payment else { return Effect::Nothing };
        let question = ("refund", Some(payment), 0);
        Effect::payment(
            deal,
            self.payment_decides(deal, question, || payment.refund(World::clock(false))),
        )
    }

    /// A worker takes it up, and gives up an attempt that it finds unsent. That it else leases the payment
    /// is left out.
    pub fn take_up(&self, state: &State, deal: usize) -> Effect {
        let Some(payment) = state.deals[deal].payment else { return Effect::Nothing };
        let (attempts, now) = (self.bounds.attempts, World::clock(false));
        let is_paying = |payment: &Payment| {
            payment.charge.as_ref().is_some_and(|charge| charge.attempt.is_some())
        };
        let given_up = || payment.taken_up(attempts, now).filter(|taken| !is_paying(&taken.thing));
        let take_up = || if is_paying(payment.get()) { given_up() } else { None };
        Effect::payment(deal, self.payment_decides(deal, ("take up", Some(payment), 0), take_up))
    }

    /// A worker looks what is to be done next, and begins it. `late`: its clock says that the hold is over.
    pub fn drive(&self, state: &State, deal: usize, late: bool) -> Option<State> {
        let payment = state.deals[deal].payment.filter(|payment| payment.work_at.is_some())?;
        let (attempts, now) = (self.bounds.attempts, World::clock(late));
        let step = payment.next_step(attempts, now);
        let mut next = state.clone();
        let written = match &step {
            None => self.payment_decides(deal, ("rest", Some(payment), 0), || {
                payment.at_rest(attempts, now)
            }),
            Some(Step::GiveUp { key }) => {
                let give_up = || payment.given_up_unsent(*key, attempts, now);
                self.payment_decides(deal, ("give up", Some(payment), 0), give_up)
            }
            Some(Step::Confirm { key, .. }) => {
                self.payment_decides(deal, ("sending", Some(payment), 0), || {
                    payment.sending(*key, now)
                })
            }
            Some(Step::CancelIntent { .. }) if self.is_mutant(Mutant::FailedTooSoon) => {
                let canceled = || payment.heard_of_cancellation(&Ok(Intent::Canceled), now).change;
                self.payment_decides(deal, ("canceled", Some(payment), 0), canceled)
            }
            Some(_) => None,
        };
        Effect::payment(deal, written).write(&mut next);
        if let Some(step) = step.filter(|step| !matches!(step, Step::GiveUp { .. })) {
            let till = state.deals[deal].till;
            if till.hands.len() == self.bounds.drivers {
                return None;
            }
            let about = (payment.number() << 1) | u64::from(late);
            next.deals[deal].till = self.till_decides(("begin", Some(till), about), || {
                till.ask(&step, late).or_else(|| till.take(InHand::Call(step)))
            })?;
        }
        Some(next)
    }

    /// A call reaches Stripe.
    pub fn arrive(&self, state: &State, deal: usize, hand: usize, fate: Fate) -> Option<State> {
        let failures_left = state.failures_left.checked_sub(fate.fails.into())?;
        let till = state.deals[deal].till;
        let number = Fate::ALL.iter().position(|one| *one == fate)?;
        let keys_are_known = !self.is_mutant(Mutant::NoIdempotencyKey);
        let about = ((hand << 8) | number) as u64;
        let till = self.till_decides(("arrive", Some(till), about), || {
            till.arrive(hand, fate, keys_are_known)
        })?;
        let mut next = State { failures_left, ..state.clone() };
        next.deals[deal].till = till;
        Some(next)
    }

    /// An answer of Stripe's is written onto whatever the document has become.
    pub fn note(&self, state: &State, deal: usize, hand: usize, late: bool) -> Option<State> {
        let (payment, till) = (state.deals[deal].payment?, state.deals[deal].till);
        let InHand::Answer { step, word, late: known } = till.get().hands.get(hand)? else {
            return None;
        };
        let now = World::clock(late || *known);
        let attempts = self.bounds.attempts;
        let question =
            ("note", Some(payment), (till.number() << 8) | (hand << 1) as u64 | u64::from(late));
        let written = self.payment_decides(deal, question, || {
            hear(payment.get(), step, word, attempts, now)?.change
        });
        let mut next = self.forget(state, deal, hand)?;
        Effect::payment(deal, written).write(&mut next);
        Some(next)
    }

    /// The process that had it in hand is killed.
    pub fn forget(&self, state: &State, deal: usize, hand: usize) -> Option<State> {
        let till = state.deals[deal].till;
        let mut next = state.clone();
        next.deals[deal].till =
            self.till_decides(("forget", Some(till), hand as u64), || till.drop(hand))?;
        Some(next)
    }

    fn payment_decides(
        &self,
        deal: usize,
        (what, payment, about): (&'static str, Option<Kept<Payment>>, u64),
        decide: impl FnOnce() -> Option<Change<Payment>>,
    ) -> Decided<Payment> {
        let question = (what, payment, (about << 4) | deal as u64);
        self.archive.payments.decide(&self.archive.messages, question, || {
            let Change { thing: mut payment, events } = decide()?;
            // What no decision reads is made the same: the id, when it is due, and failures
            // beyond those that end an attempt.
            if let Some(charge) = &mut payment.charge {
                charge.id = self.payments[deal];
            }
            payment.work_at = payment.work_at.map(|_| World::clock(false));
            payment.failures = payment.failures.min(2);
            Some(Change { thing: payment, events })
        })
    }

    fn till_decides(
        &self,
        question: (&'static str, Option<Kept<Till>>, u64),
        decide: impl FnOnce() -> Option<Till>,
    ) -> Option<Kept<Till>> {
        let decide = || decide().map(Change::without_event);
        self.archive.tills.decide(&self.archive.messages, question, decide).map(|(till, _)| till)
    }
}

/// What payments makes of a word of Stripe's.
fn hear(
    payment: &Payment,
    step: &Step,
    word: &Word,
    attempts: i64,
    now: common::Time,
) -> Option<Heard> {
    Some(match (step, word) {
        (Step::MakeIntent { key, attempt }, Word::Made(word)) => {
            payment.heard_of_intent(*key, *attempt, word, attempts, now)
        }
        (Step::Confirm { key, .. }, Word::Intent(word)) => {
            payment.heard_of_confirmation(*key, word, attempts, now)
        }
        (Step::Ask { key, .. }, Word::Intent(word)) => {
            payment.heard_of_attempt(*key, word, attempts, now)
        }
        (Step::CancelIntent { .. }, Word::Intent(word)) => payment.heard_of_cancellation(word, now),
        (Step::Refund { key, .. }, Word::Refund(word)) => payment.heard_of_refund(*key, word, now),
        (Step::AskRefund { key, .. }, Word::Refunds(word)) => {
            payment.heard_of_refunds(*key, word, now)
        }
        _ => return None,
    })
}
