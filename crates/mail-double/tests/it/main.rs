//! The double as its clients use it: over SMTP by lettre's connection, and over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod api;
mod faults;
mod smtp;
mod support;
