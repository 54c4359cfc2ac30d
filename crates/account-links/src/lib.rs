//! The codes in the links that users are mailed: to confirm an address, to choose another password, to say *this wasn't me*.
//!
//! auth stores which link is outstanding, and its event says so: the purpose, a nonce, when it ends. The code is computed from
//! these with a key that auth and confirmation mount, and nobody stores it: no event, log or database has what opens a link.

mod code;
mod keys;

pub use code::{Code, NotACode};
pub use keys::{LinkKeys, LinkSettings, generate};
