//! Live pages: `GET /live`, a stream of server-sent events for each open page.
//!
//! **A stream carries invalidations, no data**: *this ticket has changed*. The page's script then requests the
//! page again and replaces the elements of that topic. So there is one template for both, and the API
//! decides every time what the visitor may see.
//!
//! **Each process has a [`Hub`]**, which subscribes to the bus on its own and counts the invalidations that it receives. The
//! count, with the hub's name, is a *resume token*.
//!
//! **Nothing is lost between page and stream.** A page carries the hub's resume token from before its content was
//! loaded. Its stream starts at that token and first sends what has changed since, from the hub's
//! history. If the hub can't know (the page was rendered by another process, or is older than the
//! history, or the hub was disconnected from the bus in between), it sends a *resync*: anything may have changed, and
//! the page is requested once more. Events are published after the change is stored, so that request sees it.
//!
//! **A broken stream resumes** in the same way: every event has the current resume token as its id, and browsers
//! reconnect with the last one (`Last-Event-ID`).
//!
//! **Connections are shared fairly**: a visitor has a limited number of them, and their own oldest gives way to a new one
//! (`places`).
//!
//! **A slow reader costs nothing**: what waits for a stream isn't a queue, but a set of changed topics.

mod hub;
mod places;
mod stream;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, WatchEvent};
use common::events::{Stream, Subject};
use tokio_util::sync::CancellationToken;

pub use hub::Hub;
use places::Places;
pub use stream::open;
pub use topic::Topic;

use crate::parts::Parts;

/// What all streams share.
#[derive(Clone)]
pub struct Live {
    pub hub: Arc<Hub>,
    /// Ends all streams.
    pub stop: CancellationToken,
    places: Arc<Places>,
}

impl Live {
    pub fn new(max_streams: usize, per_visitor: usize) -> Live {
        let places = Arc::new(Places::new(max_streams, per_visitor));
        Live { hub: Arc::default(), stop: CancellationToken::new(), places }
    }

    /// How often a page should be fetched again at most while what it shows keeps changing: the more pages there are, the more
    /// rarely, so that they don't ask for more than this process can answer while it also sells. A power of two seconds.
    pub fn pace(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_secs(2);
        const PER_STREAM: Duration = Duration::from_millis(5);
        let streams = u32::try_from(self.places.open()).unwrap_or(u32::MAX);
        let seconds = PER_STREAM.saturating_mul(streams).max(SHORTEST).as_secs_f64().ceil();
        Duration::from_secs((seconds as u64).next_power_of_two())
    }

    /// Feeds the hub with the events of the bus, until `stop` is cancelled.
    pub async fn run(self, bus: Bus, parts: Arc<Parts>, stop: CancellationToken) {
        let handle = |event: WatchEvent<'_>| match event {
            WatchEvent::Resync(_) => self.resync(&parts),
            WatchEvent::CaughtUp(_) => {}
            WatchEvent::Event { subject, data } => self.handle(&parts, subject, data),
        };
        bus.watch([Stream::Tickets, Stream::Orders, Stream::Payments], stop, handle).await;
    }

    fn handle(&self, parts: &Parts, subject: &str, data: &[u8]) {
        // A newer version of a service may publish events that this one doesn't know yet.
        let Ok(known) = subject.parse() else {
            tracing::warn!(subject, "unknown event, resyncing all pages");
            return self.resync(parts);
        };
        match topic::invalidations(known, data) {
            Ok(invalidations) => {
                let is_listed = matches!(known, Subject::TicketCreated | Subject::TicketDeleted);
                for invalidation in &invalidations {
                    match invalidation.topic {
                        Topic::Ticket(id) if is_listed => parts.forget_listing(id),
                        Topic::Ticket(id) => parts.forget_ticket(id),
                        Topic::Order(_) | Topic::User(_) => {}
                    }
                }
                self.hub.publish(invalidations);
            }
            Err(error) => {
                tracing::warn!(subject, %error, "unreadable event, resyncing all pages");
                self.resync(parts);
            }
        }
    }

    fn resync(&self, parts: &Parts) {
        parts.forget_all();
        self.hub.resync();
    }
}
