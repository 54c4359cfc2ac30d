//! Which session tokens are refused, as every process that verifies some knows it: restored from the service's own copy at
//! the start, and followed on the bus from then on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bus::{Bus, WatchEvent};
use common::back_off::back_off;
use common::events::Stream;
use common::{Clock, Time};
use httpkit::revocations::RETENTION;
use httpkit::{Revocation, Revocations};
use store::RevocationCopy;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a process that has started waits for what was revoked recently. It is ready after that, too: requests need
/// MongoDB, not the broker.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Follows the revocations of this process.
#[derive(Clone)]
pub(crate) struct RevocationFeed(Arc<Inner>);

struct Inner {
    revocations: Revocations,
    clock: Clock,
    started: Instant,
    caught_up: AtomicBool,
    /// What isn't in the service's copy yet.
    unsaved: Mutex<HashMap<Revocation, Time>>,
    wake: Notify,
}

impl RevocationFeed {
    /// Of a process that adds to these.
    pub(crate) fn new(revocations: &Revocations, clock: Clock) -> Self {
        RevocationFeed(Arc::new(Inner {
            revocations: revocations.clone(),
            clock,
            started: Instant::now(),
            caught_up: AtomicBool::new(false),
            unsaved: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// Whether what was revoked before the start is known, as far as the broker says it in time.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let ready = self.0.caught_up.load(Ordering::Relaxed) || self.0.started.elapsed() > TIMEOUT;
        ready.then_some(()).ok_or_else(|| "revoked sessions aren't known yet".to_owned())
    }

    /// Background task: adds what is revoked, as soon as it is published. It begins, after each interruption too, with
    /// what was published within the life of a token.
    pub(crate) async fn follow(self, bus: Bus, stop: CancellationToken) {
        let on_event = |event: WatchEvent<'_>| match event {
            WatchEvent::Resync(_) => {}
            WatchEvent::CaughtUp(_) => self.0.caught_up.store(true, Ordering::Relaxed),
            WatchEvent::Event { subject, data } => match Revocation::of_event(subject, data) {
                Ok(revocation) => revocation.into_iter().for_each(|it| self.add(it)),
                Err(error) => tracing::error!(subject, %error, "unreadable revocation"),
            },
        };
        bus.watch_recent(Stream::Users, &Revocation::SUBJECTS, RETENTION, stop, on_event).await;
    }

    /// Background task: stores what was added in the service's copy. It is in memory, and refused, before that.
    pub(crate) async fn save(self, copy: RevocationCopy, stop: CancellationToken) {
        const FIRST_PAUSE: Duration = Duration::from_millis(200);
        const LONGEST_PAUSE: Duration = Duration::from_secs(10);
        let mut failures = 0;
        let saving = async {
            loop {
                self.0.wake.notified().await;
                let unsaved: Vec<_> = std::mem::take(&mut *self.unsaved()).into_iter().collect();
                if let Err(error) = copy.save(&unsaved).await {
                    failures += 1;
                    tracing::warn!(%error, "could not store revoked sessions, will retry");
                    self.unsaved().extend(unsaved);
                    tokio::time::sleep(back_off(failures, FIRST_PAUSE, LONGEST_PAUSE)).await;
                    self.0.wake.notify_one();
                } else {
                    failures = 0;
                }
            }
        };
        stop.run_until_cancelled(saving).await;
    }

    fn add(&self, revocation: Revocation) {
        let now = self.0.clock.now();
        let until = now + RETENTION;
        if self.0.revocations.add(revocation, until, now) {
            self.unsaved().insert(revocation, until);
            self.0.wake.notify_one();
        }
    }

    fn unsaved(&self) -> MutexGuard<'_, HashMap<Revocation, Time>> {
        self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
