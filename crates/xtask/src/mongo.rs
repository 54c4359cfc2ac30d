//! mongod as a replica set of one node, which transactions and majority writes need.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    error::{Error, ErrorKind},
};
use tokio::time::sleep;

use crate::{probe::Probe, process::Spec};

const ALREADY_INITIALIZED: i32 = 23;

/// How to start it.
pub fn spec(program: &std::path::Path, data: &std::path::Path, port: u16) -> Spec {
    let port_text = port.to_string();
    let args = [
        ("--bind_ip", "127.0.0.1"),
        ("--port", port_text.as_str()),
        ("--replSet", "rs0"),
        // As on a cluster. That much is taken only by so much data.
        ("--wiredTigerCacheSizeGB", "0.5"),
        ("--oplogSize", "512"),
        // A single member has no other to hand over to before it shuts down.
        ("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
        // Diagnostic files, which nobody reads here.
        ("--setParameter", "diagnosticDataCollectionEnabled=false"),
        // It listens on this machine only; tests make it refuse commands (`failCommand`).
        ("--setParameter", "enableTestCommands=1"),
    ];
    let mut args: Vec<_> =
        args.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect();
    args.extend(["--nounixsocket".into(), "--quiet".into(), "--dbpath".into(), data.into()]);
    Spec {
        name: "mongod".to_owned(),
        program: program.to_owned(),
        args,
        env: Vec::new(),
        without: Vec::new(),
        ports: vec![port],
        probe: Probe::Accepts(port),
    }
}

/// Makes the node the primary of its own set. Idempotent.
pub async fn initiate(port: u16) -> Result<()> {
    let uri =
        format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=10000");
    let admin = Client::with_uri_str(uri).await?.database("admin");
    let host = format!("127.0.0.1:{port}");
    let members = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": &host }] };
    match admin.run_command(doc! { "replSetInitiate": members }).await {
        Ok(_) => {}
        Err(error) if code(&error) == Some(ALREADY_INITIALIZED) => move_to(&admin, &host).await?,
        Err(error) => return Err(error).context("making mongod a replica set"),
    }
    until_primary(&admin).await
}

/// The set stores its member's address, and the data may have been created when mongod had another port.
async fn move_to(admin: &Database, host: &str) -> Result<()> {
    let reply = admin
        .run_command(doc! { "replSetGetConfig": 1 })
        .await
        .context("reading the replica set")?;
    let config =
        reply.get_document("config").context("mongod returned no replica set configuration")?;
    let members = config.get_array("members").context("a replica set without members")?;
    let is_unchanged =
        members.iter().filter_map(|member| member.as_document()?.get_str("host").ok()).eq([host]);
    if is_unchanged {
        return Ok(());
    }
    let mut config: Document = config.clone();
    config.insert("version", config.get_i32("version").unwrap_or_default() + 1);
    config.insert("members", vec![doc! { "_id": 0, "host": host }]);
    let reconfigure = doc! { "replSetReconfig": config, "force": true };
    admin.run_command(reconfigure).await.context("moving the replica set to its new port")?;
    Ok(())
}

async fn until_primary(admin: &Database) -> Result<()> {
    let begun = Instant::now();
    loop {
        let hello =
            admin.run_command(doc! { "hello": 1 }).await.context("asking mongod for its state")?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!(
                "mongod didn't become the primary of its replica set within 30 s; its state: {hello}"
            );
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn code(error: &Error) -> Option<i32> {
    if let ErrorKind::Command(command) = &*error.kind { Some(command.code) } else { None }
}

/// What every test and tool connects with, but for the database's name.
pub fn uri(port: u16, database: &str) -> String {
    format!("mongodb://127.0.0.1:{port}/{database}?replicaSet=rs0&directConnection=true")
}
