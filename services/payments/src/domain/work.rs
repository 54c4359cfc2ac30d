//! When the background worker next executes a payment's steps, and which process executes them meanwhile: a lease.
//!
//! A process that executes steps keeps [`OrderPayment::next_run_at`] in the future, and renews that while it waits for
//! Stripe. When it crashes, the lease expires and another process claims the payment. Correctness doesn't depend on
//! the lease: two processes at one payment are safe, but waste each other's effort.

use std::time::Duration;

use common::Time;
use store::Change;

use super::{Limits, OrderPayment};

/// A lease without a renewal expires after this time.
const LEASE: Duration = Duration::from_secs(3);
/// How often a lease is renewed.
pub const RENEWAL: Duration = Duration::from_secs(1);

impl OrderPayment {
    /// Extends the lease while Stripe's response is awaited.
    pub fn renew_lease(&self, now: Time) -> Option<Change<OrderPayment>> {
        self.next_run_at.map(|_| Change::without_event(self.next().lease(now)))
    }

    /// Stripe could not be reached, or the outcome is unknown: the next run is at that time.
    pub fn postpone(&self, until: Time, now: Time) -> Option<Change<OrderPayment>> {
        self.next_run_at.map(|_| {
            let failures = self.failures + 1;
            Change::without_event(OrderPayment {
                next_run_at: Some(until),
                failures,
                failing_since: self.failing_since.or(Some(now)),
                ..self.next()
            })
        })
    }

    /// The background worker claims the payment, if it is due.
    ///
    /// An unsent attempt that it finds was left by a process that crashed or was stopped. Its client got *nothing was
    /// sent* as a response, or none at all: the attempt is abandoned, and the client may retry.
    pub fn claim(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        self.next_run_at.filter(|due| *due <= now)?;
        match self.attempt().filter(|attempt| !attempt.sent) {
            Some(attempt) => self.abandon_attempt(attempt.number, limits, now),
            None => Some(Change::without_event(self.next().lease(now))),
        }
    }

    /// Whether an attempt is in progress.
    pub fn has_attempt(&self) -> bool {
        self.attempt().is_some()
    }

    /// Whether a process has a lease on it.
    pub fn is_leased(&self, now: Time) -> bool {
        self.next_run_at.is_some_and(|due| due > now)
    }

    /// No step is left: no further run is needed.
    pub fn idle(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        let is_idle = self.next_run_at.is_some() && self.next_step(limits, now).is_none();
        is_idle.then(|| {
            Change::without_event(OrderPayment {
                next_run_at: None,
                ..self.next().without_failures()
            })
        })
    }

    pub(super) fn without_failures(self) -> OrderPayment {
        OrderPayment { failures: 0, failing_since: None, ..self }
    }

    /// With a lease for the process that makes this change.
    pub(super) fn lease(self, now: Time) -> OrderPayment {
        OrderPayment { next_run_at: Some(now + LEASE), ..self }
    }

    /// Due now, if a step is left.
    pub(super) fn schedule(self, limits: Limits, now: Time) -> OrderPayment {
        let next_run_at = self.next_step(limits, now).map(|_| now);
        OrderPayment { next_run_at, ..self }
    }
}
