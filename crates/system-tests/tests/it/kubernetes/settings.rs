//! Each Deployment sets the settings that its service reads, and no others.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use testkit::{Program, environment};

use super::{OVERLAYS, list, name, of_kind, repository, services, text, workloads, yaml};

/// Settings whose defaults are right in a cluster: the ports and the address are those that the Deployments name.
pub const LEFT_OUT: [&str; 9] = [
    "HOST",
    "PORT",
    "ADMIN_PORT",
    "LIVE_STREAMS",
    "LIVE_STREAMS_PER_VISITOR",
    "STRIPE_URL",
    // Browsers can't reach the local Stripe of a cluster.
    "STRIPE_PUBLIC_URL",
    "SMTP_CA",
    "SMTP_TIMEOUT_SECONDS",
];

/// The variables that a service's `--help` names.
pub async fn known(service: &str) -> BTreeSet<String> {
    // A program's name lives as long as the test.
    let service: &'static str = service.to_owned().leak();
    let ended = Program::of(service).run(&["--help"]).await;
    let help = ended.expect_success();
    let variable = |after: &str| {
        let end = after.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
        after[..end.unwrap()].to_owned()
    };
    help.split("[env: ").skip(1).map(variable).collect()
}

#[tokio::test]
async fn each_deployment_sets_what_its_service_reads_and_nothing_else() {
    for service in services() {
        let known = known(&service).await;
        assert!(known.contains("PUBLIC_URL"), "{known:?}");
        for (overlay, objects) in OVERLAYS.iter() {
            let deployments = of_kind(objects, "Deployment");
            let deployment = deployments.into_iter().find(|it| name(it) == service).unwrap();
            let set: BTreeSet<String> = list(deployment, "/spec/template/spec/containers/0/env")
                .iter()
                .map(|variable| text(variable, "/name").to_owned())
                .collect();
            let unknown: Vec<_> = set.difference(&known).collect();
            assert!(unknown.is_empty(), "{overlay}: {service} doesn't read {unknown:?}");
            let mut missing: Vec<_> = known.difference(&set).collect();
            missing.retain(|variable| !LEFT_OUT.contains(&variable.as_str()));
            assert!(missing.is_empty(), "{overlay}: {missing:?} of {service} isn't set");
        }
    }
}

/// The keys of each Secret and ConfigMap that `make-secrets` creates.
fn created() -> BTreeSet<(String, String)> {
    let kubectl = environment::required(environment::KUBECTL);
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(kubectl, bin.path().join("kubectl")).unwrap();
    let output = Command::new(repository("infra/k8s/make-secrets"))
        .arg("--print")
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut keys = BTreeSet::new();
    for object in yaml(&String::from_utf8(output.stdout).unwrap()) {
        let Some(data) = object["data"].as_object() else { continue };
        keys.extend(data.keys().map(|key| (name(&object).to_owned(), key.clone())));
    }
    keys
}

/// What a container reads into its environment: the source's name and the key.
fn references(container: &Value) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for variable in list(container, "/env") {
        for kind in ["secretKeyRef", "configMapKeyRef"] {
            let reference = &variable["valueFrom"][kind];
            if reference.is_object() && reference["optional"] != true {
                read.push((
                    text(reference, "/name").to_owned(),
                    text(reference, "/key").to_owned(),
                ));
            }
        }
    }
    read
}

/// What a pod reads as a whole.
fn sources(pods: &Value) -> Vec<&str> {
    let volumes = list(pods, "/spec/volumes").iter();
    let mounted = volumes
        .flat_map(|volume| ["/secret/secretName", "/configMap/name"].map(|at| text(volume, at)));
    let containers = list(pods, "/spec/containers").iter();
    let imported = containers
        .flat_map(|container| list(container, "/envFrom"))
        .flat_map(|source| ["/secretRef/name", "/configMapRef/name"].map(|at| text(source, at)));
    mounted.chain(imported).filter(|source| !source.is_empty()).collect()
}

#[test]
fn every_secret_and_config_map_that_a_pod_reads_exists() {
    let created = created();
    for (overlay, objects) in OVERLAYS.iter() {
        let mut existing = created.clone();
        for map in of_kind(objects, "ConfigMap") {
            let keys = map["data"].as_object().unwrap().keys();
            existing.extend(keys.map(|key| (name(map).to_owned(), key.clone())));
        }
        for (workload, pods) in workloads(objects) {
            for reference in list(pods, "/spec/containers").iter().flat_map(references) {
                assert!(existing.contains(&reference), "{overlay}: {workload} reads {reference:?}");
            }
            for source in sources(pods) {
                let exists = existing.iter().any(|(name, _)| name == source);
                assert!(exists, "{overlay}: {workload} reads {source}");
            }
        }
    }
}

/// What users.conf calls `$AUTH_NATS_PASSWORD` is in the environment of NATS.
#[test]
fn nats_knows_the_password_of_every_user() {
    let created = created();
    let users = super::read("infra/k8s/data/nats/users.conf");
    let nodes = super::read("infra/k8s/components/nats-three-nodes/cluster.conf");
    let users = users + &nodes;
    let named: Vec<_> =
        users.lines().filter_map(|line| line.trim().strip_prefix("password: $")).collect();
    let expected = services().len() + 2;
    assert_eq!(named.len(), expected, "each service, the operator and the nodes: {named:?}");
    for variable in named {
        let key = ("nats".to_owned(), variable.to_owned());
        assert!(created.contains(&key), "make-secrets creates no {variable}");
    }
}

/// No secret is in the repository: an overlay names them, and renders none.
#[test]
fn no_secret_is_rendered() {
    for (overlay, objects) in OVERLAYS.iter() {
        assert!(of_kind(objects, "Secret").is_empty(), "{overlay}");
    }
}
