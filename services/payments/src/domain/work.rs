//! When a worker is to look at a payment, and who is at it meanwhile.
//!
//! Whoever is at a payment has it on a lease: `work_at` is in the future, and is moved on while Stripe is
//! asked. The lease of one who has died runs out, and whoever comes next takes the payment up. Nothing
//! rests on it: two who are at one payment do no harm, they only get in each other's way.

use std::time::Duration;

use common::Time;
use store::Change;

use super::Payment;

/// How long a payment is left alone after the last that was heard of whoever is at it.
const LEASE: Duration = Duration::from_secs(3);
/// How often whoever is at it has to be heard of.
pub const RENEWAL: Duration = Duration::from_secs(1);

impl Payment {
    /// Stripe is being asked: others leave the payment alone a while longer.
    pub fn renewed(&self, now: Time) -> Option<Change<Payment>> {
        self.work_at.map(|_| Change::without_event(self.next().leased(now)))
    }

    /// Stripe could not be asked, or has no word yet: again at that time.
    pub fn postponed(&self, until: Time) -> Option<Change<Payment>> {
        self.work_at.map(|_| {
            let failures = self.failures + 1;
            Change::without_event(Payment { work_at: Some(until), failures, ..self.next() })
        })
    }

    /// A worker takes it up, when it is due.
    ///
    /// An attempt that is found unsent was left behind by someone who died or was cut off. Whoever waited
    /// for it has been told that nothing was sent, or nothing at all: it is given up, and may be repeated.
    pub fn taken_up(&self, attempts: i64, now: Time) -> Option<Change<Payment>> {
        self.work_at.filter(|due| *due <= now)?;
        match self.attempt().filter(|attempt| !attempt.sent) {
            Some(attempt) => self.given_up(attempt.key, attempts, now),
            None => Some(Change::without_event(self.next().leased(now))),
        }
    }

    /// Someone is at it.
    pub fn is_leased(&self, now: Time) -> bool {
        self.work_at.is_some_and(|due| due > now)
    }

    /// Nothing is left to do at Stripe: nobody need look at it.
    pub fn at_rest(&self, attempts: i64, now: Time) -> Option<Change<Payment>> {
        let idle = self.work_at.is_some() && self.next_step(attempts, now).is_none();
        idle.then(|| Change::without_event(Payment { work_at: None, failures: 0, ..self.next() }))
    }

    /// Held by whoever makes this change.
    pub(super) fn leased(self, now: Time) -> Payment {
        Payment { work_at: Some(now + LEASE), ..self }
    }

    /// To be looked at now, if there is anything to do at Stripe.
    pub(super) fn due(self, attempts: i64, now: Time) -> Payment {
        let work_at = self.next_step(attempts, now).map(|_| now);
        Payment { work_at, ..self }
    }
}
