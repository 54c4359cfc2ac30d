//! The event bus: NATS JetStream, behind what our services need of it. The client itself is private to this crate.
//!
//! There is one way to publish ([`Bus::publish`], for the transactional outbox alone), one way to consume
//! ([`Listeners`]: a durable pull consumer per service and stream), and one way to subscribe without taking part
//! ([`Bus::watch`]: an ephemeral subscription, for live pages).

mod advisories;
pub mod asyncapi;
mod connection;
pub mod consume;
mod consumer;
pub mod dead_letters;
mod durability;
mod failures;
pub mod health;
mod lag;
mod publish;
pub mod settings;
mod streams;
mod time;
pub mod users;
pub mod watch;

pub use connection::Bus;
pub use consume::{Failure, Listeners};
pub use dead_letters::DeadLetter;
pub use health::ConsumerHealth;
pub use publish::Outgoing;
pub use settings::{NatsSettings, StreamSettings};
pub use streams::{DEAD, DEAD_SUBJECTS, NeedsReplay};
pub use users::{OPERATOR, User, users};
pub use watch::WatchEvent;
