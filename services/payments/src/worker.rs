//! The worker: does at Stripe what the documents say is to be done, until it is done.
//!
//! The buyer's own request drives its attempt; the worker takes over what a dead process, a silent
//! Stripe or an order's end left behind. Whoever is at a payment renews its lease, so that others leave
//! it alone. Two that drive the same payment all the same do no harm: what is sent is written down as
//! sent before, each step carries its idempotency key, and each fact is written by a guarded update.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use bus::Failure;
use common::Time;
use common::ids::OrderId;
use store::Change;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::{self, Order, Payment};
use crate::gateway::Trouble;
use crate::state::App;
use crate::steps::Step;
use crate::words::{Heard, Then};

/// How often the worker looks when nothing wakes it.
const PERIOD: Duration = Duration::from_millis(500);
/// How many payments it works on at once: those that Stripe is silent on must not hold up the others.
const CONCURRENCY: usize = 64;

/// How a drive ended.
#[derive(Debug)]
pub enum Outcome {
    /// There is nothing left to do: the document says what became of it.
    Settled(Box<Payment>),
    /// Stripe doesn't know the card's token.
    TokenRefused(String),
    /// Stripe could not be reached before anything was charged; nothing was sent that could be.
    NothingSent(Trouble),
    /// There is no word yet; the worker asks again.
    Unknown,
}

/// Takes up whatever is due until it is told to stop, and then ends what it has begun.
pub async fn run(app: App, stop: CancellationToken) {
    let (places, drives) = (Arc::new(Semaphore::new(CONCURRENCY)), TaskTracker::new());
    while !stop.is_cancelled() {
        match app.store.due(app.clock.now()).await {
            Ok(due) => {
                for order in due {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                    let app = app.clone();
                    drives.spawn(async move {
                        if let Err(failure) = take_up(&app, order).await {
                            tracing::warn!(%order, ?failure, "could not drive it; trying again");
                        }
                        drop(place);
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "could not look for work; trying again"),
        }
        tokio::select! {
            () = app.work.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
    drives.close();
    drives.wait().await;
}

/// Someone else may have been faster, this very worker's last look among them.
///
/// Who gives an attempt up goes no further: the payment is its buyer's again, who may be paying already, and two
/// who ask the same of Stripe at once get in each other's way. What else is to do is due, and found at the next look.
async fn take_up(app: &App, order: OrderId) -> Result<(), Failure> {
    let mut taken = false;
    let now = app.clock.now();
    let taking = app.store.payments.change(order, |payment| {
        let change = payment.taken_up(app.attempts, now);
        taken = change.as_ref().is_some_and(|change| change.thing.is_leased(now));
        Ok::<_, Failure>(change)
    });
    taking.await?;
    if taken {
        drive(app, order).await?;
    }
    Ok(())
}

/// Does one step after the other until nothing is left to do, or Stripe has no word yet.
pub async fn drive(app: &App, order: OrderId) -> Result<Outcome, Failure> {
    loop {
        let Some(payment) = app.store.payments.get(order).await? else {
            return Err(Failure::Transient(anyhow!("there is no payment of {order}")));
        };
        let Some(step) = payment.next_step(app.attempts, app.clock.now()) else {
            if payment.work_at.is_some() {
                app.store
                    .payments
                    .change(order, |payment| {
                        Ok::<_, Failure>(payment.at_rest(app.attempts, app.clock.now()))
                    })
                    .await?;
            }
            return Ok(Outcome::Settled(Box::new(payment)));
        };
        tracing::debug!(%order, ?step, "at Stripe");
        if let Some(outcome) = take(app, &payment, step).await? {
            return Ok(outcome);
        }
    }
}

/// One step, and what Stripe's word on it makes of the document. None: go on with the next.
async fn take(app: &App, payment: &Payment, step: Step) -> Result<Option<Outcome>, Failure> {
    let (order, stripe, attempts) = (payment.order_id, &app.gateway, app.attempts);
    let at = Driver { app, order };
    let then = match step {
        Step::MakeIntent { key, attempt } => {
            let Order { amount, currency, .. } = &payment.order;
            let word = at.waiting_for(stripe.make_intent(order, key, *amount, currency)).await;
            let hear = |payment: &Payment, now| {
                payment.heard_of_intent(key, attempt, &word, attempts, now)
            };
            at.hear(hear).await?
        }
        Step::MakeMethod { key, token } => {
            let word = at.waiting_for(stripe.make_method(order, key, &token)).await;
            at.hear(|payment, now| payment.heard_of_method(key, &word, attempts, now)).await?
        }
        Step::Confirm { key, intent, method } => {
            let written = at.note(|payment, now| payment.sending(key, now)).await?;
            if !written.is_sent(key) {
                // The order has ended meanwhile, or someone has given the attempt up.
                return Ok(None);
            }
            let word = at.waiting_for(stripe.confirm(order, key, &intent, &method)).await;
            if let Err(trouble @ (Trouble::Refused { .. } | Trouble::Failed(_))) = &word {
                tracing::warn!(%order, %trouble, "Stripe did not confirm the payment");
            }
            at.hear(|payment, now| payment.heard_of_confirmation(key, &word, attempts, now)).await?
        }
        Step::Ask { key, intent } => {
            let word = at.waiting_for(stripe.ask(&intent)).await;
            at.hear(|payment, now| payment.heard_of_attempt(key, &word, attempts, now)).await?
        }
        Step::GiveUp { key } => {
            at.note(|payment, now| payment.given_up_unsent(key, attempts, now)).await?;
            Then::GoOn
        }
        Step::CancelIntent { intent } => {
            let word = match at.waiting_for(stripe.cancel(&intent)).await {
                // It is not in a state that can be canceled: which one is it in?
                Err(Trouble::Refused { .. } | Trouble::Failed(_)) => {
                    at.waiting_for(stripe.ask(&intent)).await
                }
                word => word,
            };
            at.hear(|payment, now| payment.heard_of_cancellation(&word, now)).await?
        }
        Step::Refund { key, intent } => {
            let Some(charge) = &payment.charge else { return Ok(None) };
            let word = at.waiting_for(stripe.refund(charge.id, key, &intent)).await;
            at.hear(|payment, now| payment.heard_of_refund(key, &word, now)).await?
        }
        Step::AskRefund { key, intent } => {
            let word = at.waiting_for(stripe.ask_refund(&intent)).await;
            at.hear(|payment, now| payment.heard_of_refunds(key, &word, now)).await?
        }
    };
    at.go_on(then).await
}

/// Writes what Stripe said onto an order's payment.
struct Driver<'a> {
    app: &'a App,
    order: OrderId,
}

impl Driver<'_> {
    /// Waits for Stripe, and keeps the others from taking the payment up meanwhile.
    async fn waiting_for<T>(&self, stripe: impl Future<Output = T>) -> T {
        let mut renewals = interval_at(Instant::now() + domain::RENEWAL, domain::RENEWAL);
        tokio::pin!(stripe);
        loop {
            tokio::select! {
                answer = &mut stripe => return answer,
                _ = renewals.tick() => {}
            }
            // Not in the select: a database driver's future isn't to be dropped half-way.
            if let Err(failure) = self.note(Payment::renewed).await {
                tracing::warn!(order = %self.order, ?failure, "could not renew the lease");
            }
        }
    }

    /// What Stripe said, written onto whatever the document has become.
    async fn hear(&self, hear: impl Fn(&Payment, Time) -> Heard) -> Result<Then, Failure> {
        let mut then = Then::GoOn;
        let now = self.app.clock.now();
        let write = |payment: &Payment| {
            let heard = hear(payment, now);
            then = heard.then;
            heard.change
        };
        self.write(write).await?;
        Ok(then)
    }

    /// A fact, written likewise. Answers with what the document is then.
    async fn note(
        &self,
        edit: impl Fn(&Payment, Time) -> Option<Change<Payment>>,
    ) -> Result<Payment, Failure> {
        let now = self.app.clock.now();
        self.write(|payment| edit(payment, now)).await
    }

    async fn write(
        &self,
        mut decide: impl FnMut(&Payment) -> Option<Change<Payment>>,
    ) -> Result<Payment, Failure> {
        let payments = &self.app.store.payments;
        let writing = payments.change(self.order, |payment| Ok::<_, Failure>(decide(payment)));
        let gone = || Failure::Transient(anyhow!("there is no payment of {}", self.order));
        writing.await?.ok_or_else(gone)
    }

    async fn go_on(&self, then: Then) -> Result<Option<Outcome>, Failure> {
        match then {
            Then::GoOn => Ok(None),
            Then::TokenRefused(message) => Ok(Some(Outcome::TokenRefused(message))),
            Then::NothingSent(trouble) => Ok(Some(Outcome::NothingSent(trouble))),
            Then::SentMeanwhile => Ok(Some(Outcome::Unknown)),
            Then::Wait(why) => self.later(&why).await.map(Some),
            Then::RefundFailed => {
                metrics::counter!("refunds_failed_total").increment(1);
                tracing::error!(order = %self.order, "the refund failed; trying again");
                self.later("the refund failed").await.map(Some)
            }
        }
    }

    /// No word from Stripe: again after a pause that grows with each failure.
    async fn later(&self, why: &str) -> Result<Outcome, Failure> {
        tracing::warn!(order = %self.order, why, "no word from Stripe yet");
        metrics::counter!("stripe_unknown_total").increment(1);
        self.note(|payment, now| {
            let doublings = u32::try_from(payment.failures.clamp(0, 7)).unwrap_or(0);
            payment.postponed(now + Duration::from_millis(200 * 2_u64.pow(doublings)))
        })
        .await?;
        Ok(Outcome::Unknown)
    }
}
