//! payments: an order's payment. What Stripe says is a fact, which is written onto whatever the document has become.
//!
//! Everything here is one guarded write of one document. A step that goes to Stripe is recorded before it is sent, and its
//! result when it comes, however late; [`super::stripe`] has the results.

use super::event::{Event, OrderStatus};
use super::stripe::{Intent, IntentStatus, Reply};
use super::{Change, OrderIndex, Version};

/// The replica of an order, and its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payment {
    pub index: OrderIndex,
    /// How many events were published. (Every write has a version of its own; only those of events are compared.)
    pub version: Version,
    pub order: OrderReplica,
    pub status: Status,
    /// The one PaymentIntent that is ever confirmed; its id is stored before.
    pub intent: Option<u8>,
    /// The number in the idempotency key of its creation.
    pub intent_number: u8,
    /// It was decided to cancel the PaymentIntent, before that was sent. Never revised.
    pub cancelling: bool,
    /// Stripe has said that it is cancelled.
    pub cancelled: bool,
    pub attempt: Option<Attempt>,
    pub last_attempt: u8,
    pub declines: u8,
    /// How many of the PaymentIntent's charges are known: a further one that was declined is a new decline.
    pub known_charges: u8,
    pub capture: Numbered,
    pub refund: Numbered,
    /// The seller has asked for a refund.
    pub refund_asked: bool,
    /// orders can't honour the payment.
    pub rejected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Created,
    Processing,
    ActionRequired,
    Authorised,
    Captured,
    Refunding,
    Refunded,
    Released,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderReplica {
    pub version: Version,
    pub status: OrderStatus,
    /// The version of the payment that orders has seen.
    pub seen: Version,
}

/// One attempt to authorise one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub number: u8,
    /// Recorded before the confirmation is sent.
    pub sent: bool,
    /// Stripe has answered with an error, and would repeat that: the PaymentIntent is retrieved first.
    pub is_unknown: bool,
}

/// A request under a numbered idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numbered {
    pub number: u8,
    /// As for an attempt.
    pub is_unknown: bool,
}

/// What a process does next for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    CreateIntent {
        number: u8,
    },
    Confirm {
        number: u8,
        intent: u8,
    },
    Capture {
        number: u8,
        intent: u8,
    },
    Cancel {
        intent: u8,
    },
    Refund {
        number: u8,
        intent: u8,
    },
    /// Asks what has become of an attempt, a capture, a refund.
    RetrieveAttempt {
        number: u8,
        intent: u8,
    },
    RetrieveCapture {
        number: u8,
        intent: u8,
    },
    RetrieveRefund {
        number: u8,
        intent: u8,
    },
    /// A webhook, or reconciliation: asks what has happened, whatever that is; during this attempt, or none.
    Reconcile {
        attempt: u8,
        intent: u8,
    },
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many declined cards end the payment.
    pub declines: u8,
    /// How many numbers attempts may have.
    pub attempts: u8,
}

impl Payment {
    /// The replica of an order, which is to be paid.
    pub fn new(index: OrderIndex, version: Version) -> Payment {
        Payment {
            index,
            version: 0,
            order: OrderReplica { version, status: OrderStatus::AwaitingPayment, seen: 0 },
            status: Status::Created,
            intent: None,
            intent_number: 1,
            cancelling: false,
            cancelled: false,
            attempt: None,
            last_attempt: 0,
            declines: 0,
            known_charges: 0,
            capture: Numbered { number: 1, is_unknown: false },
            refund: Numbered { number: 1, is_unknown: false },
            refund_asked: false,
            rejected: false,
        }
    }

    /// Applies a newer state of the order. It doesn't change the payment: the next step follows from both.
    pub fn follow(self, order: OrderReplica) -> Option<Payment> {
        (order.version > self.order.version).then_some(Payment { order, ..self })
    }

    /// `order.refund_required`: orders' answer. None: there is nothing to release or to refund yet.
    pub fn reject(self) -> Option<Payment> {
        let rejected = Payment { rejected: true, ..self };
        match self.status {
            Status::Created | Status::Processing | Status::ActionRequired => None,
            Status::Captured => Some(Payment { status: Status::Refunding, ..rejected }),
            Status::Authorised
            | Status::Refunding
            // It is settled. If orders doesn't know that, the outcome is published again anyway.
            | Status::Refunded
            | Status::Released
            | Status::Failed => Some(rejected),
        }
    }

    /// The seller refunds. What isn't captured yet is released.
    pub fn ask_refund(self) -> Option<Payment> {
        let asked = Payment { refund_asked: true, ..self };
        match self.status {
            Status::Authorised if !self.refund_asked => Some(asked),
            Status::Captured => Some(Payment { status: Status::Refunding, ..asked }),
            Status::Authorised
            | Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::Failed => None,
        }
    }

    /// The buyer pays with a card: never two attempts at once.
    pub fn begin_attempt(self, limits: Limits) -> Option<Payment> {
        let may = self.status == Status::Created
            && self.is_unpaid()
            && !self.cancelling
            && self.declines < limits.declines
            && self.last_attempt < limits.attempts;
        let number = self.last_attempt + 1;
        may.then_some(Payment {
            status: Status::Processing,
            attempt: Some(Attempt { number, sent: false, is_unknown: false }),
            last_attempt: number,
            ..self
        })
    }

    /// Writes that the PaymentIntent is to be cancelled, before that is sent. None: there is no reason.
    pub fn begin_cancelling(self) -> Option<Payment> {
        let is_due = !self.cancelling
            && match self.status {
                Status::Created | Status::ActionRequired => {
                    self.intent.is_some() && self.order.status == OrderStatus::Cancelled
                }
                // A payment that has failed by its last decline.
                Status::Failed => !self.cancelled,
                // What orders has decided. The end of the order alone is no answer to what is authorised.
                Status::Authorised => self.is_returning(),
                Status::Processing
                | Status::Captured
                | Status::Refunding
                | Status::Refunded
                | Status::Released => false,
            };
        is_due.then_some(Payment { cancelling: true, ..self })
    }

    /// The next step at Stripe. `in_time`: by the clock of this process there is time to pay.
    pub fn next_step(self, in_time: bool) -> Option<Step> {
        let in_time = in_time && self.is_unpaid();
        if let Some(intent) = self.intent.filter(|_| self.is_to_be_cancelled()) {
            return Some(Step::Cancel { intent });
        }
        match (self.status, self.attempt, self.intent) {
            (Status::Processing, Some(attempt), intent) => {
                attempt.step(intent, self.intent_number, in_time)
            }
            (Status::Authorised, _, Some(intent)) if self.is_to_be_captured() => {
                let Numbered { number, is_unknown } = self.capture;
                Some(if is_unknown {
                    Step::RetrieveCapture { number, intent }
                } else {
                    Step::Capture { number, intent }
                })
            }
            (Status::Refunding, _, Some(intent)) => {
                let Numbered { number, is_unknown } = self.refund;
                Some(if is_unknown {
                    Step::RetrieveRefund { number, intent }
                } else {
                    Step::Refund { number, intent }
                })
            }
            (
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Captured
                | Status::Refunding
                | Status::Refunded
                | Status::Released
                | Status::Failed,
                _,
                _,
            ) => None,
        }
    }

    /// The confirmation is about to be sent. None: it was sent before, or may not be sent any more.
    pub fn mark_sent(self, number: u8, in_time: bool) -> Option<Payment> {
        let attempt = self.current(number).filter(|attempt| !attempt.sent)?;
        let attempt = Some(Attempt { sent: true, ..attempt });
        (in_time && self.is_unpaid()).then_some(Payment { attempt, ..self })
    }

    /// Whether this attempt is in progress and marked as sent: only then is its confirmation sent.
    pub fn is_sent(self, number: u8) -> bool {
        self.current(number).is_some_and(|attempt| attempt.sent)
    }

    /// An attempt that was not sent was left by a process that has crashed, or there is no time for it.
    pub fn abandon_unsent(self) -> Option<Payment> {
        let attempt = self.attempt.filter(|attempt| !attempt.sent)?;
        self.abandon(attempt.number)
    }

    /// Records the result of a step. None: it says nothing new.
    pub fn record(
        self,
        step: Step,
        reply: Reply,
        in_time: bool,
        limits: Limits,
    ) -> Option<Change<Payment>> {
        let silent = |payment: Option<Payment>| payment.map(Change::without_event);
        match (step, reply) {
            (Step::CreateIntent { .. }, Reply::Created(intent)) => {
                let stored = Payment { intent: Some(intent), ..self };
                silent(self.intent.is_none().then_some(stored))
            }
            (Step::CreateIntent { number }, Reply::Failed) => {
                silent(self.next_intent_number(number).abandon_unsent())
            }
            (Step::Confirm { number, .. }, Reply::Declined { charges }) => {
                self.decline(number, charges, limits)
            }
            (Step::Confirm { number, .. }, Reply::Failed) => silent(self.mark_unknown(number)),
            (
                Step::Confirm { number, .. } | Step::Reconcile { attempt: number, .. },
                Reply::Intent(intent),
            ) => self.learn_of_attempt(number, intent, limits),
            (Step::RetrieveAttempt { number, .. }, Reply::Intent(intent)) => {
                self.learn_of_attempt(number, intent, limits).or_else(|| {
                    let is_nothing = intent.status == IntentStatus::RequiresPaymentMethod;
                    silent(is_nothing.then(|| self.retry(number, in_time, limits)).flatten())
                })
            }
            (Step::Capture { number, .. }, Reply::Failed) => {
                let capture = self.capture.unknown(number)?;
                silent(Some(Payment { capture, ..self }))
            }
            (Step::RetrieveCapture { number, .. }, Reply::Intent(intent)) => {
                self.learn(intent).or_else(|| {
                    let is_nothing = intent.status == IntentStatus::RequiresCapture;
                    let capture = self.capture.next(number).filter(|_| is_nothing)?;
                    silent(Some(Payment { capture, ..self }))
                })
            }
            (Step::Refund { number, .. }, Reply::Failed) => {
                let refund = self.refund.unknown(number)?;
                silent(Some(Payment { refund, ..self }))
            }
            (Step::RetrieveRefund { number, .. }, Reply::Intent(intent)) => {
                self.learn(intent).or_else(|| {
                    let refund = self.refund.next(number).filter(|_| !intent.is_refunded)?;
                    silent(Some(Payment { refund, ..self }))
                })
            }
            (_, Reply::Intent(intent)) => self.learn(intent),
            (
                Step::Cancel { .. }
                | Step::RetrieveAttempt { .. }
                | Step::RetrieveCapture { .. }
                | Step::RetrieveRefund { .. }
                | Step::Reconcile { .. }
                | Step::CreateIntent { .. }
                | Step::Confirm { .. }
                | Step::Capture { .. }
                | Step::Refund { .. },
                Reply::Created(_) | Reply::Declined { .. } | Reply::Failed,
            ) => None,
        }
    }

    /// A fact: what the PaymentIntent is, or was a while ago.
    pub fn learn(self, intent: Intent) -> Option<Change<Payment>> {
        match intent.status {
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresAction => None,
            // What is being cancelled never becomes authorised.
            IntentStatus::RequiresCapture if self.cancelling || self.cancelled => None,
            IntentStatus::RequiresCapture => self.authorise(),
            IntentStatus::Succeeded => self.succeed(intent.is_refunded),
            IntentStatus::Canceled => self.end(),
        }
    }

    /// The same of what was read during this attempt.
    fn learn_of_attempt(
        self,
        number: u8,
        intent: Intent,
        limits: Limits,
    ) -> Option<Change<Payment>> {
        match intent.status {
            IntentStatus::RequiresPaymentMethod if intent.is_declined => {
                self.decline(number, intent.charges, limits)
            }
            IntentStatus::RequiresAction => self.require_action(number),
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresCapture
            | IntentStatus::Succeeded
            | IntentStatus::Canceled => self.learn(intent),
        }
    }

    pub fn authorise(self) -> Option<Change<Payment>> {
        match self.status {
            // Also after the last decline: an earlier attempt, of a process that was suspended, has succeeded.
            Status::Created | Status::Processing | Status::ActionRequired | Status::Failed => {
                let payment = self.with_status(Status::Authorised);
                Some(payment.published())
            }
            Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released => None,
        }
    }

    /// The money is captured: by us, for a complete order, or by somebody else. It may be refunded already, also by
    /// somebody else.
    fn succeed(self, is_refunded: bool) -> Option<Change<Payment>> {
        match self.status {
            Status::Refunded | Status::Released => None,
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Failed
                if is_refunded =>
            {
                Some(self.with_status(Status::Refunded).published())
            }
            // A capture that was in flight has been faster than the cancellation, or than its decision: the money goes back.
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Failed
                if self.cancelling || self.is_returning() =>
            {
                Some(Change::without_event(self.with_status(Status::Refunding)))
            }
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Failed => Some(self.with_status(Status::Captured).published()),
            Status::Captured | Status::Refunding => None,
        }
    }

    /// The PaymentIntent is cancelled and can't succeed any more.
    fn end(self) -> Option<Change<Payment>> {
        let ended = Payment { cancelled: true, ..self };
        match self.status {
            Status::Authorised if self.cancelling => {
                Some(ended.with_status(Status::Released).published())
            }
            // Not by us: a capture is impossible.
            Status::Authorised | Status::Created | Status::Processing | Status::ActionRequired => {
                Some(ended.with_status(Status::Failed).published())
            }
            Status::Failed => (!self.cancelled).then_some(Change::without_event(ended)),
            Status::Captured | Status::Refunding | Status::Refunded | Status::Released => None,
        }
    }

    fn require_action(self, number: u8) -> Option<Change<Payment>> {
        let is_new = self.status == Status::Processing && self.is_sent(number);
        is_new.then_some(Change::without_event(Payment { status: Status::ActionRequired, ..self }))
    }

    /// The card was declined; the last one ends the payment.
    fn decline(self, number: u8, charges: u8, limits: Limits) -> Option<Change<Payment>> {
        self.current(number).filter(|_| charges > self.known_charges)?;
        let declines = self.declines + 1;
        let declined = Payment { declines, known_charges: charges, ..self };
        Some(if declines < limits.declines {
            Change::without_event(declined.with_status(Status::Created))
        } else {
            declined.with_status(Status::Failed).published()
        })
    }

    /// Nothing has happened under this number: the same card under the next one, if there is time; otherwise the attempt
    /// is abandoned.
    fn retry(self, number: u8, in_time: bool, limits: Limits) -> Option<Payment> {
        let attempt = self.current(number).filter(|attempt| attempt.sent)?;
        let next = self.last_attempt + 1;
        if in_time && self.is_unpaid() && attempt.is_unknown && next <= limits.attempts {
            let attempt = Some(Attempt { number: next, sent: false, is_unknown: false });
            return Some(Payment { attempt, last_attempt: next, ..self });
        }
        self.abandon(number)
    }

    /// The event of its present state, which is published again until orders has answered it, or has seen it.
    pub fn owed(self) -> Option<Event> {
        match self.status {
            Status::Authorised | Status::Captured => {
                let is_answered = self.order.status == OrderStatus::Complete || self.is_returning();
                self.outcome().filter(|_| !is_answered)
            }
            Status::Refunded | Status::Released | Status::Failed => {
                self.outcome().filter(|_| self.order.seen < self.version)
            }
            Status::Created | Status::Processing | Status::ActionRequired | Status::Refunding => {
                None
            }
        }
    }

    /// The event of its present state.
    pub fn outcome(self) -> Option<Event> {
        let (order, version, relist) = (self.index, self.version, false);
        match self.status {
            Status::Created | Status::Processing | Status::ActionRequired | Status::Refunding => {
                None
            }
            Status::Authorised => Some(Event::PaymentCreated { order, version }),
            Status::Captured => Some(Event::PaymentCaptured { order, version }),
            Status::Refunded => Some(Event::PaymentRefunded { order, version, relist }),
            Status::Released => Some(Event::PaymentReleased { order, version, relist }),
            Status::Failed => Some(Event::PaymentFailed { order, version }),
        }
    }

    fn published(self) -> Change<Payment> {
        let payment = Payment { version: self.version + 1, ..self };
        Change { thing: payment, event: payment.outcome() }
    }

    fn with_status(self, status: Status) -> Payment {
        Payment { status, attempt: None, ..self }
    }

    fn current(self, number: u8) -> Option<Attempt> {
        self.attempt.filter(|attempt| attempt.number == number)
    }

    fn abandon(self, number: u8) -> Option<Payment> {
        self.current(number).map(|_| self.with_status(Status::Created))
    }

    fn mark_unknown(self, number: u8) -> Option<Payment> {
        let attempt = self.current(number).filter(|attempt| !attempt.is_unknown)?;
        Some(Payment { attempt: Some(Attempt { is_unknown: true, ..attempt }), ..self })
    }

    fn next_intent_number(self, number: u8) -> Payment {
        let is_current = self.intent.is_none() && self.intent_number == number;
        Payment { intent_number: self.intent_number + u8::from(is_current), ..self }
    }

    /// Whether the order is live and yet to be paid, as far as payments knows.
    fn is_unpaid(self) -> bool {
        match self.order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Complete | OrderStatus::Cancelled => false,
        }
    }

    fn is_to_be_captured(self) -> bool {
        let is_complete = self.order.status == OrderStatus::Complete;
        is_complete && !self.is_returning()
    }

    /// Whether orders or the seller wants the money to go back.
    fn is_returning(self) -> bool {
        self.rejected || self.refund_asked
    }

    /// Whether the cancellation isn't confirmed yet. A capture may have been faster.
    fn is_to_be_cancelled(self) -> bool {
        let is_open = match self.status {
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Failed => true,
            Status::Captured | Status::Refunding | Status::Refunded | Status::Released => false,
        };
        is_open && self.cancelling && !self.cancelled
    }
}

impl Attempt {
    fn step(self, intent: Option<u8>, intent_number: u8, in_time: bool) -> Option<Step> {
        let number = self.number;
        match intent {
            // The same confirmation under the same number would get the saved response.
            Some(intent) if self.sent && (self.is_unknown || !in_time) => {
                Some(Step::RetrieveAttempt { number, intent })
            }
            _ if !in_time => None,
            None => Some(Step::CreateIntent { number: intent_number }),
            Some(intent) => Some(Step::Confirm { number, intent }),
        }
    }
}

impl Numbered {
    fn unknown(self, number: u8) -> Option<Numbered> {
        (self.number == number && !self.is_unknown).then_some(Numbered { is_unknown: true, ..self })
    }

    /// Stripe has answered an error under this number and, asked again, shows that nothing has happened.
    fn next(self, number: u8) -> Option<Numbered> {
        (self.number == number && self.is_unknown)
            .then_some(Numbered { number: number + 1, is_unknown: false })
    }
}
