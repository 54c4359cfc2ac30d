//! The worker: does at Stripe what the documents say is to be done, until it is done.
//!
//! The buyer's own request drives its attempt; the worker takes over what a dead process, a silent
//! Stripe or an order's end left behind. Two that drive the same payment do no harm: each step carries
//! its idempotency key, and each fact is written by a guarded update.

use std::time::Duration;

use anyhow::anyhow;
use common::Time;
use common::bus::{Change, Failure};
use common::ids::OrderId;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::{Attempt, Charge, Payment};
use crate::gateway::{Intent, RefundWord, Trouble};
use crate::steps::Step;

/// How often the worker looks when nothing wakes it.
const PERIOD: Duration = Duration::from_millis(500);
/// How many payments it works on at once.
const CONCURRENCY: usize = 16;

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

pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(failure) = work(&app).await {
            tracing::warn!(?failure, "could not look for work; trying again");
        }
        tokio::select! {
            () = app.work.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Takes up everything that is due.
pub async fn work(app: &App) -> Result<(), Failure> {
    let due = app.store.due(app.clock.now()).await?;
    futures::stream::iter(due)
        .for_each_concurrent(CONCURRENCY, |order| async move {
            if let Err(failure) = take_up(app, order).await {
                tracing::warn!(%order, ?failure, "could not drive the payment; trying again");
            }
        })
        .await;
    Ok(())
}

async fn take_up(app: &App, order: OrderId) -> Result<(), Failure> {
    let mut taken = false;
    let now = app.clock.now();
    let taking = app.store.payments.change(order, |payment| {
        let change = payment.taken_up(now);
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
    let order = payment.order_id;
    let at = Driver { app, order };
    match step {
        Step::MakeIntent { key } => {
            let made =
                app.gateway.make_intent(order, key, payment.order.amount, &payment.order.currency);
            match made.await {
                Ok(intent) => at.note(|payment, now| payment.intent_made(&intent, now)).await?,
                Err(trouble) => {
                    if let Trouble::Failed(_) | Trouble::Refused { .. } = trouble {
                        at.note(|payment, now| payment.intent_key_spent(key, now)).await?;
                    }
                    return at.nothing_sent(payment, trouble).await.map(Some);
                }
            }
        }
        Step::MakeMethod { key, token } => {
            match app.gateway.make_method(order, key, &token).await {
                Ok(method) => {
                    at.note(|payment, now| payment.method_made(key, &method, now)).await?
                }
                Err(trouble) => return at.no_method(payment, key, trouble).await,
            }
        }
        Step::Confirm { key, intent, method } => {
            at.note(|payment, now| payment.sending(key, now)).await?;
            let word = app.gateway.confirm(order, key, &intent, &method).await;
            return at.confirmed(key, word).await;
        }
        Step::Ask { key, intent } => {
            let word = app.gateway.ask(&intent).await;
            return at.asked(payment, key, word).await;
        }
        Step::GiveUp { key } => {
            at.note(|payment, now| payment.given_up(key, app.attempts, now)).await?;
        }
        Step::CancelIntent { intent } => {
            let word = match app.gateway.cancel(&intent).await {
                // It is not in a state that can be canceled: which one is it in?
                Err(Trouble::Refused { .. } | Trouble::Failed(_)) => app.gateway.ask(&intent).await,
                word => word,
            };
            return at.settled_or_later(word).await;
        }
        Step::Refund { key, intent } => {
            let Some(charge) = &payment.charge else { return Ok(None) };
            let word = app.gateway.refund(charge.id, key, &intent).await;
            return at.refund_answered(key, word).await;
        }
        Step::AskRefund { key, intent } => {
            let word = app.gateway.ask_refund(&intent).await;
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
    /// A fact, written onto whatever the document has become.
    async fn note(
        &self,
        edit: impl Fn(&Payment, Time) -> Option<Change<Payment>>,
    ) -> Result<(), Failure> {
        let now = self.app.clock.now();
        self.app
            .store
            .payments
            .change(self.order, |payment| Ok::<_, Failure>(edit(payment, now)))
            .await?;
        Ok(())
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

    /// The attempt ends before a confirmation was sent.
    async fn nothing_sent(&self, payment: &Payment, trouble: Trouble) -> Result<Outcome, Failure> {
        if let Some(key) = attempt_key(payment) {
            self.note(|payment, now| payment.given_up(key, self.app.attempts, now)).await?;
        }
        Ok(Outcome::NothingSent(trouble))
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
                self.note(|payment, now| payment.given_up(key, self.app.attempts, now)).await?;
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
            Ok(Intent::Succeeded) => self.note(Payment::succeeded).await?,
            Ok(Intent::Canceled) => self.note(Payment::canceled).await?,
            Ok(Intent::Processing | Intent::Open { .. }) => {
                self.note(|payment, now| payment.must_ask(key, now)).await?;
            }
            Err(Trouble::Declined { code, charge }) => {
                self.declined(key, &code, charge.as_deref()).await?
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
            Ok(Intent::Succeeded) => self.note(Payment::succeeded).await?,
            Ok(Intent::Canceled) => self.note(Payment::canceled).await?,
            Ok(Intent::Processing) => return self.later("the payment is on its way").await,
            Ok(Intent::Open { charge, decline }) => {
                let seen = payment.charge.as_ref().and_then(|charge| charge.last_charge.as_ref());
                match (charge, decline) {
                    // A charge that we haven't heard of: this attempt's, and it was declined.
                    (Some(charge), Some(code)) if Some(&charge) != seen => {
                        self.declined(key, &code, Some(&charge)).await?;
                    }
                    _ if payment.takes_payment(self.app.clock.now()) => {
                        self.note(|payment, now| payment.attempt_key_spent(key, now)).await?;
                        if payment.failures > 1 {
                            return self.later("Stripe fails again and again").await;
                        }
                    }
                    _ => {
                        self.note(|payment, now| payment.given_up(key, self.app.attempts, now))
                            .await?
                    }
                }
            }
            Err(trouble) => return self.later(&trouble.to_string()).await,
        }
        Ok(None)
    }

    async fn declined(&self, key: i64, code: &str, charge: Option<&str>) -> Result<(), Failure> {
        self.note(|payment, now| payment.declined(key, code, charge, self.app.attempts, now)).await
    }

    async fn settled_or_later(
        &self,
        word: Result<Intent, Trouble>,
    ) -> Result<Option<Outcome>, Failure> {
        match word {
            Ok(Intent::Succeeded) => self.note(Payment::succeeded).await?,
            Ok(Intent::Canceled) => self.note(Payment::canceled).await?,
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
                self.note(|payment, now| payment.refunded(&id, now)).await?
            }
            Ok(RefundWord::Failed) => self.refund_failed(key).await?,
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
                self.note(|payment, now| payment.refunded(&id, now)).await?
            }
            Ok(Some(RefundWord::Pending)) => return self.later("the refund is on its way").await,
            Ok(Some(RefundWord::Failed) | None) => {
                self.refund_failed(key).await?;
                return self.later("the refund failed").await;
            }
            Err(trouble) => return self.later(&trouble.to_string()).await,
        }
        Ok(None)
    }

    async fn refund_failed(&self, key: i64) -> Result<(), Failure> {
        metrics::counter!("refunds_failed_total").increment(1);
        tracing::error!(order = %self.order, "the refund failed; trying again");
        self.note(|payment, now| payment.refund_key_spent(key, now)).await
    }
}

fn attempt_key(payment: &Payment) -> Option<i64> {
    let attempt = payment.charge.as_ref().and_then(|Charge { attempt, .. }| attempt.as_ref());
    attempt.map(|Attempt { key, .. }| *key)
}
