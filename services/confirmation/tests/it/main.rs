//! confirmation through its interfaces: the bus, the HTTP API, the admin CLI, and a mail server.

#![expect(clippy::unwrap_used, reason = "a test fails where an expectation is violated")]

mod account;
mod admin;
mod content;
mod domain;
mod kills;
mod listeners;
mod mails;
mod openapi;
mod resend;
mod second_server;
mod settings;
mod worker;
mod world;
