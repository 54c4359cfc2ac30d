//! A real Prometheus with the rules of `infra/observability`, which scrapes the services of a stack.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{environment, eventually};

use crate::{Stack, free_port, workspace};

pub struct Prometheus {
    process: Child,
    address: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// Starts one beside the stack's data. None where the tests have no Prometheus.
    pub async fn start(stack: &Stack) -> Result<Option<Prometheus>> {
        let Some(promtool) = environment::optional(environment::PROMTOOL) else { return Ok(None) };
        let program = PathBuf::from(promtool).with_file_name("prometheus");
        let folder = stack.root().join("prometheus");
        fs::create_dir_all(&folder)?;
        let configuration = folder.join("prometheus.json");
        // YAML is a superset of JSON.
        fs::write(&configuration, configuration_for(stack).to_string())?;
        let address = format!("127.0.0.1:{}", free_port());
        let log = fs::File::create(folder.join("log"))?;
        let process = Command::new(&program)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let prometheus = Prometheus { process, address, client: reqwest::Client::new() };
        eventually("every service to be scraped", || async {
            let up = prometheus.query("sum(up)").await.ok()?;
            let up: f64 = up.first()?["value"][1].as_str()?.parse().ok()?;
            (up as usize == workspace::services().len()).then_some(())
        })
        .await;
        Ok(Some(prometheus))
    }

    /// What this expression is now: one entry for each series.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let found = self.get("query", &[("query", expression)]).await?;
        let found = found["data"]["result"].as_array().context("a vector")?;
        Ok(found.iter().filter(|series| series["value"][1] != "NaN").cloned().collect())
    }

    /// The alerts that are firing, each with what it is about: `PromiseBroken payment_is_answered`.
    pub async fn firing(&self) -> Result<BTreeSet<String>> {
        let found = self.get("alerts", &[]).await?;
        let alerts = found["data"]["alerts"].as_array().context("alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let named = firing.map(|alert| {
            let labels = &alert["labels"];
            let about = ["promise", "job", "stream", "collection"];
            let about = about.into_iter().filter_map(|label| labels[label].as_str());
            let words: Vec<&str> = labels["alertname"].as_str().into_iter().chain(about).collect();
            words.join(" ")
        });
        Ok(named.collect())
    }

    async fn get(&self, call: &str, query: &[(&str, &str)]) -> Result<Value> {
        let request = self.client.get(format!("http://{}/api/v1/{call}", self.address));
        let response = request.query(query).send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        ensure!(status.is_success(), "{call} {query:?}: {body}");
        Ok(body)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn configuration_for(stack: &Stack) -> Value {
    let jobs = workspace::services().into_iter().map(|service| {
        let target = stack.admin_address(&service);
        json!({ "job_name": service, "static_configs": [{ "targets": [target] }] })
    });
    let jobs: Vec<Value> = jobs.collect();
    json!({
        "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
        "rule_files": [rules()],
        "scrape_configs": jobs,
    })
}

fn rules() -> PathBuf {
    workspace::root().join(Path::new("infra/observability/rules.yaml"))
}
