//! Sends what is due. Each mail is claimed with a lease that is renewed while the server is waited for: when the process
//! dies, another one sends it. Two processes at one mail are safe but for a duplicate, which has the same Message-ID.

use std::sync::Arc;
use std::time::Duration;

use common::Time;
use common::back_off::back_off;
use common::events::UserStatus;
use lettre::Message;
use store::Change;
use telemetry::spans;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::domain::{Mail, RENEWAL, UserReplica};
use crate::mailer::{Mailer, SendError};
use crate::message::Letterhead;
use crate::state::App;
use crate::store::Due;

/// How often the worker polls when nothing wakes it.
const PERIOD: Duration = Duration::from_millis(500);
/// What becomes due, and what has been sent, within this time is looked for together.
const GATHERING: Duration = Duration::from_millis(50);
/// How many mails are sent concurrently.
const CONCURRENCY: usize = 8;
/// The pauses after an attempt that has led to nothing; the longest is after a deferral (4xx).
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_DEFERRAL_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How often the backlog is counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// Sends what is due until it is cancelled, then finishes what it has begun.
pub async fn run(app: App, letterhead: Letterhead, mailer: Mailer, stop: CancellationToken) {
    let sender = Arc::new(Sender { app, letterhead, mailer });
    let (permits, tasks) = (Arc::new(Semaphore::new(CONCURRENCY)), TaskTracker::new());
    let app = &sender.app;
    while !stop.is_cancelled() {
        let Ok(first) = Arc::clone(&permits).acquire_owned().await else { return };
        tokio::time::sleep(GATHERING).await;
        // No more than can be sent at once: what is known of their orders must not get old.
        let limit = 1 + permits.available_permits();
        match app.store.due(app.clock.now(), limit).await {
            Ok(due) if !due.is_empty() => {
                let mut permit = Some(first);
                let ids = due.iter().map(|due| due.mail.id.clone());
                let traces = app.store.documents().traces(ids).await;
                for due in due {
                    let Some(permit) =
                        permit.take().or_else(|| Arc::clone(&permits).try_acquire_owned().ok())
                    else {
                        break;
                    };
                    let sender = Arc::clone(&sender);
                    let span = spans::work("work on mail", traces.of(&due.mail.id));
                    let work = async move {
                        if let Err(error) = sender.send(&due).await {
                            let id = &due.mail.id;
                            tracing::warn!(mail = %id, %error, "mail not handled, will retry");
                        }
                        drop(permit);
                    };
                    tasks.spawn(work.instrument(span));
                }
                continue;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "could not query due mails, will retry"),
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

/// Counts what is still to be sent, for the metrics, until it is cancelled.
pub async fn count(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.backlog().await {
            Ok((mails, oldest)) => {
                let age = oldest.map_or(Duration::ZERO, |oldest| oldest.until(app.clock.now()));
                metrics::gauge!("mails_queued").set(mails as f64);
                metrics::gauge!("mails_oldest_seconds").set(age.as_secs_f64());
            }
            Err(error) => tracing::debug!(%error, "could not count the queued mails"),
        }
        tokio::select! {
            () = tokio::time::sleep(COUNT_INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
}

struct Sender {
    app: App,
    letterhead: Letterhead,
    mailer: Mailer,
}

impl Sender {
    async fn send(&self, Due { mail, order, user }: &Due) -> store::Result<()> {
        let app = &self.app;
        let mut is_claimed = false;
        let now = app.clock.now();
        // Another process, or an earlier poll, may have been faster: then there is nothing to claim.
        let claim = |mail: &Mail| {
            let claim = mail.claim(now);
            is_claimed = claim.is_some();
            claim
        };
        let Some(mail) = app.store.record_on(mail, claim).await?.filter(|_| is_claimed) else {
            return Ok(());
        };
        if order.as_ref().is_some_and(|known| mail.is_outdated(&known.order)) {
            tracing::info!(mail = %mail.id, "mail suppressed: the order has changed since");
            return self
                .record(&mail, |mail, _| mail.suppress("the order has changed since"))
                .await;
        }
        match user {
            None => {
                let pause = pause(&mail, LONGEST_PAUSE);
                self.record(&mail, |mail, now| mail.await_address(pause, now)).await
            }
            Some(user) => match untrue(&mail, user, now) {
                Some(why) => {
                    tracing::info!(mail = %mail.id, why, "mail suppressed");
                    self.record(&mail, |mail, _| mail.suppress(why)).await
                }
                None => self.send_to(&mail, user).await,
            },
        }
    }

    async fn send_to(&self, mail: &Mail, user: &UserReplica) -> store::Result<()> {
        let outcome = match self.with_lease(mail, self.compose(mail, user)).await {
            Ok(message) => {
                let sending = self.mailer.send(&message, mail.kind.as_str());
                self.with_lease(mail, sending).await
            }
            Err(error) => Err(SendError::Refused(format!("it can't be written: {error:#}"))),
        };
        let (id, kind) = (&mail.id, mail.kind.as_str());
        match outcome {
            Ok(()) => {
                metrics::counter!("mails_sent_total", "kind" => kind).increment(1);
                tracing::info!(mail = %id, attempts = mail.attempts, "mail sent");
                self.record(mail, |mail, now| mail.accepted(mail.address_of(user), now)).await
            }
            Err(SendError::Refused(reason)) => {
                metrics::counter!("mails_failed_total", "kind" => kind).increment(1);
                tracing::error!(mail = %id, reason, "mail refused");
                self.record(mail, |mail, _| mail.refused(&reason)).await
            }
            Err(SendError::Deferred(reason)) => {
                metrics::counter!("mails_deferred_total").increment(1);
                tracing::warn!(mail = %id, reason, "mail deferred, will retry");
                let pause = pause(mail, LONGEST_DEFERRAL_PAUSE);
                self.record(mail, |mail, now| mail.deferred(&reason, pause, now)).await
            }
            Err(SendError::Unreachable(reason)) => {
                metrics::counter!("mails_unreachable_total").increment(1);
                tracing::warn!(mail = %id, reason, "mail server unreachable, will retry");
                let pause = pause(mail, LONGEST_PAUSE);
                self.record(mail, |mail, now| mail.postpone(&reason, pause, now)).await
            }
            Err(SendError::Unknown(reason)) => {
                metrics::counter!("mails_unknown_total").increment(1);
                tracing::warn!(mail = %id, reason, "mail outcome unknown, will retry");
                let pause = pause(mail, LONGEST_PAUSE);
                self.record(mail, |mail, now| mail.outcome_unknown(&reason, pause, now)).await
            }
        }
    }

    /// On a thread of its own: the codes of a large order take a moment to draw.
    async fn compose(&self, mail: &Mail, user: &UserReplica) -> anyhow::Result<Message> {
        let (letterhead, mail, user) = (self.letterhead.clone(), mail.clone(), user.clone());
        let now = self.app.clock.now();
        tokio::task::spawn_blocking(move || letterhead.compose(&mail, &user, now)).await?
    }

    /// Awaits the mail or its server, and renews the lease meanwhile.
    async fn with_lease<T>(&self, mail: &Mail, call: impl Future<Output = T>) -> T {
        let mut renewals = interval_at(Instant::now() + RENEWAL, RENEWAL);
        tokio::pin!(call);
        loop {
            tokio::select! {
                outcome = &mut call => return outcome,
                _ = renewals.tick() => {}
            }
            // Not in the select: a database driver's future must not be dropped before it is done.
            if let Err(error) = self.record(mail, Mail::renew_lease).await {
                tracing::warn!(mail = %mail.id, %error, "could not renew the lease");
            }
        }
    }

    async fn record(
        &self,
        known: &Mail,
        edit: impl Fn(&Mail, Time) -> Option<Change<Mail>>,
    ) -> store::Result<()> {
        let now = self.app.clock.now();
        self.app.store.record_on(known, |mail| edit(mail, now)).await.map(drop)
    }
}

/// Why a mail isn't sent, by what is known of its user.
fn untrue(mail: &Mail, user: &UserReplica, now: Time) -> Option<&'static str> {
    if user.status == UserStatus::Closed {
        return Some("the account is closed");
    }
    mail.link_over(user, now)
}

fn pause(mail: &Mail, longest: Duration) -> Duration {
    let failures = u32::try_from(mail.failures + 1).unwrap_or(u32::MAX);
    back_off(failures, FIRST_PAUSE, longest)
}
