//! Stripe: PaymentIntents with manual capture, and idempotency keys.

use super::bounds::Elsewhere;
use crate::protocol::payment::Step;
use crate::protocol::stripe::{Intent, IntentStatus, Reply};

/// Stripe's state of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StripeState {
    pub intents: Vec<Intent>,
    /// The saved response of each idempotency key.
    saved: Vec<(Key, Reply)>,
    /// A card was tried twice for one attempt.
    pub has_tried_twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Create(u8),
    Confirm(u8),
    Capture(u8),
    Refund(u8),
}

/// What happens to a request that reaches Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub execution: Execution,
    /// The response is a 500 nevertheless, saved under the key.
    pub fails: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    Succeeds,
    Declined,
    /// The bank asks the buyer to authenticate.
    Challenged,
    Skipped,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome { execution: Execution::Succeeds, fails: false },
        Outcome { execution: Execution::Declined, fails: false },
        Outcome { execution: Execution::Challenged, fails: false },
        Outcome { execution: Execution::Succeeds, fails: true },
        Outcome { execution: Execution::Declined, fails: true },
        Outcome { execution: Execution::Challenged, fails: true },
        Outcome { execution: Execution::Skipped, fails: true },
    ];
}

impl StripeState {
    pub fn intent(&self, number: u8) -> Intent {
        self.intents[usize::from(number)]
    }

    /// A request arrives. None: this outcome is impossible.
    pub fn execute(
        &self,
        step: Step,
        outcome: Outcome,
        keys_are_known: bool,
    ) -> Option<(StripeState, Reply)> {
        let key = key(step);
        let saved = key.and_then(|key| self.saved.iter().find(|(saved, _)| *saved == key));
        if let Some((_, reply)) = saved.filter(|_| keys_are_known) {
            return (outcome == Outcome::ALL[0]).then(|| (self.clone(), *reply));
        }
        let mut next = self.clone();
        let reply = next.execute_new(step, outcome)?;
        next.has_tried_twice |= saved.is_some() && matches!(step, Step::Confirm { .. });
        if let Some(key) = key {
            next.saved.retain(|(saved, _)| *saved != key);
            next.saved.push((key, reply));
            next.saved.sort_unstable();
        }
        Some((next, reply))
    }

    fn execute_new(&mut self, step: Step, Outcome { execution, fails }: Outcome) -> Option<Reply> {
        use IntentStatus::{Canceled, RequiresAction, RequiresCapture, RequiresPaymentMethod};
        let is_confirmation = matches!(step, Step::Confirm { .. });
        let is_possible = match execution {
            Execution::Succeeds => true,
            Execution::Declined | Execution::Challenged => is_confirmation,
            Execution::Skipped => !matches!(step, Step::Cancel { .. }),
        };
        if !is_possible {
            return None;
        }
        let is_done = execution == Execution::Succeeds;
        let failed = |reply| if fails { Reply::Failed } else { reply };
        match step {
            Step::CreateIntent { .. } => {
                let number = self.intents.len() as u8;
                if is_done {
                    self.intents.push(Intent {
                        status: RequiresPaymentMethod,
                        charges: 0,
                        is_declined: false,
                        is_refunded: false,
                    });
                }
                Some(failed(Reply::Created(number)))
            }
            Step::Confirm { intent, .. } => {
                let intent = &mut self.intents[usize::from(intent)];
                if intent.status != RequiresPaymentMethod {
                    return (is_done && !fails).then_some(Reply::Failed);
                }
                match execution {
                    Execution::Succeeds => intent.status = RequiresCapture,
                    Execution::Challenged => intent.status = RequiresAction,
                    Execution::Declined => intent.is_declined = true,
                    Execution::Skipped => {}
                }
                intent.charges += u8::from(is_done || execution == Execution::Declined);
                let declined = Reply::Declined { charges: intent.charges };
                let is_declined = execution == Execution::Declined;
                Some(failed(if is_declined { declined } else { Reply::Intent(*intent) }))
            }
            Step::Capture { intent, .. } => {
                let intent = &mut self.intents[usize::from(intent)];
                if intent.status != RequiresCapture {
                    return (is_done && !fails).then_some(Reply::Failed);
                }
                if is_done {
                    intent.status = IntentStatus::Succeeded;
                }
                Some(failed(Reply::Intent(*intent)))
            }
            // A lost request is one that never arrives. If it is refused, the PaymentIntent is retrieved.
            Step::Cancel { intent } => {
                let intent = &mut self.intents[usize::from(intent)];
                match intent.status {
                    RequiresPaymentMethod | RequiresAction | RequiresCapture => {
                        intent.status = Canceled;
                    }
                    IntentStatus::Succeeded | Canceled => {}
                }
                (!fails).then_some(Reply::Intent(*intent))
            }
            Step::Refund { intent, .. } => {
                let intent = &mut self.intents[usize::from(intent)];
                if intent.status != IntentStatus::Succeeded || intent.is_refunded {
                    return (is_done && !fails).then_some(Reply::Failed);
                }
                intent.is_refunded = is_done;
                Some(failed(Reply::Intent(*intent)))
            }
            Step::RetrieveAttempt { .. }
            | Step::RetrieveCapture { .. }
            | Step::RetrieveRefund { .. }
            | Step::Reconcile { .. } => None,
        }
    }

    /// The buyer comes back from the bank.
    pub fn finish_challenge(&self, number: u8, succeeds: bool) -> Option<StripeState> {
        let mut next = self.clone();
        let intent = next.intents.get_mut(usize::from(number))?;
        let is_open = intent.status == IntentStatus::RequiresAction;
        intent.charges += 1;
        intent.is_declined = !succeeds;
        intent.status = if succeeds {
            IntentStatus::RequiresCapture
        } else {
            IntentStatus::RequiresPaymentMethod
        };
        is_open.then_some(next)
    }

    pub fn act_elsewhere(&self, number: u8, action: Elsewhere) -> Option<StripeState> {
        let mut next = self.clone();
        let intent = next.intents.get_mut(usize::from(number))?;
        let is_possible = match action {
            Elsewhere::Cancel | Elsewhere::Capture => {
                intent.status == IntentStatus::RequiresCapture
            }
            Elsewhere::Refund => intent.status == IntentStatus::Succeeded && !intent.is_refunded,
        };
        match action {
            Elsewhere::Cancel => intent.status = IntentStatus::Canceled,
            Elsewhere::Capture => intent.status = IntentStatus::Succeeded,
            Elsewhere::Refund => intent.is_refunded = true,
        }
        is_possible.then_some(next)
    }

    pub fn count(&self, status: IntentStatus) -> usize {
        self.intents.iter().filter(|intent| intent.status == status).count()
    }

    /// What is captured and not refunded.
    pub fn charged(&self) -> usize {
        let is_kept =
            |intent: &&Intent| intent.status == IntentStatus::Succeeded && !intent.is_refunded;
        self.intents.iter().filter(is_kept).count()
    }
}

fn key(step: Step) -> Option<Key> {
    match step {
        Step::CreateIntent { number } => Some(Key::Create(number)),
        Step::Confirm { number, .. } => Some(Key::Confirm(number)),
        Step::Capture { number, .. } => Some(Key::Capture(number)),
        Step::Refund { number, .. } => Some(Key::Refund(number)),
        Step::Cancel { .. }
        | Step::RetrieveAttempt { .. }
        | Step::RetrieveCapture { .. }
        | Step::RetrieveRefund { .. }
        | Step::Reconcile { .. } => None,
    }
}
