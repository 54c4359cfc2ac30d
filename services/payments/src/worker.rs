//! Executes the Stripe steps that a payment's document requires, until none is left.
//!
//! The buyer's own request executes its attempt's steps; the background worker takes over after a crash, when Stripe
//! doesn't respond, and when an order ends. A process that executes steps renews its lease, so that others wait. Two
//! processes at one payment are safe nevertheless: a confirmation is marked as sent before it is sent, each step has an
//! idempotency key, and each result is recorded by a conditional update.

use std::time::Duration;

use bus::Failure;
use common::Time;
use common::back_off::back_off;
use common::ids::OrderId;
use store::Change;
use telemetry::spans;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::domain::{self, GatewayError, Next, OrderPayment, Step, StripeResult, Transition};
use crate::state::App;

/// How often the worker polls when nothing wakes it.
const PERIOD: Duration = Duration::from_millis(500);
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

/// The background worker: executes what is due until it is cancelled, then finishes what this process has begun.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.find_due(app.clock.now()).await {
            Ok(due) => {
                let ids = due.iter().map(|payment| payment.order_id);
                let traces = app.store.documents().traces(ids).await;
                for payment in due {
                    let Some(permit) = app.executions.acquire().await else { return };
                    let worker = app.clone();
                    let span = spans::work("work on payment", traces.of(payment.order_id));
                    let work = async move {
                        let order = payment.order_id;
                        report(order, claim_and_execute(&worker, payment).await);
                    };
                    app.executions.spawn(permit, work.instrument(span));
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
    app.executions.finish().await;
}

/// Executes the steps of a payment whose lease this process has.
pub async fn execute(app: App, payment: OrderPayment) {
    report(payment.order_id, execute_steps(&app, payment).await);
}

fn report<T>(order: OrderId, executed: Result<T, Failure>) {
    if let Err(failure) = executed {
        tracing::warn!(%order, ?failure, "payment step failed, will retry");
    }
}

/// Another process, or this worker's previous poll, may have been faster: then there is nothing to claim.
///
/// A claim that abandons an attempt ends there. The buyer, who may pay again at once, owns the payment now, and two
/// processes that send the same request concurrently delay each other. Other steps are due, and found by the next poll.
async fn claim_and_execute(app: &App, payment: OrderPayment) -> Result<(), Failure> {
    let (payment, is_claimed) = claim(app, &payment).await?;
    if is_claimed {
        execute_steps(app, payment).await?;
    }
    Ok(())
}

async fn claim(app: &App, payment: &OrderPayment) -> Result<(OrderPayment, bool), Failure> {
    let mut claimed = false;
    let now = app.clock.now();
    let claim = |payment: &OrderPayment| {
        let change = payment.claim(app.limits, now);
        claimed = change.as_ref().is_some_and(|change| change.thing.is_leased(now));
        change
    };
    let payment = app.store.record_on(payment, claim).await?;
    Ok((payment, claimed))
}

/// Executes one step after the other until none is left, or an outcome is unknown, beginning with the payment as it was last
/// read or written. Returns it as it is then.
///
/// It is not read between the steps: each result is written if the document is as it was, and otherwise onto what it has
/// become, which the next step then follows from.
pub async fn execute_steps(
    app: &App,
    mut payment: OrderPayment,
) -> Result<(Outcome, OrderPayment), Failure> {
    let executor = Executor { app, order: payment.order_id };
    loop {
        let now = app.clock.now();
        let Some(step) = payment.next_step(app.limits, now) else {
            if payment.next_run_at.is_some() {
                let idle = |payment: &OrderPayment, now| payment.idle(app.limits, now);
                payment = executor.record(&payment, idle).await?;
                // An event of the order has arrived meanwhile.
                if payment.next_step(app.limits, now).is_some() {
                    continue;
                }
            }
            return Ok((Outcome::Settled, payment));
        };
        // What follows once an attempt has ended is executed by whoever claims it.
        if !payment.is_leased(now) && !payment.has_attempt() {
            let (now_is, is_claimed) = claim(app, &payment).await?;
            payment = now_is;
            if !is_claimed {
                return Ok((Outcome::Settled, payment));
            }
            // It may have become another payment.
            continue;
        }
        tracing::debug!(order = %payment.order_id, ?step, "executing Stripe step");
        let (next, written) = executor.execute(payment, step).await?;
        payment = written;
        if let Some(outcome) = executor.outcome(&payment, next).await? {
            return Ok((outcome, payment));
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
    let payment = app.store.record_on(&payment, record).await?;
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
    /// Executes one step, and applies Stripe's result to the document, which is returned.
    async fn execute(
        &self,
        payment: OrderPayment,
        step: Step,
    ) -> Result<(Next, OrderPayment), Failure> {
        let (order, stripe, limits) = (self.order, &self.app.gateway, self.app.limits);
        match step {
            Step::Prepare { attempt, intent, token } => {
                let total = payment.order.total();
                let create_intent = async {
                    let number = intent?;
                    Some((number, stripe.create_intent(order, number, &total).await))
                };
                let create_method = async {
                    let token = token?;
                    Some(stripe.create_payment_method(order, attempt, &token).await)
                };
                let calls = async { tokio::join!(create_intent, create_method) };
                let (intent, method) = self.with_lease(calls).await;
                let intent = intent.as_ref().map(|(number, result)| (*number, result));
                self.apply(payment, |payment, now| {
                    payment.on_prepared(attempt, intent, method.as_ref(), limits, now)
                })
                .await
            }
            Step::Confirm { number, intent, method } => {
                let mut payment = payment;
                if !payment.is_sent(number) {
                    let mark_sent = |payment: &OrderPayment, now| payment.mark_sent(number, now);
                    payment = self.record(&payment, mark_sent).await?;
                }
                if !payment.is_sent(number) {
                    // The order has ended meanwhile, or another process has abandoned the attempt.
                    return Ok((Next::Continue, payment));
                }
                let total = payment.order.total();
                let return_url = self.app.return_url(order);
                let call = stripe.confirm(order, number, &intent, &method, &return_url, &total);
                let result = self.with_lease(call).await;
                self.log_unconfirmed(&result);
                let confirmed = |payment: &OrderPayment, now| {
                    payment.on_confirmation(number, &result, limits, now)
                };
                self.apply(payment, confirmed).await
            }
            Step::RetrieveIntent { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_intent(&intent, &payment.order.total())).await;
                self.apply(payment, |payment, now| {
                    payment.on_attempt_retrieved(number, &result, limits, now)
                })
                .await
            }
            Step::AbandonAttempt { number } => {
                let abandon = |payment: &OrderPayment, now| {
                    payment.abandon_unsent_attempt(number, limits, now)
                };
                Ok((Next::Continue, self.record(&payment, abandon).await?))
            }
            Step::BeginCancelling => {
                let begin = |payment: &OrderPayment, now| payment.begin_cancelling(limits, now);
                Ok((Next::Continue, self.record(&payment, begin).await?))
            }
            Step::Capture { number, intent } => {
                let total = payment.order.total();
                let Some(id) = payment.payment.as_ref().map(|payment| payment.id) else {
                    return Ok((Next::Continue, payment));
                };
                let call = stripe.capture(id, number, &intent, &total);
                let result = self.with_lease(call).await;
                self.apply(payment, |payment, now| payment.on_capture(number, &result, limits, now))
                    .await
            }
            Step::RetrieveCapture { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_intent(&intent, &payment.order.total())).await;
                self.apply(payment, |payment, now| {
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
                self.apply(payment, |payment, now| payment.on_cancellation(&result, limits, now))
                    .await
            }
            Step::CreateRefund { number, intent, amount } => {
                let total = payment.order.total();
                let Some(id) = payment.payment.as_ref().map(|payment| payment.id) else {
                    return Ok((Next::Continue, payment));
                };
                let call = stripe.create_refund(id, number, &intent, amount, &total);
                let result = self.with_lease(call).await;
                self.apply(payment, |payment, now| payment.on_refund(number, &result, limits, now))
                    .await
            }
            Step::RetrieveRefunds { number, intent } => {
                let result =
                    self.with_lease(stripe.retrieve_refunds(&intent, &payment.order.total())).await;
                self.apply(payment, |payment, now| {
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
            let now = self.app.clock.now();
            let renew = |payment: &OrderPayment| payment.renew_lease(now);
            // Not in the select: a database driver's future must not be dropped before it is done.
            if let Err(failure) = self.app.store.record(self.order, renew).await {
                tracing::warn!(order = %self.order, ?failure, "could not renew the lease");
            }
        }
    }

    /// Applies Stripe's result to whatever the document has become, which is returned.
    async fn apply(
        &self,
        known: OrderPayment,
        decide: impl Fn(&OrderPayment, Time) -> Transition,
    ) -> Result<(Next, OrderPayment), Failure> {
        let mut next = Next::Continue;
        let now = self.app.clock.now();
        let decide = |payment: &OrderPayment| {
            let transition = decide(payment, now);
            next = transition.next;
            transition.change
        };
        let payment = self.app.store.record_on(&known, decide).await?;
        Ok((next, payment))
    }

    /// Records a fact. Returns the document after that.
    async fn record(
        &self,
        known: &OrderPayment,
        edit: impl Fn(&OrderPayment, Time) -> Option<Change<OrderPayment>>,
    ) -> Result<OrderPayment, Failure> {
        let now = self.app.clock.now();
        self.app.store.record_on(known, |payment| edit(payment, now)).await
    }

    /// None: the next step follows.
    async fn outcome(
        &self,
        payment: &OrderPayment,
        next: Next,
    ) -> Result<Option<Outcome>, Failure> {
        match next {
            Next::Continue => Ok(None),
            Next::InvalidToken(message) => Ok(Some(Outcome::InvalidToken(message))),
            Next::NothingSent(error) => Ok(Some(Outcome::NothingSent(error))),
            Next::SentConcurrently => Ok(Some(Outcome::Unknown)),
            Next::Retry(why) => self.retry_later(payment, &why).await.map(Some),
            Next::RetryRefund => {
                metrics::counter!("refunds_failed_total").increment(1);
                tracing::error!(order = %self.order, "refund failed, will retry");
                self.retry_later(payment, "the refund failed").await.map(Some)
            }
        }
    }

    /// The next run is after a pause that grows with each failure.
    async fn retry_later(&self, payment: &OrderPayment, why: &str) -> Result<Outcome, Failure> {
        tracing::warn!(order = %self.order, why, "Stripe outcome unknown, will retry");
        metrics::counter!("stripe_unknown_total").increment(1);
        self.record(payment, |payment, now| {
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
