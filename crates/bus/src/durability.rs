//! Whether NATS is configured to keep what it acknowledges.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use common::durability::DurabilityError;
use serde::Deserialize;
use url::Url;

use crate::connection::Bus;

/// How long the monitoring port may take to respond.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The part of `/varz` that matters.
#[derive(Debug, Deserialize)]
struct Varz {
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    config: Option<Config>,
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
}

impl Bus {
    /// Reads the configuration of our streams, and of every node of the cluster by its monitoring port.
    pub async fn check_durability(&self) -> Result<(), DurabilityError> {
        if let Some(wrong) = self.misconfigured_stream().await? {
            return Err(DurabilityError::Misconfigured(format!("NATS (NATS_URL): {wrong}")));
        }
        let monitor = self.monitor.as_ref().context("NATS_MONITOR_URL isn't set")?;
        for node in nodes(monitor).await? {
            let varz = fetch(monitor, node).await?;
            check(&varz).map_err(DurabilityError::Misconfigured)?;
        }
        Ok(())
    }

    /// Whether the monitoring port is known.
    pub fn has_monitor(&self) -> bool {
        self.monitor.is_some()
    }
}

fn check(varz: &Varz) -> Result<(), String> {
    let node = &varz.server_name;
    match &varz.jetstream.config {
        None => Err(format!("NATS (node {node}): JetStream is off, and must be on")),
        Some(config) if !config.sync_always => Err(format!(
            "NATS (node {node}): jetstream.sync_interval must be always: as it is set, a power failure \
             loses events that were acknowledged"
        )),
        Some(_) => Ok(()),
    }
}

/// Every address that the name resolves to: for a cluster, its nodes.
async fn nodes(monitor: &Url) -> anyhow::Result<Vec<SocketAddr>> {
    let host = monitor.host_str().context("NATS_MONITOR_URL: names no host")?;
    let port = monitor.port_or_known_default().unwrap_or(8222);
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    Ok(found.with_context(|| format!("NATS_MONITOR_URL: {host}"))?.collect())
}

async fn fetch(monitor: &Url, node: SocketAddr) -> anyhow::Result<Varz> {
    let host = monitor.host_str().unwrap_or_default();
    let client =
        reqwest::Client::builder().no_proxy().timeout(TIMEOUT).resolve(host, node).build()?;
    let url = monitor.join("varz").context("NATS_MONITOR_URL")?;
    let response = client.get(url).send().await?.error_for_status()?;
    Ok(response.json().await?)
}
