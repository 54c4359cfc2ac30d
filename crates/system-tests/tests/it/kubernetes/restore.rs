//! `infra/k8s/restore` takes the steps of docs/operating.md, in their order. What they lead to on real servers, the test
//! `losses::a_database_is_restored` shows.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::{OVERLAYS, name, objects::round_trip, of_kind, read, repository};

/// Plays the cluster: three replicas of each service, which stop at once, and Jobs that end at once.
const KUBECTL: &str = r#"#!/usr/bin/env bash
case "$*" in
  *"jsonpath={.spec.replicas}"*) echo 3 ;;
  *"get deployment"*) cat "$CLUSTER/$5.json" ;;
  *"create -f -"*) cat >> "$CLUSTER/did"; echo >> "$CLUSTER/did"; echo job.batch/one ;;
  *"exec -i"*) echo "$5: $(cat)" >> "$CLUSTER/did" ;;
  *scale*) echo "$4 $5 $6" >> "$CLUSTER/did" ;;
esac
"#;

/// What is done to the cluster while the service's database is put back, line by line.
fn restored(service: &str) -> Vec<String> {
    let cluster = tempfile::tempdir().unwrap();
    for deployment in of_kind(&OVERLAYS["production"], "Deployment") {
        // The real kubectl's third and fourth words are `get deployment`, as the namespace comes first.
        let file = cluster.path().join(format!("{}.json", name(deployment)));
        std::fs::write(file, deployment.to_string()).unwrap();
    }
    let kubectl = cluster.path().join("kubectl");
    std::fs::write(&kubectl, KUBECTL).unwrap();
    std::fs::set_permissions(&kubectl, PermissionsExt::from_mode(0o755)).unwrap();
    let archive = cluster.path().join("archive");
    std::fs::write(&archive, "the back-up").unwrap();
    let output = Command::new(repository("infra/k8s/restore"))
        .arg(service)
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", cluster.path().display()))
        .env("CLUSTER", cluster.path())
        .stdin(Stdio::from(std::fs::File::open(archive).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let did = std::fs::read_to_string(cluster.path().join("did")).unwrap();
    did.lines().map(str::to_owned).collect()
}

/// A Job that runs an operator's command: whose, and which.
fn commanded(line: &str) -> (String, Value) {
    let job: Value = serde_json::from_str(line).unwrap();
    assert_eq!(job, round_trip::<Job>(&job), "a Job to the last field");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let image = pod["containers"][0]["image"].as_str().unwrap();
    (image.trim_start_matches("ticketing/").to_owned(), pod["containers"][0]["args"].clone())
}

/// The table of docs/operating.md: who is restored, and who tells it again what it has missed.
fn table() -> Vec<(String, Vec<String>)> {
    let page = read("docs/operating.md");
    let (_, table) = page.split_once("| restored | run |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let tellers = cells[2].split('`').filter_map(|word| word.strip_suffix(" reannounce"));
        (cells[1].to_owned(), tellers.map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_database_is_put_back_in_the_order_that_the_page_tells() {
    let table = table();
    assert_eq!(table.len(), 5);
    for (service, tellers) in table {
        let did = restored(&service);
        assert_eq!(did[0], format!("deployment {service} --replicas=0"));
        assert_eq!(did[1], format!("{service}-mongodb-0: the back-up"));
        assert_eq!(commanded(&did[2]), (service.clone(), json!(["reannounce", "--restored"])));
        assert_eq!(did[3], format!("deployment {service} --replicas=3"));
        let told: Vec<_> = did[4..].iter().map(|line| commanded(line)).collect();
        let wanted: Vec<_> =
            tellers.into_iter().map(|teller| (teller, json!(["reannounce"]))).collect();
        assert_eq!(told, wanted, "{service}");
    }
}
