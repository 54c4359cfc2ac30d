//! What a stack asks of MongoDB, as its profiler records it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use bson::{Bson, Document, doc};
use common::events::Stream;
use futures::TryStreamExt as _;
use mongodb::Database;
use testkit::retry_every;

use crate::{Stack, workspace};

/// Waits until everything that follows from the requests so far has happened, except that reservations expire.
pub async fn settled(stack: &Stack) {
    const INTERVAL: Duration = Duration::from_millis(200);
    const TIMEOUT: Duration = Duration::from_secs(60);
    let mut databases = Vec::new();
    for service in workspace::services_with_database() {
        databases.push(stack.database(&service).await);
    }
    let jetstream = async_nats::jetstream::new(stack.nats().await.expect("NATS"));
    let is_settled = retry_every(INTERVAL, TIMEOUT, async || {
        for database in &databases {
            if let Some(waiting) = waiting_in(database).await? {
                bail!("in {}: {waiting}", database.name());
            }
        }
        for stream in Stream::ALL {
            let mut consumers = jetstream.get_stream(stream.name()).await?.consumers();
            while let Some(consumer) = consumers.try_next().await? {
                let open = consumer.num_pending > 0 || consumer.num_ack_pending > 0;
                if open && consumer.config.durable_name.is_some() {
                    bail!("{} has unhandled messages of {}", consumer.name, stream.name());
                }
            }
        }
        Ok(())
    });
    is_settled.await.expect("everything is handled");
}

/// A document that isn't done.
async fn waiting_in(database: &Database) -> Result<Option<Document>> {
    let waiting = doc! { "$or": [
        { "outboxPending": true },
        { "dirty": true },
        { "workAt": { "$type": "date" } },
        { "nextRunAt": { "$type": "date" } },
    ] };
    for collection in database.list_collection_names().await? {
        let documents = database.collection::<Document>(&collection);
        if let Some(found) = documents.find_one(waiting.clone()).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The commands that are counted.
const COUNTED: [&str; 8] =
    ["find", "getMore", "insert", "update", "findAndModify", "delete", "distinct", "aggregate"];

/// Counts the commands of all services, and records what they do.
pub struct CommandLog {
    databases: Vec<Database>,
    before: i64,
}

/// The commands of all services.
#[derive(Clone, Debug)]
pub struct Commands {
    total: i64,
    /// How often each was executed: `orders.orders update`. One command may update several documents, each in its own way;
    /// these are counted one by one here.
    operations: BTreeMap<String, Operations>,
}

/// The operations of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Operations {
    count: usize,
    keys_examined: i64,
    documents_examined: i64,
    milliseconds: i64,
}

impl CommandLog {
    /// Counts from now on.
    pub async fn start(stack: &Stack) -> CommandLog {
        let mut databases = Vec::new();
        for service in workspace::services_with_database() {
            let database = stack.database(&service).await;
            run(&database, doc! { "profile": 0 }).await;
            let profile = database.collection::<Document>("system.profile");
            profile.drop().await.expect("the profile is dropped");
            let capped = database.create_collection("system.profile");
            capped.capped(true).size(256 * 1024 * 1024).await.expect("a collection");
            run(&database, doc! { "profile": 2 }).await;
            databases.push(database);
        }
        let before = count(&databases[0]).await;
        CommandLog { databases, before }
    }

    /// Ends the count. Left out is what a service looks for from time to time and doesn't find, as how often it does so
    /// depends on the time alone; what it measures; and what tests have asked.
    pub async fn finish(self) -> Commands {
        let mut total = count(&self.databases[0]).await - self.before;
        let mut operations = BTreeMap::<_, Operations>::new();
        for database in self.databases {
            run(&database, doc! { "profile": 0 }).await;
            let profile = database.collection::<Document>("system.profile");
            let all = doc! { "ns": { "$not": { "$regex": r"\.system\.profile$" } } };
            let mut entries = profile.find(all).await.expect("the profile");
            while let Some(entry) = entries.try_next().await.expect("the profile") {
                let (command, name) = name(&entry);
                if !COUNTED.contains(&command.as_str()) {
                    continue;
                }
                if entry.get_str("appName").is_ok_and(|app| app == "test") || is_periodic(&entry) {
                    total -= 1;
                } else {
                    operations.entry(name).or_default().add(&entry);
                }
            }
        }
        Commands { total, operations }
    }
}

impl Commands {
    /// How many were sent per one of so many.
    pub fn per(&self, number: usize) -> f64 {
        self.total as f64 / number as f64
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " count    keys    docs      ms")?;
        for (name, it) in &self.operations {
            let Operations { count, keys_examined, documents_examined, milliseconds } = it;
            write!(f, "{count:>6}  {keys_examined:>6}  {documents_examined:>6}  ")?;
            writeln!(f, "{milliseconds:>6}  {name}")?;
        }
        Ok(())
    }
}

impl Operations {
    fn add(&mut self, entry: &Document) {
        let number = |name| entry.get_i32(name).map_or(0, i64::from);
        self.count += 1;
        self.keys_examined += number("keysExamined");
        self.documents_examined += number("docsExamined");
        self.milliseconds += number("millis");
    }
}

/// How many commands the server has executed since it was started.
async fn count(database: &Database) -> i64 {
    let admin = database.client().database("admin");
    let status = run(&admin, doc! { "serverStatus": 1 }).await;
    let metrics =
        status.get_document("metrics").and_then(|metrics| metrics.get_document("commands"));
    let commands = metrics.expect("the server counts commands");
    let total = |name: &&str| commands.get_document(*name).and_then(|it| it.get_i64("total")).ok();
    COUNTED.iter().filter_map(total).sum()
}

async fn run(database: &Database, command: Document) -> Document {
    database.run_command(command).await.expect("MongoDB records operations")
}

/// A search for work that has found none, and the measurement of an outbox.
fn is_periodic(entry: &Document) -> bool {
    let Ok(command) = entry.get_document("command") else { return false };
    if command.contains_key("aggregate") {
        return true;
    }
    let names_document = |filter: &Document| matches!(filter.get("_id"), Some(Bson::String(_)));
    let is_empty = matches!(entry.get_i32("nreturned"), Ok(0));
    is_empty && command.get_document("filter").is_ok_and(|filter| !names_document(filter))
}

/// The command, and the same with its collection.
fn name(entry: &Document) -> (String, String) {
    let collection = entry.get_str("ns").unwrap_or("?");
    let operation = match entry.get_str("op").unwrap_or("?") {
        "command" => {
            let command = entry.get_document("command").ok();
            command.and_then(|command| command.keys().next().cloned()).unwrap_or_default()
        }
        "query" => "find".to_owned(),
        "getmore" => "getMore".to_owned(),
        "remove" => "delete".to_owned(),
        operation => operation.to_owned(),
    };
    let name = format!("{collection} {operation}");
    (operation, name)
}
