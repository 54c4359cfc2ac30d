//! MongoDB: connecting with the guarantees that everything relies on, and the few idioms that every store uses.

use std::time::Duration;

use anyhow::Context;
use bson::{Document, doc};
use common::back_off::back_off;
use common::durability::DurabilityError;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Database, IndexModel};
use serde::Serialize;

use crate::command_spans;
use crate::error::Result;

/// How long an operation waits for a server to become available.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a write waits for the majority and the journal. Shorter than a request's time limit. After it the outcome is
/// unknown, as after any other error of a write.
const WRITE_CONCERN_TIMEOUT: Duration = Duration::from_secs(4);
/// How many connections a process keeps open, and how many it has at most, for requests …
const REQUEST_CONNECTIONS: (u32, u32) = (4, 16);
/// … and for its consumers, its relay and its other background tasks: a rush of requests must not delay them, nor they a
/// request.
const BACKGROUND_CONNECTIONS: (u32, u32) = (1, 8);

/// Connects to the database that the URI names in its path.
///
/// Writes are acknowledged by a majority and from the journal: what is acknowledged survives a kill of
/// any process and a failover.
pub async fn connect(uri: &str, service: &str) -> anyhow::Result<Database> {
    open(uri, service.to_owned(), "requests", REQUEST_CONNECTIONS).await
}

/// Connects once more, with a pool of connections for background tasks.
pub async fn connect_in_background(uri: &str, service: &str) -> anyhow::Result<Database> {
    open(uri, format!("{service} background"), "background", BACKGROUND_CONNECTIONS).await
}

async fn open(
    uri: &str,
    app: String,
    pool: &'static str,
    (min, max): (u32, u32),
) -> anyhow::Result<Database> {
    let mut options = ClientOptions::parse(uri).await.context("MONGO_URI")?;
    options.app_name = Some(app);
    options.server_selection_timeout = Some(SERVER_SELECTION_TIMEOUT);
    options.connect_timeout = Some(SERVER_SELECTION_TIMEOUT);
    options.min_pool_size = Some(min);
    options.max_pool_size = Some(max);
    options.write_concern = Some(durable());
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if let CmapEvent::ConnectionCheckedOut(taken) = event {
            metrics::histogram!("mongodb_pool_wait_seconds", "pool" => pool).record(taken.duration);
        }
    }));
    options.command_event_handler = command_spans::handler();
    let client = Client::with_options(options).context("MONGO_URI")?;
    client
        .default_database()
        .context("MONGO_URI: name the service's database in the path, as in mongodb://host/orders")
}

fn durable() -> WriteConcern {
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
    durable.w_timeout(WRITE_CONCERN_TIMEOUT).build()
}

/// The same as a command spells it.
pub(crate) fn durable_document() -> Document {
    let timeout = i64::try_from(WRITE_CONCERN_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    doc! { "w": "majority", "j": true, "wtimeout": timeout }
}

/// Whether the database responds.
pub async fn ping(database: &Database) -> anyhow::Result<()> {
    database.run_command(doc! { "ping": 1 }).await?;
    Ok(())
}

/// Does something at the start that needs MongoDB, which is waited for while it doesn't respond or refuses.
pub async fn when_available<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);
    let mut failures = 0;
    loop {
        match attempt().await {
            Err(error) if error.is_of_dependency() => {
                failures += 1;
                tracing::warn!(%error, "MongoDB isn't available, waiting for it");
                tokio::time::sleep(back_off(failures, FIRST_PAUSE, LONGEST_PAUSE)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether the server is configured to keep what it acknowledges.
///
/// Our writes require a majority and the journal, whatever the server's defaults are. A standalone server has no majority,
/// and may lose a journaled write when it is killed.
pub async fn check_durability(uri: &str, database: &Database) -> Result<(), DurabilityError> {
    let hello = match database.run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        // With a replica set in the URI, a standalone server can't be reached: then that is what is wrong.
        Err(error) => match hello_of_the_first_host(uri).await {
            Ok(hello) if !is_replicated(&hello) => hello,
            Ok(_) | Err(_) => return Err(anyhow::Error::from(error).context("MONGO_URI").into()),
        },
    };
    let wrong =
        |what: &str| Err(DurabilityError::Misconfigured(format!("MongoDB (MONGO_URI): {what}")));
    if !is_replicated(&hello) {
        return wrong(
            "it is a standalone server, and must be a replica set (--replSet; one member will do)",
        );
    }
    // Managed servers may not permit it.
    let admin = database.client().database("admin");
    if let Ok(response) = admin.run_command(doc! { "replSetGetConfig": 1 }).await
        && let Ok(config) = response.get_document("config")
        && config.get_bool("writeConcernMajorityJournalDefault").is_ok_and(|journaled| !journaled)
    {
        return wrong(
            "the replica set's writeConcernMajorityJournalDefault is false, and must be true: as it is \
             set, its members acknowledge what isn't in their journals",
        );
    }
    Ok(())
}

/// Without naming a replica set.
async fn hello_of_the_first_host(uri: &str) -> anyhow::Result<Document> {
    let mut options = ClientOptions::parse(uri).await?;
    options.repl_set_name = None;
    options.direct_connection = Some(true);
    options.hosts.truncate(1);
    options.server_selection_timeout = Some(SERVER_SELECTION_TIMEOUT);
    let admin = Client::with_options(options)?.database("admin");
    Ok(admin.run_command(doc! { "hello": 1 }).await?)
}

/// A member of a replica set, or the router of a sharded cluster, whose shards are replica sets.
fn is_replicated(hello: &Document) -> bool {
    hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid")
}

/// An entity as the document that is stored.
pub fn document(entity: &impl Serialize) -> bson::error::Result<Document> {
    // The raw serializer writes times as BSON dates; `serialize_to_document` would write strings.
    let raw = bson::serialize_to_vec(entity)?;
    bson::deserialize_from_slice(&raw)
}

/// A named index. Created at each start, which does nothing if it exists.
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

/// MongoDB deletes a document once the time in its field has passed.
pub fn ttl_index(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).expire_after(Duration::ZERO);
    IndexModel::builder().keys(keys).options(options.build()).build()
}

/// For the relay: an event that a failover could roll back must not be published.
pub(crate) fn majority() -> ReadConcern {
    ReadConcern::majority()
}
