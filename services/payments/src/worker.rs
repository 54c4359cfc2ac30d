//! Executes the Stripe steps that a payment's document requires, until none is left.
//!
//! The buyer's own request executes its attempt's steps; the background worker takes over after a crash, when Stripe
//! doesn't respond, and when an order ends. A process that executes steps renews its lease, so that others wait. Two
//! processes at one payment are safe nevertheless: a confirmation is marked as sent before it is sent, each step has an
//! idempotency key, and each result is recorded by a conditional update.

use std::sync::Arc;
use std::time::Duration;

use bus::Failure;
use common::Time;
use common::back_off::back_off;
use common::ids::OrderId;
use store::Change;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::{self, GatewayError, Next, OrderPayment, Step, StripeResult, Transition};
use crate::state::App;

/// How often the worker polls when nothing wakes it.
const PERIOD: Duration = Duration::from_millis(500);
/// How many payments it works on concurrently: payments for which Stripe doesn't respond must not block the others.
const CONCURRENCY: usize = 64;
/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest before it is parked.
const LONGEST_PAUSE: Duration = Duration::from_millis(25_600);
/// The first of a parked payment.
const FIRST_PARKED_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PARKED_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How the execution of a payment's steps ended.
#[derive(Debug)]
pub enum Outcome {
    /// No step is left: the document contains the result.
    Settled,
    /// Stripe doesn't know the card token.
    InvalidToken(String),
    /// Stripe could not be reached before anything was charged, and no confirmation was sent.
    NothingSent(GatewayError),
    /// The outcome is unknown; the background worker retries.
    Unknown,
}

/// The background worker: executes what is due until it is cancelled, then finishes what it has begun.
pub async fn run(app: App, stop: CancellationToken) {
    let (permits, tasks) = (Arc::new(Semaphore::new(CONCURRENCY)), TaskTracker::new());
    while !stop.is_cancelled() {
        match app.store.find_due(app.clock.now()).await {
            Ok(due) => {
                for order in due {
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                    let app = app.clone();
                    tasks.spawn(async move {
                        if let Err(failure) = claim_and_execute(&app, order).await {
                            tracing::warn!(%order, ?failure, "payment step failed, will retry");
                        }
                        drop(permit);
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "could not query due payments, will retry"),
        }
        tokio::select! {
            () = app.wake_worker.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Another process, or this worker's previous poll, may have been faster: then there is nothing to claim.
///
/// A claim that abandons an attempt ends there. The buyer, who may pay again at once, owns the payment now, and two
/// processes that send the same request concurrently delay each other. Other steps are due, and found by the next poll.
async fn claim_and_execute(app: &App, order: OrderId) -> Result<(), Failure> {
    if claim(app, order).await? {
        execute_steps(app, order).await?;
    }
    Ok(())
}

async fn claim(app: &App, order: OrderId) -> Result<bool, Failure> {
    let mut claimed = false;
    let now = app.clock.now();
    let claim = |payment: &OrderPayment| {
        let change = payment.claim(app.limits, now);
        claimed = change.as_ref().is_some_and(|change| change.thing.is_leased(now));
        change
    };
    app.store.record(order, claim).await?;
    Ok(claimed)
}

/// Executes one step after the other until none is left, or an outcome is unknown.
pub async fn execute_steps(app: &App, order: OrderId) -> Result<Outcome, Failure> {
    let executor = Executor { app, order };
    loop {
        let payment = app.store.load(order).await?;
        let now = app.clock.now();
        let Some(step) = payment.next_step(app.limits, now) else {
            if payment.next_run_at.is_some() {
                let idle = |payment: &OrderPayment, now| payment.idle(app.limits, now);
                let payment = executor.record(idle).await?;
                // An event of the order has arrived meanwhile.
                if payment.next_step(app.limits, now).is_some() {
                    continue;
                }
            }
            return Ok(Outcome::Settled);
        };
        // What follows once an attempt has ended is executed by whoever claims it.
        let is_claimed = payment.is_leased(now) || payment.has_attempt();
        if !is_claimed && !claim(app, order).await? {
            return Ok(Outcome::Settled);
        }
        tracing::debug!(%order, ?step, "executing Stripe step");
        let next = executor.execute(&payment, step).await?;
        if let Some(outcome) = executor.outcome(next).await? {
            return Ok(outcome);
        }
    }
}

/// Retrieves the PaymentIntent of a payment that waits for the buyer's bank, and records what has become of it.
pub async fn refresh(app: &App, order: OrderId) -> Result<(), Failure> {
    let payment = app.store.load(order).await?;
    let Some((number, intent)) = payment.awaited_intent() else { return Ok(()) };
    let state = match app.gateway.retrieve_intent(intent, &payment.order.total()).await {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%order, %error, "could not retrieve the PaymentIntent");
            return Ok(());
        }
    };
    let now = app.clock.now();
    let record =
        |payment: &OrderPayment| payment.record_attempt_state(number, &state, app.limits, now);
    let payment = app.store.record(order, record).await?;
    if payment.next_run_at.is_some() {
        app.wake_worker.notify_one();
    }
    Ok(())
}

/// Executes steps of one order's payment, and records their results.
struct Executor<'a> {
    app: &'a App,
    order: OrderId,
}

impl Executor<'_> {
    /// Executes one step, and applies Stripe's result to the document.
    async fn execute(&self, payment: &OrderPayment, step: Step) -> Result<Next, Failure> {
        let (order, stripe, limits) = (self.order, &self.app.gateway, self.app.limits);
        match step {
            Step::CreateIntent { number, attempt } => {
                let total = payment.order.total();
                let call = stripe.create_intent(order, number, &total);
                let result = self.with_lease(call).await;
                self.apply(|payment, now| {
                    payment.on_intent_created(number, attempt, &result, limits, now)
                })
                .await
            }
            Step::CreatePaymentMethod { number, token } => {
                let call = stripe.create_payment_method(order, number, &token);
                let result = self.with_lease(call).await;
                self.apply(|payment, now| {
                    payment.on_payment_method_created(number, &result, limits, now)
                })
                .await
            }
            Step::Confirm { number, intent, method } => {
                let marked = self.record(|payment, now| payment.mark_sent(number, now)).await?;
                if !marked.is_sent(number) {
                    // The order has ended meanwhile, or another process has abandoned the attempt.
                    return Ok(Next::Continue);
                }
                let total = payment.order.total();
                let return_url = self.app.return_url(order);
                let call = stripe.confirm(order, number, &intent, &method, &return_url, &total);
                let result = self.with_lease(call).await;
                self.log_unconfirmed(&result);
                self.apply(|payment, now| payment.on_confirmation(number, &result, limits, now))
                    .await
            }
            Step::RetrieveIntent { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_intent(&intent, &payment.order.total())).await;
                self.apply(|payment, now| {
                    payment.on_attempt_retrieved(number, &result, limits, now)
                })
                .await
            }
            Step::AbandonAttempt { number } => {
                self.record(|payment, now| payment.abandon_unsent_attempt(number, limits, now))
                    .await?;
                Ok(Next::Continue)
            }
            Step::BeginCancelling => {
                self.record(|payment, now| payment.begin_cancelling(limits, now)).await?;
                Ok(Next::Continue)
            }
            Step::Capture { number, intent } => {
                let total = payment.order.total();
                let Some(payment) = &payment.payment else { return Ok(Next::Continue) };
                let call = stripe.capture(payment.id, number, &intent, &total);
                let result = self.with_lease(call).await;
                self.apply(|payment, now| payment.on_capture(number, &result, limits, now)).await
            }
            Step::RetrieveCapture { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_intent(&intent, &payment.order.total())).await;
                self.apply(|payment, now| {
                    payment.on_capture_retrieved(number, &result, limits, now)
                })
                .await
            }
            Step::CancelIntent { intent } => {
                let total = payment.order.total();
                let result = match self.with_lease(stripe.cancel_intent(&intent, &total)).await {
                    // Its state doesn't allow it: which state is that?
                    Err(GatewayError::Refused { .. } | GatewayError::Failed(_)) => {
                        self.with_lease(stripe.retrieve_intent(&intent, &total)).await
                    }
                    result @ (Ok(_)
                    | Err(
                        GatewayError::Declined { .. }
                        | GatewayError::Unknown(_)
                        | GatewayError::Mismatch(_),
                    )) => result,
                };
                self.apply(|payment, now| payment.on_cancellation(&result, limits, now)).await
            }
            Step::CreateRefund { number, intent, amount } => {
                let total = payment.order.total();
                let Some(payment) = &payment.payment else { return Ok(Next::Continue) };
                let call = stripe.create_refund(payment.id, number, &intent, amount, &total);
                let result = self.with_lease(call).await;
                self.apply(|payment, now| payment.on_refund(number, &result, limits, now)).await
            }
            Step::RetrieveRefunds { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_refunds(&intent, &payment.order.total())).await;
                self.apply(|payment, now| {
                    payment.on_refunds_retrieved(number, &result, limits, now)
                })
                .await
            }
        }
    }

    /// Awaits Stripe's result, and renews the lease meanwhile.
    async fn with_lease<T>(&self, call: impl Future<Output = T>) -> T {
        let mut renewals = interval_at(Instant::now() + domain::RENEWAL, domain::RENEWAL);
        tokio::pin!(call);
        loop {
            tokio::select! {
                result = &mut call => return result,
                _ = renewals.tick() => {}
            }
            // Not in the select: a database driver's future must not be dropped before it is done.
            if let Err(failure) = self.record(OrderPayment::renew_lease).await {
                tracing::warn!(order = %self.order, ?failure, "could not renew the lease");
            }
        }
    }

    /// Applies Stripe's result to whatever the document has become.
    async fn apply(
        &self,
        decide: impl Fn(&OrderPayment, Time) -> Transition,
    ) -> Result<Next, Failure> {
        let mut next = Next::Continue;
        let now = self.app.clock.now();
        let decide = |payment: &OrderPayment| {
            let transition = decide(payment, now);
            next = transition.next;
            transition.change
        };
        self.app.store.record(self.order, decide).await?;
        Ok(next)
    }

    /// Records a fact. Returns the document after that.
    async fn record(
        &self,
        edit: impl Fn(&OrderPayment, Time) -> Option<Change<OrderPayment>>,
    ) -> Result<OrderPayment, Failure> {
        let now = self.app.clock.now();
        self.app.store.record(self.order, |payment| edit(payment, now)).await
    }

    /// None: the next step follows.
    async fn outcome(&self, next: Next) -> Result<Option<Outcome>, Failure> {
        match next {
            Next::Continue => Ok(None),
            Next::InvalidToken(message) => Ok(Some(Outcome::InvalidToken(message))),
            Next::NothingSent(error) => Ok(Some(Outcome::NothingSent(error))),
            Next::SentConcurrently => Ok(Some(Outcome::Unknown)),
            Next::Retry(why) => self.retry_later(&why).await.map(Some),
            Next::RetryRefund => {
                metrics::counter!("refunds_failed_total").increment(1);
                tracing::error!(order = %self.order, "refund failed, will retry");
                self.retry_later("the refund failed").await.map(Some)
            }
        }
    }

    /// The next run is after a pause that grows with each failure.
    async fn retry_later(&self, why: &str) -> Result<Outcome, Failure> {
        tracing::warn!(order = %self.order, why, "Stripe outcome unknown, will retry");
        metrics::counter!("stripe_unknown_total").increment(1);
        self.record(|payment, now| {
            let failures = u32::try_from(payment.failures + 1).unwrap_or(u32::MAX);
            payment.postpone(now + pause(failures), now)
        })
        .await?;
        Ok(Outcome::Unknown)
    }

    fn log_unconfirmed<T>(&self, result: &StripeResult<T>) {
        if let Err(error @ (GatewayError::Refused { .. } | GatewayError::Failed(_))) = result {
            tracing::warn!(order = %self.order, %error, "Stripe did not confirm the payment");
        }
    }
}

/// An outage of some minutes is survived with short pauses. What still fails then needs a person, and isn't urgent for Stripe.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(domain::PARKED_AFTER) {
        None => back_off(failures, FIRST_PAUSE, LONGEST_PAUSE),
        Some(since) => back_off(since + 1, FIRST_PARKED_PAUSE, LONGEST_PARKED_PAUSE),
    }
}
