//! Shared by the tests of all services: real servers for each test, clients, and fixtures.
//!
//! A test uses a service through its interfaces: HTTP requests to the real router, events on a real bus. Each test has
//! its own databases on a shared mongod, its own nats-server, and its own redis-server if it requests one. The clock is
//! stopped until the test advances it. A complete test:
//!
//! ```ignore
//! use clap::Parser;
//! use common::events::{Stream, TicketCreated};
//! use serde_json::json;
//! use testkit::{Infra, TestService, fixtures};
//!
//! #[tokio::test]
//! async fn a_published_ticket_can_be_ordered_once() {
//!     let infra = Infra::start().await;
//!     let settings = orders::app::Settings::parse_from(infra.args("orders"));
//!     let service = orders::app::build(settings, infra.clock.clone()).await.unwrap();
//!     let service = TestService::serve(service).await;
//!     // From now on `settled` waits for both consumers.
//!     infra.bus().wait_for_consumers("orders", &[Stream::Tickets, Stream::Payments]).await;
//!
//!     let (seller, buyer, other) = (infra.user(), infra.user(), infra.user());
//!     let ticket = fixtures::ticket(infra.clock.now()).with_seller(seller.id);
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
//! - Additional settings are additional flags: extend `infra.args("payments")`; the address of Redis is
//!   `infra.redis_url().await`.
//! - A second replica of a service is a second `build` with the same `infra.args(name)`: both use the same database.
//! - Duplicate delivery: `bus.publish(&event)` and then `bus.publish_again(&event)`, which bypasses JetStream's
//!   deduplication. Late and out of order: publish older versions after newer ones.
//! - Events come from [`fixtures`], with sensible defaults and `with_…` changes.
//! - Server failures: `infra.nats.kill()`, `.restart()`, `.wipe()`; the same on `infra.redis().await`.
//! - A service's own program, as an operator runs it: `infra.program("orders").run(&["dead-letters", "list"])`.
//! - `TEST_LOG=debug` shows what the services log (with `cargo test -- --test-threads 1`).
//!
//! `cargo xtask test` provides the servers, and their locations in `TEST_…` variables.

mod batches;
mod bus;
mod client;
mod collector;
pub mod environment;
pub mod fixtures;
mod infra;
mod mongod;
mod nats;
pub mod openapi;
mod process;
mod profile;
mod program;
mod redis;
mod server_sent_events;
mod service;
mod tokens;
mod wait;

pub use batches::batches;
pub use bus::{Bus, DeadLetter};
pub use client::{Client, Request, Response};
pub use collector::{Collector, ReceivedSpan};
pub use infra::{Infra, PUBLIC_URL};
pub use mongod::StandaloneMongod;
pub use nats::Nats;
pub use profile::{Profile, assert_promises_have_indexes};
pub use program::{Program, ProgramOutput, RunningProgram, peak_memory};
pub use redis::Redis;
pub use server_sent_events::{EventStream, ServerSentEvent};
pub use service::TestService;
pub use tokens::{Forgery, Keys, TestUser, access_claims, claims};
pub use wait::{TIMEOUT, all_published, eventually, looked_up, retry_every, retry_for};

pub use reqwest::{Method, StatusCode};
