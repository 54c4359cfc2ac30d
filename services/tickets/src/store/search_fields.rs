//! What searches look at: as the write of a ticket sets it, and whether all tickets have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::Ticket;

/// Whether every ticket on sale has its terms. Until then, words are compared ticket by ticket.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchIndex(Arc<AtomicBool>);

impl SearchIndex {
    pub fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set_complete(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The fields of a ticket that only searches look at.
pub(super) struct SearchFields {
    pub words: Vec<String>,
    /// None: they remain as they are.
    pub terms: Option<Vec<String>>,
}

impl SearchFields {
    /// As the write of a ticket sets them. The terms of one that is sold or deleted are removed later: the write of a sale
    /// changes none of their many keys.
    pub fn of(ticket: &Ticket) -> Self {
        let text = ticket.searched_text();
        let is_edit = ticket.version == ticket.edited_version;
        let terms = match (ticket.is_listed(), is_edit) {
            (true, _) => Some(text.prefixes()),
            (false, true) => Some(Vec::new()),
            (false, false) => None,
        };
        SearchFields { words: text.stored(), terms }
    }
}
