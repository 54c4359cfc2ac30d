//! `infra/k8s/restore` takes the steps of docs/operating.md, in their order. The test `losses::a_database_is_restored` takes
//! them on real servers.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::{OVERLAYS, databases, name, objects::round_trip, of_kind, read, repository};

/// A stand-in for kubectl: three replicas of each service, which stop immediately, and Jobs that complete immediately.
const KUBECTL: &str = r#"#!/usr/bin/env bash
case "$*" in
  *"jsonpath={.spec.replicas}"*) echo 3 ;;
  *"get deployment"*) cat "$CLUSTER/$5.json" ;;
  *"create -f -"*) cat >> "$CLUSTER/calls"; echo >> "$CLUSTER/calls"; echo job.batch/one ;;
  *"exec -i"*) echo "$5: $(cat)" >> "$CLUSTER/calls" ;;
  *scale*) echo "$4 $5 $6" >> "$CLUSTER/calls" ;;
esac
"#;

/// What changes in the cluster while the service's database is restored, one call a line.
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
    let calls = std::fs::read_to_string(cluster.path().join("calls")).unwrap();
    calls.lines().map(str::to_owned).collect()
}

/// A Job that runs a command of the admin CLI: the service, and the arguments.
fn command(line: &str) -> (String, Value) {
    let job: Value = serde_json::from_str(line).unwrap();
    assert_eq!(job, round_trip::<Job>(&job), "a Job to the last field");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let image = pod["containers"][0]["image"].as_str().unwrap();
    (image.trim_start_matches("ticketing/").to_owned(), pod["containers"][0]["args"].clone())
}

/// The table of docs/operating.md: the restored service, and the services that have to republish.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let page = read("docs/operating.md");
    let (_, table) = page.split_once("| restored | run |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let publishers = cells[2].split('`').filter_map(|word| word.strip_suffix(" republish"));
        (cells[1].to_owned(), publishers.map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_database_is_restored_in_the_order_that_the_page_gives() {
    let table = table();
    let documented: BTreeSet<_> = table.iter().map(|(service, _)| service.clone()).collect();
    assert_eq!(documented, databases().into_iter().collect(), "the table of docs/operating.md");
    for (service, publishers) in table {
        let calls = restored(&service);
        assert_eq!(calls[0], format!("deployment {service} --replicas=0"));
        assert_eq!(calls[1], format!("{service}-mongodb-0: the back-up"));
        assert_eq!(command(&calls[2]), (service.clone(), json!(["republish", "--restored"])));
        assert_eq!(calls[3], format!("deployment {service} --replicas=3"));
        let republished =
            calls[4..].iter().map(|line| command(line)).map(|(publisher, arguments)| {
                assert_eq!(arguments, json!(["republish"]), "{service}: {publisher}");
                publisher
            });
        assert_eq!(
            republished.collect::<BTreeSet<_>>(),
            publishers,
            "{service}: docs/operating.md"
        );
    }
}
