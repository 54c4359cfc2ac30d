//! The folders in `services/` are the list of services. This is what each of them has elsewhere in the repository: to add a service,
//! add its folder, run this test, and add what it reports.

use std::collections::BTreeSet;

use serde_json::Value;

use super::settings::known;
use super::{as_regex, databases, list, read, repository, routes, services, text, yaml};

const MONGODB: &str = "infra/k8s/data/mongodb";

/// What is missing: each a file, and what belongs there.
#[derive(Default)]
struct Missing(BTreeSet<String>);

impl Missing {
    fn unless(&mut self, is_there: bool, file: &str, what: &str) {
        if !is_there {
            self.0.insert(format!("{file}: {what}"));
        }
    }
}

/// The first document of a file; null where there is no such file.
fn document(file: &str) -> Value {
    let text = std::fs::read_to_string(repository(file)).unwrap_or_default();
    yaml(&text).into_iter().next().unwrap_or_default()
}

fn lists(file: &str, resource: &str) -> bool {
    list(&document(file), "/resources").iter().any(|it| it == resource)
}

/// The paths of the API that its map of routes has, with `x` for what is in braces.
fn api_of(service: &str) -> BTreeSet<String> {
    let map = read(&format!("services/{service}/src/app.rs"));
    let paths = map.split("\"/api/").skip(1).filter_map(|rest| rest.split_once('"'));
    let plain = |path: &str| {
        let segments = path.split('/').map(|it| if it.starts_with('{') { "x" } else { it });
        format!("/api/{}", segments.collect::<Vec<_>>().join("/"))
    };
    paths.map(|(path, _)| plain(path)).collect()
}

/// The row of the table that has this path, and its service: of several the most segments count.
fn row_of(path: &str) -> Option<(String, String)> {
    let matches = |row: &str| {
        let mut segments = path.split('/');
        row.split('/').all(|wanted| segments.next().is_some_and(|it| wanted == "*" || wanted == it))
    };
    let rows = routes().into_iter().filter(|(row, _)| row != "/" && matches(row));
    rows.max_by_key(|(row, _)| row.split('/').count())
}

fn image_and_base(service: &str, missing: &mut Missing) {
    let skaffold = document("skaffold.yaml");
    let artifacts = list(&skaffold, "/build/artifacts");
    let is_built = artifacts.iter().any(|it| text(it, "/docker/buildArgs/SERVICE") == service);
    missing.unless(is_built, "skaffold.yaml", &format!("an artifact for ticketing/{service}"));
    let patches = list(&skaffold, "/profiles/0/patches").len();
    let what = "a patch in the profile production for each artifact";
    missing.unless(patches == artifacts.len(), "skaffold.yaml", what);

    let base = format!("infra/k8s/base/{service}");
    missing.unless(
        lists("infra/k8s/base/kustomization.yaml", service),
        "infra/k8s/base/kustomization.yaml",
        &format!("the resource {service}"),
    );
    for (file, what) in [
        (
            "kustomization.yaml",
            "the resources beside it, and the component ../../components/service",
        ),
        ("deployment.yaml", "a Deployment with what is the service's own, such as its settings"),
        ("serviceaccount.yaml", "a ServiceAccount of its own"),
        ("availability.yaml", "a PodDisruptionBudget and a HorizontalPodAutoscaler"),
    ] {
        let file = format!("{base}/{file}");
        missing.unless(repository(&file).is_file(), &file, what);
    }
    let deployment = document(&format!("{base}/deployment.yaml"));
    let file = format!("{base}/deployment.yaml");
    for (pointer, value) in [
        ("/metadata/name", service),
        ("/spec/template/metadata/labels/app.kubernetes.io~1name", service),
        ("/spec/template/metadata/labels/app.kubernetes.io~1component", "service"),
        ("/spec/template/spec/serviceAccountName", service),
        ("/spec/template/spec/containers/0/name", "service"),
        ("/spec/template/spec/containers/0/image", &format!("ticketing/{service}")),
    ] {
        let is_set = text(&deployment, pointer) == value;
        missing.unless(is_set, &file, &format!("{pointer} is {value}"));
    }
}

/// Of a service that reads MONGO_URI.
fn database(service: &str, has_database: bool, missing: &mut Missing) {
    if !has_database {
        let is_alone = !databases().iter().any(|it| it == service);
        missing.unless(
            is_alone,
            &format!("{MONGODB}/{service}"),
            "no folder, for it has no database",
        );
        return;
    }
    let folder = format!("{MONGODB}/{service}/kustomization.yaml");
    let what = "the replica set of ../template, with the service's name";
    missing.unless(text(&document(&folder), "/namePrefix") == format!("{service}-"), &folder, what);
    let all = format!("{MONGODB}/kustomization.yaml");
    missing.unless(lists(&all, service), &all, &format!("the resource {service}"));
    let file = format!("infra/k8s/base/{service}/deployment.yaml");
    let labels = document(&file)["spec"]["template"]["metadata"]["labels"].clone();
    for (label, value) in [("app.kubernetes.io/instance", service), ("uses-mongodb", "true")] {
        let what = format!("the pods' label {label}: {value}, which the network policies select");
        missing.unless(labels[label] == value, &file, &what);
    }
    let page = "docs/operating.md";
    let is_documented = read(page).contains(&format!("\n| {service} | "));
    missing.unless(is_documented, page, &format!("{service} in the table of *After a restore*"));
}

/// Of a service that the gateway reaches: one with an API, and web.
fn gateway(service: &str, missing: &mut Missing) {
    for path in api_of(service) {
        let is_there = row_of(&path).is_some_and(|(_, it)| it == service);
        missing.unless(is_there, "infra/gateway/routes.txt", &format!("{path} of {service}"));
    }
    let table = routes().into_iter().filter(|(_, it)| it == service);
    let paths: BTreeSet<String> = table.map(|(path, _)| path).collect();
    let file = format!("infra/k8s/base/{service}/deployment.yaml");
    let label = document(&file)["spec"]["template"]["metadata"]["labels"]["behind-gateway"].clone();
    let what = "the pods' label behind-gateway: \"true\", exactly if routes.txt has the service";
    missing.unless((label == "true") != paths.is_empty(), &file, what);
    let file = format!("infra/k8s/base/{service}/service.yaml");
    let has_service = repository(&file).is_file() || paths.is_empty();
    missing.unless(has_service, &file, "a Service for its port http");

    let ingress = document("infra/k8s/base/ingress/ingress.yaml");
    let gateway_api = document("infra/k8s/components/gateway-api/routes.yaml");
    for path in paths {
        let path = as_regex(&path);
        let what = format!("the path {path} to {service}");
        let mut rules = list(&ingress, "/spec/rules/0/http/paths").iter();
        let is_routed = rules.any(|it| text(it, "/path") == path);
        missing.unless(is_routed, "infra/k8s/base/ingress/ingress.yaml", &what);
        let mut rules = list(&gateway_api, "/spec/rules").iter();
        let is_routed = rules.any(|it| text(it, "/matches/0/path/value") == path);
        missing.unless(is_routed, "infra/k8s/components/gateway-api/routes.yaml", &what);
    }
}

fn bus(service: &str, missing: &mut Missing) {
    let users = read("infra/k8s/data/nats/users.conf");
    let is_user = users.lines().any(|line| line.trim() == format!("user: {service}"));
    let what = "its user, which the catalogue of events (common) gives to each publisher, listener and watcher of a \
                stream: name the service there, then UPDATE=1 cargo xtask test -- --test it users_of_nats";
    missing.unless(is_user, "infra/k8s/data/nats/users.conf", what);
}

#[tokio::test]
async fn each_service_is_everywhere_that_it_belongs() {
    let mut missing = Missing::default();
    for service in services() {
        image_and_base(&service, &mut missing);
        database(&service, known(&service).await.contains("MONGO_URI"), &mut missing);
        gateway(&service, &mut missing);
        bus(&service, &mut missing);
    }
    let missing: Vec<String> = missing.0.into_iter().map(|line| format!("  {line}")).collect();
    assert!(
        missing.is_empty(),
        "of the folders in services/, this is missing:\n{}",
        missing.join("\n")
    );
}

/// What a deleted service must not leave.
#[test]
fn nothing_else_is_taken_for_a_service() {
    let services = services();
    let base = list(&document("infra/k8s/base/kustomization.yaml"), "/resources").to_vec();
    let mut named: BTreeSet<String> =
        base.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    named.remove("network");
    named.remove("ingress");
    named.extend(databases());
    named.extend(routes().into_values());
    let unknown: Vec<_> = named.into_iter().filter(|name| !services.contains(name)).collect();
    assert!(unknown.is_empty(), "services/ has no {unknown:?}");
}
