//! Whether NATS is set to keep what it acknowledges.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use url::Url;

use super::Bus;
use crate::settings::Unfit;

/// How long the monitoring port may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What we read of `/varz`.
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
    /// Asks JetStream about our streams, and every node of the cluster by its monitoring port.
    pub(crate) async fn check(&self) -> Result<(), Unfit> {
        if let Some(wrong) = self.wrong_stream().await? {
            return Err(Unfit::Wrong(format!("NATS (NATS_URL): {wrong}")));
        }
        let monitor = self.monitor.as_ref().context("NATS_MONITOR_URL isn't set")?;
        for node in nodes(monitor).await? {
            let varz = ask(monitor, node).await?;
            judge(&varz).map_err(Unfit::Wrong)?;
        }
        Ok(())
    }

    /// Whether somebody has told where to ask.
    pub(crate) fn has_monitor(&self) -> bool {
        self.monitor.is_some()
    }
}

fn judge(varz: &Varz) -> Result<(), String> {
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

/// Every address that the name leads to: of a cluster, all nodes that are there.
async fn nodes(monitor: &Url) -> anyhow::Result<Vec<SocketAddr>> {
    let host = monitor.host_str().context("NATS_MONITOR_URL: names no host")?;
    let port = monitor.port_or_known_default().unwrap_or(8222);
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    Ok(found.with_context(|| format!("NATS_MONITOR_URL: {host}"))?.collect())
}

async fn ask(monitor: &Url, node: SocketAddr) -> anyhow::Result<Varz> {
    let host = monitor.host_str().unwrap_or_default();
    let client =
        reqwest::Client::builder().no_proxy().timeout(PATIENCE).resolve(host, node).build()?;
    let url = monitor.join("varz").context("NATS_MONITOR_URL")?;
    let answer = client.get(url).send().await?.error_for_status()?;
    Ok(answer.json().await?)
}
