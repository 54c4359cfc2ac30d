//! What the tests of every service share: real servers, fresh for each test, and the few things that a
//! test does with them.
//!
//! A test drives a service through its door: HTTP requests to the real router, events on a real bus.
//! Each test has databases of its own on one mongod, a nats-server of its own, and a redis-server of its
//! own if it asks for one. Time stands still until the test turns it. A whole test:
//!
//! ```ignore
//! use clap::Parser;
//! use common::events::{Stream, TicketCreated};
//! use serde_json::json;
//! use testkit::{Infra, TestService, eventually};
//!
//! #[tokio::test]
//! async fn a_ticket_that_was_announced_can_be_ordered_once() {
//!     let infra = Infra::start().await;
//!     let settings = orders::app::Settings::parse_from(infra.args("orders"));
//!     let service = orders::app::build(settings, infra.clock.clone()).await.unwrap();
//!     let service = TestService::serve(service).await;
//!     // The consumers are there: from now on `settled` waits for both.
//!     infra.bus().hears("orders", &[Stream::Tickets, Stream::Payments]).await;
//!
//!     let (seller, buyer, other) = (infra.user(), infra.user(), infra.user());
//!     let ticket = a_ticket(&seller, infra.clock.now());
//!     infra.bus().publish(&TicketCreated(ticket.clone())).await;
//!     infra.bus().settled("orders").await;
//!
//!     let body = json!({ "ticketId": ticket.id });
//!     let order = service.client_as(&buyer).post("/api/orders", body.clone()).await.expect(201);
//!     service.client_as(&other).post("/api/orders", body).await.problem(409, "ticket-reserved");
//!
//!     infra.bus().wait_for::<OrderCreated>(|event| json!(event.0.id) == order["id"]).await;
//!     infra.clock.advance(Duration::from_secs(900));
//!     assert!(infra.bus().dead_letters().await.is_empty());
//! }
//! ```
//!
//! - More settings are more flags: `infra.args("payments")` is a `Vec<String>` to extend; Redis is
//!   `infra.redis().await.url()`.
//! - A second replica of a service is a second `build` with the same `infra.args(name)`: the database of
//!   a name is one.
//! - Delivered twice: `bus.publish(&event)` and then `bus.publish_again(&event)`, which gets past
//!   JetStream's duplicate window. Late and out of order: publish older versions after newer ones.
//! - Broken servers: `infra.nats.kill()`, `.restart()`, `.wipe()`; `infra.redis().await` has the same.
//! - A service's own program, as an operator runs it: `infra.program("orders").run(&["dead-letters", "list"])`.
//! - `TEST_LOG=debug` shows what the services log (with `cargo test -- --test-threads 1`).
//!
//! The servers come from `cargo xtask test`, which says by `TEST_…` where they are.

mod bus;
mod client;
pub mod environment;
mod infra;
mod keys;
mod mongod;
mod nats;
mod process;
mod program;
mod redis;
mod service;
mod stream;
mod wait;

pub use bus::{Bus, DeadLetter};
pub use client::{Answer, Client, Request};
pub use infra::{Infra, PUBLIC_URL};
pub use keys::{Forgery, TestUser};
pub use mongod::StandaloneMongod;
pub use nats::Nats;
pub use program::{Ended, Program};
pub use redis::Redis;
pub use service::TestService;
pub use stream::{EventStream, Told};
pub use wait::{all_published, eventually, patiently};

pub use reqwest::{Method, StatusCode};
