//! `infra/k8s/restore` takes the steps of docs/operating.md, in their order. The test `losses::a_database_is_restored` takes
//! them on real servers.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{OVERLAYS, databases, list, name, objects::round_trip, of_kind, read, repository};

/// A stand-in for kubectl: three replicas of each service, which stop immediately, and Jobs that complete immediately.
const KUBECTL: &str = r#"#!/usr/bin/env bash
case "$*" in
  *"get statefulset"*) cat "$CLUSTER/$5.json" ;;
  *"jsonpath={.spec.replicas}"*) echo 3 ;;
  *"get deployment"*) cat "$CLUSTER/$5.json" ;;
  *"create -f -"*) cat >> "$CLUSTER/calls"; echo >> "$CLUSTER/calls"; echo job.batch/one ;;
  *"exec -i"*) echo "$5: ${13} $(cat)" >> "$CLUSTER/calls" ;;
  *"mongodump"*) echo "a copy of $4" ;;
  *"renameCollection"*) echo "$4: $9 switched" >> "$CLUSTER/calls" ;;
  *scale*) echo "$4 $5 $6" >> "$CLUSTER/calls" ;;
esac
"#;

/// A program in this folder.
fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// What changes in the cluster while the service's database is restored, one call a line.
fn restored(service: &str) -> Vec<String> {
    let cluster = tempfile::tempdir().unwrap();
    for kind in ["Deployment", "StatefulSet"] {
        for object in of_kind(&OVERLAYS["production with its databases inside"], kind) {
            // The real kubectl's third and fourth words are `get deployment`, as the namespace comes first.
            let file = cluster.path().join(format!("{}.json", name(object)));
            std::fs::write(file, object.to_string()).unwrap();
        }
    }
    script(cluster.path(), "kubectl", KUBECTL);
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

/// The pod on which the back-up is restored: confined as the live one, with no data, user or label of it.
fn is_a_mongod_of_its_own(line: &str, service: &str) {
    let pod: Value = serde_json::from_str(line).unwrap();
    assert_eq!(pod, round_trip::<Pod>(&pod), "a Pod to the last field");
    let label = &pod["metadata"]["labels"]["app.kubernetes.io/name"];
    assert_eq!(label, &json!(format!("{service}-restore")));
    let spec = &pod["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    let mongod = &spec["containers"][0];
    assert_eq!(mongod["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(mongod["env"], json!([{ "name": "HOME", "value": "/tmp" }]));
    let volumes = list(spec, "/volumes");
    assert!(volumes.iter().all(|volume| volume["emptyDir"] == json!({})), "{volumes:?}");
    assert_eq!(volumes.len(), list(mongod, "/volumeMounts").len());
}

/// Runs a pod's command on this machine.
const EXEC: &str = r#"#!/usr/bin/env bash
while [[ $1 != -- ]]; do shift; done
ROOT_PASSWORD=secret exec "${@:2}"
"#;
/// Prints its arguments, and the file that `--config` names.
const MONGODUMP: &str = r#"#!/usr/bin/env bash
echo "$*"
while (( $# )); do [[ $1 == --config ]] && cat "$2"; shift; done
"#;

/// Without the oplog the dump isn't of one instant, and may hold two orders of one place.
#[test]
fn a_back_up_is_of_one_instant_and_its_password_is_no_argument() {
    let bin = tempfile::tempdir().unwrap();
    script(bin.path(), "kubectl", EXEC);
    script(bin.path(), "mongodump", MONGODUMP);
    let output = Command::new(repository("infra/k8s/back-up"))
        .arg("orders")
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let (arguments, configuration) = printed.split_once('\n').unwrap();
    assert!(arguments.contains(" --oplog "), "{arguments}");
    assert!(!arguments.contains("--db"), "{arguments}: of a database alone there is no oplog");
    assert!(!arguments.contains("secret"), "{arguments}");
    // One member's data and oplog, not several members'.
    assert_eq!(
        configuration,
        "uri: \"mongodb://root:secret@localhost/?directConnection=true&authSource=admin\"\n"
    );
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
        // The service runs until all of the back-up is there.
        is_a_mongod_of_its_own(&calls[0], &service);
        assert_eq!(calls[1], format!("{service}-restore: --oplogReplay the back-up"));
        let copied = format!("{service}-mongodb-0: mongorestore a copy of {service}-restore");
        assert_eq!(calls[2], copied);
        assert_eq!(calls[3], format!("deployment {service} --replicas=0"));
        assert_eq!(calls[4], format!("{service}-mongodb-0: SERVICE={service} switched"));
        assert_eq!(command(&calls[5]), (service.clone(), json!(["republish", "--restored"])));
        assert_eq!(calls[6], format!("deployment {service} --replicas=3"));
        let mut after = calls[7..].to_vec();
        if service == "payments" {
            let last = after.pop().unwrap();
            assert_eq!(command(&last), (service.clone(), json!(["reconcile"])));
        }
        let republished = after.iter().map(|line| command(line)).map(|(publisher, arguments)| {
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
