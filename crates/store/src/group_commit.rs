//! Group commit: the writes of a collection that come while one command is in progress are sent together, by the next one.
//!
//! Each is atomic by itself and has a result of its own, as if it had been sent alone. A command that may not have arrived is
//! sent once more under the same number, by which MongoDB recognises what it has already done (a retryable write).

use std::mem::ManuallyDrop;
use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::error::{CommandError, Error as DriverError, ErrorKind};
use mongodb::{ClientSession, Database};
use telemetry::spans;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

use crate::bulk::{Reply, WriteError};
use crate::error::Result;
use crate::mongo;
use crate::timed_collection::TimedCollection;

/// How many writes one command has at most.
const LARGEST: usize = 64;
/// How many wait at most; more wait for room.
const QUEUE: usize = 1024;
/// A command without a reply has an unknown outcome after this time. A server that hangs must not stop the writes after a
/// failover. Longer than what the server itself waits for.
const TIMEOUT: Duration = Duration::from_secs(8);
/// The driver's label of what may be sent again.
const RETRYABLE: &str = "RetryableWriteError";
/// Beyond all numbers of the driver's: the session may be one that it has used before.
const FIRST: i64 = 1 << 40;
/// MongoDB's code of an update that would change an `_id`.
const IMMUTABLE_FIELD: i32 = 66;

/// The two queues of a collection.
#[derive(Clone, Debug)]
pub struct GroupCommit {
    inserts: mpsc::Sender<Write>,
    updates: mpsc::Sender<Write>,
}

/// A write, and who waits for its result: whether it has matched.
#[derive(Debug)]
struct Write {
    statement: Document,
    result: oneshot::Sender<Result<bool>>,
    /// That of who waits.
    span: Span,
}

impl GroupCommit {
    /// Begins to write what comes, until nobody has it any more.
    pub fn start(collection: &TimedCollection<Document>) -> Self {
        let start = |command, statements| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let collection = collection.clone();
            let committer =
                Committer { collection, command, statements, session: None, last: FIRST };
            tokio::spawn(committer.run(receiver));
            sender
        };
        GroupCommit { inserts: start("insert", "documents"), updates: start("update", "updates") }
    }

    /// Inserts a document; an error if a unique index refuses it ([`crate::Error::duplicate_of`]).
    pub async fn insert(&self, document: Document) -> Result<()> {
        commit(&self.inserts, document).await.map(drop)
    }

    /// Updates the one document that the filter matches. False: none does.
    ///
    /// MongoDB only says how many of a command's updates have matched. So each is an upsert that can't insert anything: one
    /// that matches no document fails, with an error that has its number.
    pub async fn update(&self, filter: Document, mut update: Document) -> Result<bool> {
        debug_assert!(filter.contains_key("_id"), "the filter names one document");
        update.insert("$setOnInsert", doc! { "_id": Bson::Null });
        commit(&self.updates, doc! { "q": filter, "u": update, "upsert": true }).await
    }
}

async fn commit(writes: &mpsc::Sender<Write>, statement: Document) -> Result<bool> {
    let (result, outcome) = oneshot::channel();
    // Neither happens before the process ends.
    let ended = || DriverError::custom("the task that writes has ended");
    let write = Write { statement, result, span: spans::commit() };
    writes.send(write).await.map_err(|_| ended())?;
    outcome.await.map_err(|_| ended())?
}

/// Sends one command after the other.
struct Committer {
    collection: TimedCollection<Document>,
    /// The command, and what it calls its statements.
    command: &'static str,
    statements: &'static str,
    /// Within a session each command has a number. Kept to the end and not given back: the driver would use it for writes with
    /// numbers of its own, which are lower.
    session: Option<ManuallyDrop<ClientSession>>,
    last: i64,
}

impl Committer {
    async fn run(mut self, mut writes: mpsc::Receiver<Write>) {
        let mut batch = Vec::with_capacity(LARGEST);
        while writes.recv_many(&mut batch, LARGEST).await > 0 {
            // Who has given up waiting gets nothing written that wasn't sent.
            batch.retain(|write| !write.result.is_closed());
            let (mut statements, mut waiting, mut spans) = (vec![], vec![], vec![]);
            for Write { statement, result, span } in batch.drain(..) {
                statements.push(statement);
                waiting.push(result);
                spans.push(span);
            }
            let Some(first) = spans.first().cloned() else { continue };
            // One command is in one trace; the others are linked to it.
            spans::together(&spans);
            let sending = self.send(statements).instrument(first);
            let sent = tokio::time::timeout(TIMEOUT, sending).await;
            let sent = sent.unwrap_or_else(|_| Err(DriverError::custom("MongoDB doesn't respond")));
            for (index, result) in waiting.into_iter().enumerate() {
                // Who has stopped waiting since isn't interested.
                let _: Result<(), _> = result.send(match &sent {
                    Ok(errors) => outcome(errors, index),
                    Err(error) => Err(error.clone().into()),
                });
            }
        }
    }

    /// Returns what was refused.
    async fn send(&mut self, statements: Vec<Document>) -> Result<Vec<WriteError>, DriverError> {
        let namespace = self.collection.namespace();
        let client = self.collection.client();
        let session = match &mut self.session {
            Some(session) => session,
            None => self.session.insert(ManuallyDrop::new(client.start_session().await?)),
        };
        self.last += 1;
        let command = doc! {
            self.command: namespace.coll,
            self.statements: statements,
            "ordered": false,
            "writeConcern": mongo::durable_document(),
            "txnNumber": self.last,
        };
        let database = client.database(&namespace.db);
        let mut reply = run(&database, command.clone(), session).await;
        if is_retryable(&reply) {
            reply = run(&database, command, session).await;
        }
        let reply = reply?;
        match reply.write_concern_error {
            // None of it is known to be durable.
            Some(error) => Err(DriverError::custom(error.to_string())),
            None => Ok(reply.write_errors),
        }
    }
}

async fn run(
    database: &Database,
    command: Document,
    session: &mut ClientSession,
) -> Result<Reply, DriverError> {
    let reply = database.run_command(command).session(session).await?;
    Ok(bson::deserialize_from_document(reply)?)
}

/// Whether the command may not have arrived, or not be durable for a reason that passes.
fn is_retryable(reply: &Result<Reply, DriverError>) -> bool {
    match reply {
        Ok(reply) => reply.error_labels.iter().any(|label| label == RETRYABLE),
        Err(error) => {
            let is_of_network =
                matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. });
            is_of_network || error.contains_label(RETRYABLE)
        }
    }
}

/// What became of one write.
fn outcome(refused: &[WriteError], index: usize) -> Result<bool> {
    match refused.iter().find(|error| error.index == index) {
        None => Ok(true),
        Some(error) if error.code == IMMUTABLE_FIELD => Ok(false),
        Some(WriteError { code, errmsg, .. }) => {
            let error = doc! { "code": code, "codeName": "", "errmsg": errmsg };
            let error: CommandError = bson::deserialize_from_document(error)?;
            Err(DriverError::from(ErrorKind::Command(error)).into())
        }
    }
}
