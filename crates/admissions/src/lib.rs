//! Admissions: the code of a place, which opens the seller's door once, and its picture.
//!
//! A code is a deterministic signature over (version, key id, ticket, order, place). It has no state: the same place of the
//! same order always has the same code, and whether it opens the door is decided by tickets, which knows whether that
//! order's reservation is sold. Codes are in no event, log or trace, so [`Code`] doesn't print itself.

mod code;
mod keys;
mod qr;

pub use code::{Admission, Code, NotACode};
pub use keys::{AdmissionKeys, AdmissionSettings};
pub use qr::{QUIET, QrCode};
