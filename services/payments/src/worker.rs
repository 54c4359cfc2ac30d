//! The worker: does at Stripe what the documents say is to be done, until it is done.
//!
//! The buyer's own request drives its attempt; the worker takes over what a dead process, a silent
//! Stripe or an order's end left behind. Whoever is at a payment renews its lease, so that others leave
//! it alone. Two that drive the same payment all the same do no harm: what is sent is written down as
//! sent before, each step carries its idempotency key, and each fact is written by a guarded update.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use common::Time;
use common::bus::{Change, Failure};
use common::ids::OrderId;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::domain::{self, Attempt, Charge, Payment};
use crate::gateway::{Intent, RefundWord, Trouble};
use crate::steps::Step;

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
async fn take_up(app: &App, order: OrderId) -> Result<(), Failure> {
    let mut taken = false;
    let now = app.clock.now();
    let taking = app.store.payments.change(order, |payment| {
        let change = payment.taken_up(app.attempts, now);
        taken = change.is_some();
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
            return Err(Failure::Later(anyhow!("there is no payment of {order}")));
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

/// One step. None: go on with the next.
async fn take(app: &App, payment: &Payment, step: Step) -> Result<Option<Outcome>, Failure> {
    let (order, stripe) = (payment.order_id, &app.gateway);
    let at = Driver { app, order };
    match step {
        Step::MakeIntent { key } => {
            let (amount, currency) = (payment.order.amount, &payment.order.currency);
            match at.waiting_for(stripe.make_intent(order, key, amount, currency)).await {
                Ok(intent) => {
                    at.note(|payment, now| payment.intent_made(&intent, now)).await?;
                }
                Err(trouble) => {
                    if let Trouble::Failed(_) | Trouble::Refused { .. } = trouble {
                        at.note(|payment, now| payment.intent_key_spent(key, now)).await?;
                    }
                    return at.nothing_sent(payment, trouble).await.map(Some);
                }
            }
        }
        Step::MakeMethod { key, token } => {
            match at.waiting_for(stripe.make_method(order, key, &token)).await {
                Ok(method) => {
                    at.note(|payment, now| payment.method_made(key, &method, now)).await?;
                }
                Err(trouble) => return at.no_method(payment, key, trouble).await,
            }
        }
        Step::Confirm { key, intent, method } => {
            let written = at.note(|payment, now| payment.sending(key, now)).await?;
            // Else the order has ended meanwhile, or someone has given the attempt up.
            if written.is_sent(key) {
                let word = at.waiting_for(stripe.confirm(order, key, &intent, &method)).await;
                return at.confirmed(key, word).await;
            }
        }
        Step::Ask { key, intent } => {
            let word = at.waiting_for(stripe.ask(&intent)).await;
            return at.asked(payment, key, word).await;
        }
        Step::GiveUp { key } => {
            at.note(|payment, now| payment.given_up_unsent(key, app.attempts, now)).await?;
        }
        Step::CancelIntent { intent } => {
            let word = match at.waiting_for(stripe.cancel(&intent)).await {
                // It is not in a state that can be canceled: which one is it in?
                Err(Trouble::Refused { .. } | Trouble::Failed(_)) => {
                    at.waiting_for(stripe.ask(&intent)).await
                }
                word => word,
            };
            return at.settled_or_later(word).await;
        }
        Step::Refund { key, intent } => {
            let Some(charge) = &payment.charge else { return Ok(None) };
            let word = at.waiting_for(stripe.refund(charge.id, key, &intent)).await;
            return at.refund_answered(key, word).await;
        }
        Step::AskRefund { key, intent } => {
            let word = at.waiting_for(stripe.ask_refund(&intent)).await;
            return at.refund_asked(key, word).await;
        }
    }
    Ok(None)
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

    /// A fact, written onto whatever the document has become. Answers with what it is then.
    async fn note(
        &self,
        edit: impl Fn(&Payment, Time) -> Option<Change<Payment>>,
    ) -> Result<Payment, Failure> {
        let now = self.app.clock.now();
        let noting = self
            .app
            .store
            .payments
            .change(self.order, |payment| Ok::<_, Failure>(edit(payment, now)));
        let gone = || Failure::Later(anyhow!("there is no payment of {}", self.order));
        noting.await?.ok_or_else(gone)
    }

    /// No word from Stripe: again after a pause that grows with each failure.
    async fn later(&self, why: &str) -> Result<Option<Outcome>, Failure> {
        tracing::warn!(order = %self.order, why, "no word from Stripe yet");
        metrics::counter!("stripe_unknown_total").increment(1);
        self.note(|payment, now| {
            let doublings = u32::try_from(payment.failures.clamp(0, 7)).unwrap_or(0);
            payment.postponed(now + Duration::from_millis(200 * 2_u64.pow(doublings)))
        })
        .await?;
        Ok(Some(Outcome::Unknown))
    }

    /// The attempt ends before a confirmation was sent, unless someone else who is at it has sent one.
    async fn nothing_sent(&self, payment: &Payment, trouble: Trouble) -> Result<Outcome, Failure> {
        let Some(key) = attempt_key(payment) else { return Ok(Outcome::NothingSent(trouble)) };
        let ended = self.note(|payment, now| payment.given_up_unsent(key, self.app.attempts, now));
        let sent = ended.await?.is_sent(key);
        Ok(if sent { Outcome::Unknown } else { Outcome::NothingSent(trouble) })
    }

    async fn no_method(
        &self,
        payment: &Payment,
        key: i64,
        trouble: Trouble,
    ) -> Result<Option<Outcome>, Failure> {
        match trouble {
            Trouble::Declined { code, charge } => {
                self.declined(key, &code, charge.as_deref()).await?;
                Ok(None)
            }
            Trouble::Refused { message, .. } => {
                self.note(|payment, now| payment.given_up_unsent(key, self.app.attempts, now))
                    .await?;
                Ok(Some(Outcome::TokenRefused(message)))
            }
            Trouble::Failed(_) | Trouble::Unknown(_) => {
                self.nothing_sent(payment, trouble).await.map(Some)
            }
        }
    }

    async fn confirmed(
        &self,
        key: i64,
        word: Result<Intent, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(Intent::Succeeded) => {
                self.note(Payment::succeeded).await?;
            }
            Ok(Intent::Canceled) => {
                self.note(Payment::canceled).await?;
            }
            Ok(Intent::Processing | Intent::Open { .. }) => {
                self.note(|payment, now| payment.must_ask(key, now)).await?;
            }
            Err(Trouble::Declined { code, charge }) => {
                self.declined(key, &code, charge.as_deref()).await?;
            }
            Err(Trouble::Refused { code, param, message }) => {
                let unexpected = code.as_deref() == Some("payment_intent_unexpected_state");
                if unexpected || param.as_deref() != Some("payment_method") {
                    tracing::warn!(order = %self.order, message, "Stripe refused the confirmation");
                    self.note(|payment, now| payment.must_ask(key, now)).await?;
                } else {
                    self.note(|payment, now| payment.given_up(key, self.app.attempts, now)).await?;
                    return Ok(Some(Outcome::TokenRefused(message)));
                }
            }
            Err(Trouble::Failed(why)) => {
                tracing::warn!(order = %self.order, why, "Stripe failed; asking what became of it");
                self.note(|payment, now| payment.must_ask(key, now)).await?;
            }
            Err(Trouble::Unknown(why)) => return self.later(&why).await,
        }
        Ok(None)
    }

    async fn asked(
        &self,
        payment: &Payment,
        key: i64,
        word: Result<Intent, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(Intent::Succeeded) => {
                self.note(Payment::succeeded).await?;
            }
            Ok(Intent::Canceled) => {
                self.note(Payment::canceled).await?;
            }
            Ok(Intent::Processing) => return self.later("the payment is on its way").await,
            Ok(Intent::Open { charge, decline }) => {
                let seen = payment.charge.as_ref().and_then(|charge| charge.last_charge.as_ref());
                match (charge, decline) {
                    // A charge that we haven't heard of: this attempt's, and it was declined.
                    (Some(charge), Some(code)) if Some(&charge) != seen => {
                        self.declined(key, &code, Some(&charge)).await?;
                    }
                    // Nothing has happened: once more, if there is time.
                    _ if payment.failures <= 1 && payment.takes_payment(self.app.clock.now()) => {
                        self.note(|payment, now| payment.attempt_key_spent(key, now)).await?;
                    }
                    _ => {
                        let ending =
                            self.note(|payment, now| payment.given_up(key, self.app.attempts, now));
                        // Else the order has ended, and that is what the buyer is told.
                        if ending.await?.takes_payment(self.app.clock.now()) {
                            let why = Trouble::Failed("Stripe fails again and again".to_owned());
                            return Ok(Some(Outcome::NothingSent(why)));
                        }
                    }
                }
            }
            Err(trouble) => return self.later(&trouble.to_string()).await,
        }
        Ok(None)
    }

    async fn declined(&self, key: i64, code: &str, charge: Option<&str>) -> Result<(), Failure> {
        self.note(|payment, now| payment.declined(key, code, charge, self.app.attempts, now))
            .await?;
        Ok(())
    }

    async fn settled_or_later(
        &self,
        word: Result<Intent, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(Intent::Succeeded) => {
                self.note(Payment::succeeded).await?;
            }
            Ok(Intent::Canceled) => {
                self.note(Payment::canceled).await?;
            }
            Ok(Intent::Processing | Intent::Open { .. }) => {
                return self.later("not canceled yet").await;
            }
            Err(trouble) => return self.later(&trouble.to_string()).await,
        }
        Ok(None)
    }

    async fn refund_answered(
        &self,
        key: i64,
        word: Result<RefundWord, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(RefundWord::Succeeded { id }) => {
                self.note(|payment, now| payment.refunded(&id, now)).await?;
            }
            Ok(RefundWord::Failed) => return self.refund_failed(key).await,
            Ok(RefundWord::Pending) => {
                self.note(|payment, now| payment.must_ask_refund(key, now)).await?;
                return self.later("the refund is on its way").await;
            }
            // Among them *already refunded*, which is success: the refunds that there are tell.
            Err(Trouble::Refused { .. } | Trouble::Declined { .. } | Trouble::Failed(_)) => {
                self.note(|payment, now| payment.must_ask_refund(key, now)).await?;
            }
            Err(Trouble::Unknown(why)) => return self.later(&why).await,
        }
        Ok(None)
    }

    async fn refund_asked(
        &self,
        key: i64,
        word: Result<Option<RefundWord>, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(Some(RefundWord::Succeeded { id })) => {
                self.note(|payment, now| payment.refunded(&id, now)).await?;
            }
            Ok(Some(RefundWord::Pending)) => return self.later("the refund is on its way").await,
            Ok(Some(RefundWord::Failed) | None) => return self.refund_failed(key).await,
            Err(trouble) => return self.later(&trouble.to_string()).await,
        }
        Ok(None)
    }

    /// Again, under a new key, after a pause.
    async fn refund_failed(&self, key: i64) -> Result<Option<Outcome>, Failure> {
        metrics::counter!("refunds_failed_total").increment(1);
        tracing::error!(order = %self.order, "the refund failed; trying again");
        self.note(|payment, now| payment.refund_key_spent(key, now)).await?;
        self.later("the refund failed").await
    }
}

fn attempt_key(payment: &Payment) -> Option<i64> {
    let attempt = payment.charge.as_ref().and_then(|Charge { attempt, .. }| attempt.as_ref());
    attempt.map(|Attempt { key, .. }| *key)
}
