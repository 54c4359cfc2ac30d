//! MongoDB: connecting with the guarantees that we rely on, and the few idioms that every store uses.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::settings::Unfit;

/// How long an operation looks for a server before it says that there is none.
const SERVER_SELECTION: Duration = Duration::from_secs(3);

/// Connects to the database that the URI names in its path.
///
/// Writes are acknowledged by a majority and from the journal: what is acknowledged survives a kill of
/// any process and a failover.
pub async fn connect(uri: &str, service: &'static str) -> anyhow::Result<Database> {
    let mut options = ClientOptions::parse(uri).await.context("MONGO_URI")?;
    options.app_name = Some(service.to_owned());
    options.server_selection_timeout = Some(SERVER_SELECTION);
    options.connect_timeout = Some(SERVER_SELECTION);
    options.min_pool_size = Some(4);
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    let client = Client::with_options(options).context("MONGO_URI")?;
    client
        .default_database()
        .context("MONGO_URI: name the service's database in the path, as in mongodb://host/orders")
}

/// Whether the database answers.
pub async fn ping(database: &Database) -> anyhow::Result<()> {
    database.run_command(doc! { "ping": 1 }).await?;
    Ok(())
}

/// Whether the server is set to keep what it acknowledges.
///
/// What we write asks for a majority and the journal, whatever the server's defaults are. A standalone
/// server has no majority, and may lose a journaled write when it is killed.
pub async fn check(uri: &str, database: &Database) -> Result<(), Unfit> {
    let hello = match database.run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        // A URI that names a replica set doesn't reach a server that is none: then that is what is wrong.
        Err(error) => match hello_of_the_first_host(uri).await {
            Ok(hello) if !is_replicated(&hello) => hello,
            Ok(_) | Err(_) => return Err(anyhow::Error::from(error).context("MONGO_URI").into()),
        },
    };
    let wrong = |what: &str| Err(Unfit::Wrong(format!("MongoDB (MONGO_URI): {what}")));
    if !is_replicated(&hello) {
        return wrong(
            "it is a standalone server, and must be a replica set (--replSet; one member will do)",
        );
    }
    // Managed servers don't tell everybody.
    let admin = database.client().database("admin");
    if let Ok(answer) = admin.run_command(doc! { "replSetGetConfig": 1 }).await
        && let Ok(config) = answer.get_document("config")
        && config.get_bool("writeConcernMajorityJournalDefault").is_ok_and(|journaled| !journaled)
    {
        return wrong(
            "the replica set's writeConcernMajorityJournalDefault is false, and must be true: as it is \
             set, its members acknowledge what isn't in their journals",
        );
    }
    Ok(())
}

/// Asked without naming a replica set.
async fn hello_of_the_first_host(uri: &str) -> anyhow::Result<Document> {
    let mut options = ClientOptions::parse(uri).await?;
    options.repl_set_name = None;
    options.direct_connection = Some(true);
    options.hosts.truncate(1);
    options.server_selection_timeout = Some(SERVER_SELECTION);
    let admin = Client::with_options(options)?.database("admin");
    Ok(admin.run_command(doc! { "hello": 1 }).await?)
}

/// A member of a replica set, or the router of a sharded cluster, whose shards are replica sets.
fn is_replicated(hello: &Document) -> bool {
    hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid")
}

/// Whether the error says that the database can't be had just now, not that the operation is wrong.
pub fn is_down(error: &Error) -> bool {
    /// Not primary, shutting down, stepping down, unreachable, out of time: the server's own codes that
    /// the driver specification calls retryable, and `MaxTimeMSExpired`.
    const CODES: [i32; 15] =
        [6, 7, 50, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436];
    if error.contains_label("RetryableWriteError") {
        return true;
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. } => true,
        ErrorKind::Command(command) => CODES.contains(&command.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            CODES.contains(&error.code) || error.code == 64
        }
        _ => false,
    }
}

/// The name of the unique index that refused a write (E11000), if that is what the error says.
pub fn duplicate_of(error: &Error) -> Option<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
    let message = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == 11000 => &error.message,
        ErrorKind::Command(error) if error.code == 11000 => &error.message,
        _ => return None,
    };
    let (_, index) = message.split_once("index: ")?;
    Some(index.split_whitespace().next()?.to_owned())
}

/// An entity as the document that is stored.
pub fn document(entity: &impl Serialize) -> bson::error::Result<Document> {
    // The raw serializer writes times as BSON dates; `serialize_to_document` would write strings.
    let raw = bson::serialize_to_vec(entity)?;
    bson::deserialize_from_slice(&raw)
}

/// A named index. Made anew at each start, which does nothing when it is there.
pub fn index(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder()
        .keys(keys)
        .options(IndexOptions::builder().name(name.to_owned()).build())
        .build()
}

/// A unique index over the documents that match `only`.
pub fn unique_index(name: &str, keys: Document, only: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true);
    IndexModel::builder()
        .keys(keys)
        .options(options.partial_filter_expression(only).build())
        .build()
}

/// An index over the documents that match `only`, which a query must name to use it.
pub fn partial_index(name: &str, keys: Document, only: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).partial_filter_expression(only);
    IndexModel::builder().keys(keys).options(options.build()).build()
}

/// What became of a newer version that was offered to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It stands now.
    Newer,
    /// The replica had a newer one already.
    Stale,
}

/// Stores `entity` under `id` unless a newer version is there: one upsert whose filter decides.
///
/// The same version is written again, which changes nothing. Two versions of an unknown thing at once
/// make the upsert of the newer fail as a duplicate `_id`; so it is tried once more before it is taken
/// for stale.
pub async fn apply_if_newer(
    collection: &Collection<impl Serialize + DeserializeOwned + Send + Sync>,
    id: &str,
    version: i64,
    entity: &impl Serialize,
) -> mongodb::error::Result<Applied> {
    let mut fields = document(entity)?;
    fields.remove("_id");
    let filter = doc! { "_id": id, "version": { "$lte": version } };
    let update = doc! { "$set": fields };
    for _ in 0..2 {
        match collection.update_one(filter.clone(), update.clone()).upsert(true).await {
            Ok(_) => return Ok(Applied::Newer),
            Err(error) if duplicate_of(&error).is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Applied::Stale)
}

/// Reads what a request names and a replica may not have yet: tried again for up to two seconds while
/// the thing is younger than ten (DESIGN: *read your writes*).
///
/// `cut_off` tells whether the consumer that feeds the replica is: then an unknown thing isn't known
/// not to exist, and the answer is 503 rather than none.
pub async fn read_your_writes<T, F: Future<Output = crate::Result<Option<T>>>>(
    made_at: Option<crate::Time>,
    now: crate::Time,
    cut_off: impl Fn() -> bool,
    find: impl Fn() -> F,
) -> crate::Result<Option<T>> {
    const YOUNG: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(5);

    // A clock that is ahead of ours makes things from the future; they are young too.
    let young = made_at.is_some_and(|made_at| now < made_at + YOUNG);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find().await? {
            return Ok(Some(found));
        }
        if !young || tokio::time::Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if cut_off() {
        return Err(crate::Error::Unavailable(anyhow::anyhow!("the replica's feed is cut off")));
    }
    Ok(None)
}

/// What the relay reads must not be rolled back by a failover.
pub(crate) fn majority() -> ReadConcern {
    ReadConcern::majority()
}
