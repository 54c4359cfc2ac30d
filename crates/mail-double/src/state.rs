//! What the SMTP sessions and the HTTP handlers share.

use crate::{faults::Faults, mailbox::Mailbox, stats::Stats, tls::Identity};

#[derive(Debug)]
pub struct State {
    pub mailbox: Mailbox,
    pub faults: Faults,
    pub stats: Stats,
    pub identity: Identity,
}
