//! A local mailbox: a real SMTP server that delivers to nobody, a page on which its mails are read, an API for tests,
//! and fault injection. Whatever its addressee, a mail that it has accepted is kept, durably, until it is deleted.

mod config;
mod faults;
mod mailbox;
mod reader;
mod routes;
mod server;
mod session;
mod state;
mod stats;
mod stream;
mod tls;

pub use config::{Config, Settings};
pub use server::MailDouble;
