//! MongoDB, as every service uses it: versioned documents with an embedded transactional outbox, the relay that publishes
//! it, requests that take effect once, replicas, and republishing.
//!
//! Boundary: it knows no ticket, order or payment. A service's queries live in its own `store.rs`.

mod bulk;
mod command_spans;
mod documents;
mod error;
mod group_commit;
mod handoff;
mod history;
pub mod mongo;
mod obligation_fields;
mod obligations;
pub mod outbox;
pub mod promises;
mod read_your_writes;
mod relay;
mod relay_back_off;
pub mod replicas;
pub mod republish;
mod revocations;
mod run_once;
pub mod settings;
pub mod stored_request;
mod timed_collection;
mod trace_fields;
mod traces;

pub use documents::{Aggregate, Change, Documents};
pub use error::{ConflictError, Error, KeyReusedError, REQUESTS, Result};
pub use group_commit::GroupCommit;
pub use history::{History, HistoryEntry};
/// What identifies a request that a document stores.
pub use httpkit::idempotency::RequestIdentity;
pub use outbox::OutboxMessage;
pub use promises::{Broken, Promise};
pub use read_your_writes::read_your_writes;
pub use replicas::Replica;
pub use republish::{RESTORE_VERSION_OFFSET, Republish, Republished};
pub use revocations::RevocationCopy;
pub use settings::MongoSettings;
pub use stored_request::{RETENTION, StoredRequest, StoredResponse};
pub use timed_collection::{SCAN, TimedCollection};
pub use traces::Traces;
