//! Several writes by one command. The driver has that for MongoDB 8 and later; the command itself is older.

use bson::{Document, doc};
use mongodb::Collection;
use mongodb::error::{Error, ErrorKind};
use serde::Deserialize;

use crate::error::{DUPLICATE_KEY, Result};
use crate::mongo;

/// The reply to a command of several writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply {
    /// How many documents they match or insert.
    n: i32,
    #[serde(default)]
    pub write_errors: Vec<WriteError>,
    pub write_concern_error: Option<Document>,
    #[serde(default)]
    pub error_labels: Vec<String>,
}

/// Why a write was refused.
#[derive(Deserialize)]
pub(crate) struct WriteError {
    /// Its number in the command.
    pub index: usize,
    pub code: i32,
    pub errmsg: String,
}

/// What became of several updates.
#[derive(Debug, Default)]
pub(crate) struct Updated {
    /// How many documents they match or insert.
    pub documents: usize,
    /// Which of them are upserts that were refused, because a document with their id exists.
    pub refused: Vec<usize>,
}

/// Sends updates as MongoDB's `update` command spells them, in no particular order, each atomic by itself.
pub(crate) async fn update<T: Send + Sync>(
    collection: &Collection<T>,
    updates: Vec<Document>,
) -> Result<Updated> {
    if updates.is_empty() {
        return Ok(Updated::default());
    }
    let namespace = collection.namespace();
    let command = doc! {
        "update": namespace.coll,
        "updates": updates,
        "ordered": false,
        "writeConcern": mongo::durable_document(),
    };
    let reply = collection.client().database(&namespace.db).run_command(command).await?;
    let reply: Reply = bson::deserialize_from_document(reply)?;
    if let Some(error) = reply.write_concern_error {
        return Err(Error::custom(error.to_string()).into());
    }
    let is_other = |error: &&WriteError| error.code != DUPLICATE_KEY;
    if let Some(error) = reply.write_errors.iter().find(is_other) {
        return Err(Error::custom(error.errmsg.clone()).into());
    }
    let refused = reply.write_errors.into_iter().map(|error| error.index).collect();
    Ok(Updated { documents: usize::try_from(reply.n).unwrap_or(0), refused })
}

/// Which documents of an `insertMany` were refused because one with their id exists.
pub(crate) fn duplicates_of(error: Error) -> Result<Vec<usize>> {
    let ErrorKind::InsertMany(failed) = error.kind.as_ref() else { return Err(error.into()) };
    let refused = failed.write_errors.iter().flatten();
    if failed.write_concern_error.is_some() || refused.clone().any(|it| it.code != DUPLICATE_KEY) {
        return Err(error.into());
    }
    Ok(refused.map(|error| error.index).collect())
}
