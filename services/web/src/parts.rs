//! The parts of pages that are the same for everyone: what a search has found, and a listing. Visitors share them for a moment
//! ([`SharedReads`]); the rest of a page is each visitor's own.
//!
//! **Nothing is lost between page and stream** ([`crate::live`]): a part has the resume token from before it was read, and the page
//! takes the earlier one of that and its own. So its stream begins with what has changed since the part was read.

use common::ids::TicketId;
use common::{Clock, Time};
use httpkit::SharedReads;
use httpkit::shared_reads::{Digest, Shareable};

use crate::api::Ticket;

/// What the parts take, in bytes.
const FOUND: usize = 4 * 1024 * 1024;
const TICKETS: usize = 2 * 1024 * 1024;

/// A part of a page.
pub struct Part<T> {
    pub content: T,
    /// The point in the event stream that it at least reflects.
    pub resume_token: String,
    /// The memory that it takes, in bytes.
    pub size: usize,
    /// When it changes although nobody changes anything.
    pub valid_until: Time,
}

/// What a search has found.
pub struct Found {
    /// The cards, as HTML; none if there are none.
    pub cards: Option<String>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl<T: Send + Sync + 'static> Shareable for Part<T> {
    fn size(&self) -> usize {
        self.size
    }

    fn valid_until(&self) -> Time {
        self.valid_until
    }
}

/// The parts that this process has read a moment ago.
pub struct Parts {
    /// By the query.
    pub found: SharedReads<Digest, Part<Found>>,
    pub tickets: SharedReads<TicketId, Part<Ticket>>,
}

impl Parts {
    pub fn new(clock: &Clock) -> Parts {
        Parts {
            found: SharedReads::new("found", FOUND, clock.clone()),
            tickets: SharedReads::new("tickets", TICKETS, clock.clone()),
        }
    }

    /// Something that is shown with the listing has changed. How many of its places are left may be shown a second late among
    /// others: in a rush, that changes with every request.
    pub fn forget_ticket(&self, id: TicketId) {
        self.tickets.forget(&id);
    }

    /// A listing is new, or gone, or a visitor of this process has changed it.
    pub fn forget_listing(&self, id: TicketId) {
        self.forget_ticket(id);
        self.found.forget_all();
    }

    /// Anything may have changed.
    pub fn forget_all(&self) {
        self.tickets.forget_all();
        self.found.forget_all();
    }
}
