//! Which session tokens are refused. web stores nothing: it learns at the start what was revoked recently, and everything
//! else as it is published. What it shows to somebody who was signed out a moment ago, the services refuse.

use bus::{Bus, WatchEvent};
use common::Clock;
use common::events::Stream;
use httpkit::revocations::RETENTION;
use httpkit::{Revocation, Revocations};
use tokio_util::sync::CancellationToken;

/// Background task.
pub async fn follow(revocations: Revocations, bus: Bus, clock: Clock, stop: CancellationToken) {
    let on_event = |event: WatchEvent<'_>| match event {
        WatchEvent::Resync(_) | WatchEvent::CaughtUp(_) => {}
        WatchEvent::Event { subject, data } => match Revocation::of_event(subject, data) {
            Ok(revocation) => {
                let now = clock.now();
                if let Some(revocation) = revocation {
                    revocations.add(revocation, now + RETENTION, now);
                }
            }
            Err(error) => tracing::error!(subject, %error, "unreadable revocation"),
        },
    };
    bus.watch_recent(Stream::Users, &Revocation::SUBJECTS, RETENTION, stop, on_event).await;
}
