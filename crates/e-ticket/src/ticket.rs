//! What an e-ticket says.

use common::display::When;

/// What all pages of a file say.
#[derive(Clone, Debug)]
pub struct ETicket {
    pub title: String,
    pub venue: Option<String>,
    pub date: Option<When>,
    /// The order's id, and its page.
    pub order: String,
    pub link: String,
    /// The number of the receipt.
    pub receipt: String,
}
