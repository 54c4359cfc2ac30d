//! The alerts: each is raised by what it is about and by nothing else, and leads to a page that says what to do.

use std::collections::BTreeSet;
use std::process::Command;

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::{Prometheus, workspace};
use testkit::{environment, retry_every};

use crate::shared;

/// What is counted every quarter of a minute must have been.
const TIMEOUT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_secs(1);
const RULES: &str = "infra/observability/rules.yaml";

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace::root().join(path)).unwrap()
}

/// What follows this key, in all rules.
fn values<'a>(rules: &'a str, key: &str) -> Vec<&'a str> {
    rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(": "))
        .collect()
}

fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(workspace::root().join(folder)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let rules = read(RULES);
    let alerts: Vec<&str> = values(&rules, "- alert");
    let expected: Vec<String> =
        alerts.iter().map(|alert| format!("docs/runbooks/{alert}.md")).collect();
    assert_eq!(values(&rules, "runbook"), expected);
    let known: BTreeSet<String> = alerts.iter().map(ToString::to_string).collect();
    assert_eq!(names("docs/runbooks", ".md"), known);
    let severities = values(&rules, "labels");
    assert_eq!(severities.len(), alerts.len());
    let known = ["{severity: page}", "{severity: ticket}"];
    assert!(severities.iter().all(|severity| known.contains(severity)), "{severities:?}");
}

/// A promise without an alert would be broken silently.
#[test]
fn every_promise_of_the_services_raises_an_alert_and_stands_in_its_runbook() {
    let rules = read(RULES);
    let mut promises = 0;
    for service in workspace::services() {
        let Ok(source) = std::fs::read_to_string(
            workspace::root().join(format!("services/{service}/src/promises.rs")),
        ) else {
            continue;
        };
        let names = ["name: \"", "published(\""].map(|before| source.split(before).skip(1));
        for rest in names.into_iter().flatten() {
            let name = rest.split('"').next().unwrap();
            let alerts = ["PromiseBroken", "WorkLeftForPeople"].into_iter().filter(|alert| {
                let (_, rule) = rules.split_once(&format!("- alert: {alert}")).unwrap();
                let (expression, _) = rule.split_once("annotations").unwrap();
                expression.split(['"', '|']).any(|promise| promise == name)
            });
            let alerts: Vec<&str> = alerts.collect();
            let [alert] = alerts[..] else { panic!("{name}: {alerts:?}") };
            let row = format!("| `{name}` | {service} |");
            assert!(read(&format!("docs/runbooks/{alert}.md")).contains(&row), "{row}");
            promises += 1;
        }
    }
    assert!(promises > 5);
}

#[test]
fn the_alerts_are_about_documented_metrics() {
    let page = read("docs/operating.md");
    let rules = read(RULES);
    let words = rules.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let is_metric = |word: &&str| {
        ["_total", "_seconds", "_connected", "_checked", "_letters", "_configured", "_promises"]
            .iter()
            .any(|ending| word.ends_with(ending))
    };
    let metrics: BTreeSet<&str> = words.filter(is_metric).collect();
    assert!(metrics.len() > 10);
    for metric in metrics {
        assert!(page.contains(&format!("| `{metric}` |")), "{metric}");
    }
}

#[test]
fn each_alert_is_raised_by_what_it_is_about_and_by_nothing_else() {
    let Some(promtool) = environment::optional(environment::PROMTOOL) else { return };
    let folder = workspace::root().join("infra/observability");
    for args in [["check", "rules", "rules.yaml"], ["test", "rules", "tests/alerts.yaml"]] {
        let output = Command::new(&promtool).args(args).current_dir(&folder).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }
    let (rules, tests) = (read(RULES), read("infra/observability/tests/alerts.yaml"));
    for alert in values(&rules, "- alert") {
        for outcome in ["raised", "quiet"] {
            assert!(tests.contains(&format!("name: {alert} is {outcome}\n")), "{alert} {outcome}");
        }
    }
}

/// A panel that asks for what nobody measures stays empty, and nobody notices.
#[tokio::test]
async fn every_query_of_the_dashboard_returns_data() {
    let stack = shared::default().await;
    let Some(prometheus) = Prometheus::start(stack).await.unwrap() else { return };
    let dashboard: Value =
        serde_json::from_str(&read("infra/observability/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut empty: BTreeSet<&str> =
        targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(empty.len() > 20);
    // Rates need what happens between two scrapes.
    let shown = retry_every(LOOK, TIMEOUT, async || {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        let order = buyer.reserves(&seller.offers("Lakmé", "20.50").await).await;
        buyer.pays(&order, "tok_visa").await.expect(201);
        let wrong = json!({ "email": "nobody@example.com", "password": "a guess" });
        stack.visitor().post("/api/users/signin", wrong).await;
        let mut without_data = BTreeSet::new();
        for query in std::mem::take(&mut empty) {
            if prometheus.query(query).await.unwrap().is_empty() {
                without_data.insert(query);
            }
        }
        empty.clone_from(&without_data);
        if without_data.is_empty() { Ok(()) } else { Err(without_data) }
    });
    shown.await.unwrap_or_else(|empty| panic!("no data: {empty:#?}"));
}
