//! The bounds of the explored state space.

/// What happens at all, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many places the listing has.
    pub quantity: u8,
    /// The orders: how many places each buyer asks for.
    pub orders: &'static [u8],
    /// The first so many orders are paid.
    pub paid: usize,
    /// Whether payments of them may fail, also after they were authorised.
    pub failures: bool,
    /// Whether the seller refunds, deletes the listing, changes its price once, and adds a place once.
    pub refunds: bool,
    pub deletes: bool,
    pub edits: bool,
    pub grows: bool,
    /// Whether expiration is modelled. Without it, only orders' sweep expires orders.
    pub timers: bool,
    /// Whether events wait in outboxes as a separate state. Otherwise they are published immediately, which no process can
    /// distinguish.
    pub relay: bool,
    /// How many processes compute the listing's summary.
    pub summaries: usize,
    /// Whether consumers compute it, too, instead of marking the listing.
    pub consumers_summarise: bool,
    /// All orders are one buyer's, who may hold so many unpaid ones.
    pub slots: Option<u8>,
}

/// Nobody pays, and the seller only watches.
pub const NOTHING: Bounds = Bounds {
    quantity: 2,
    orders: &[],
    paid: 0,
    failures: false,
    refunds: false,
    deletes: false,
    edits: false,
    grows: false,
    timers: false,
    relay: false,
    summaries: 0,
    consumers_summarise: false,
    slots: None,
};
