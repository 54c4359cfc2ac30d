//! E-tickets: a PDF with one page per place, which shows its code. The confirmation has it attached, and the order's page offers it.
//!
//! The same order gives the same file, byte for byte: a mail that is sent again has the same attachment. The codes are in the
//! drawing alone, not in the text or the properties.

mod document;
mod page;
mod text;
mod ticket;

pub use ticket::ETicket;

/// The name and the media type of the file.
pub const FILE: (&str, &str) = ("tickets.pdf", "application/pdf");
