//! Pages that follow what happens: `GET /live`, a stream of server-sent events for each page that is open.
//!
//! **A stream carries nudges, no data**: *something about this ticket has changed*. The page's script then asks for
//! the page's own address again and takes over the elements whose topic it was. So there is one
//! template for both, and what a visitor may see is decided where it always is, by the API, each time.
//!
//! **Each process has a [`Hub`]**, which watches the bus on its own and counts the changes that it hears of. The
//! count, with the hub's name, is a *position*.
//!
//! **Nothing between page and stream is lost.** A page carries the hub's position from before the API was asked for what it
//! shows; its stream opens with that position and is told first what has changed since, out of the hub's
//! memory of the last changes. If the hub can't know (the page is another process's, or older than the
//! memory reaches, or the hub was cut off from the bus in between), it says that anything may have changed, and the page is asked for
//! once more. A change is heard after it is stored, so the page that is asked for then shows it.
//!
//! **A stream that broke** goes on in the same way: it tells its position along with all that it says, and
//! browsers open it again with the last one (`Last-Event-ID`).
//!
//! **A slow reader costs nothing**: what waits for a stream isn't a queue, but which of its topics have changed.

mod hub;
mod stream;
mod topic;

use std::sync::Arc;

use bus::{Bus, WatchEvent};
use common::events::Stream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use hub::Hub;
pub use stream::open;
pub use topic::Topic;

/// What all streams have in common.
#[derive(Clone)]
pub struct Live {
    pub hub: Arc<Hub>,
    /// Ends all streams.
    pub stop: CancellationToken,
    slots: Arc<Semaphore>,
}

impl Live {
    /// For up to so many streams at once.
    pub fn new(streams: usize) -> Live {
        let slots = Arc::new(Semaphore::new(streams));
        Live { hub: Arc::default(), stop: CancellationToken::new(), slots }
    }

    /// Tells the hub what happens on the bus, until it is told to stop.
    pub async fn watch(self, bus: Bus, stop: CancellationToken) {
        let see = |sight: WatchEvent<'_>| match sight {
            WatchEvent::Resync(_) => self.hub.may_have_missed(),
            WatchEvent::Event { subject, data } => match topic::changes(subject, data) {
                Ok(changes) => self.hub.tell(changes),
                Err(error) => tracing::warn!(subject, %error, "an event that can't be read"),
            },
        };
        bus.watch([Stream::Tickets, Stream::Orders, Stream::Payments], stop, see).await;
    }
}
