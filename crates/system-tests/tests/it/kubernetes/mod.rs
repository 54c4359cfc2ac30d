//! What `infra/k8s` renders, checked as far as it can be without a cluster.

mod availability;
mod containers;
mod deploy;
mod images;
mod network;
mod objects;
mod rehearsal;
mod restore;
mod routes;
mod services;
pub mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use testkit::environment;

/// The two overlays, and production's with each component that an operator may add.
pub static OVERLAYS: LazyLock<BTreeMap<&str, Vec<Value>>> = LazyLock::new(|| {
    BTreeMap::from([
        ("dev", render("infra/k8s/overlays/dev")),
        ("production", render("infra/k8s/overlays/production")),
        ("production with its databases inside", with_component("mongodb-three-nodes")),
        ("production with the Gateway API", with_component("gateway-api")),
        ("production with monitoring", with_component("monitoring")),
        ("production with tracing", with_component("tracing")),
    ])
});

pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

/// What `kubectl apply -k` would apply.
fn render(folder: &str) -> Vec<Value> {
    let kubectl = environment::required(environment::KUBECTL);
    let output = Command::new(kubectl).arg("kustomize").arg(repository(folder)).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {stderr}");
    assert!(!stderr.contains("Warning"), "{folder}: {stderr}");
    yaml(&String::from_utf8(output.stdout).unwrap())
}

/// The documents of a file.
pub fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The one list of services: the folders in `services/` that are packages.
pub fn services() -> Vec<String> {
    folders_with("services", "Cargo.toml")
}

/// The services that have a MongoDB of their own.
pub fn databases() -> Vec<String> {
    let mut names = folders_with("infra/k8s/data/mongodb", "kustomization.yaml");
    names.retain(|name| name != "template");
    names
}

/// The names of the folders that hold such a file, sorted.
fn folders_with(parent: &str, file: &str) -> Vec<String> {
    let folders = std::fs::read_dir(repository(parent)).unwrap().flatten();
    let mut names: Vec<_> = folders
        .filter(|folder| folder.path().join(file).is_file())
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{parent}");
    names
}

/// `infra/gateway/routes.txt`: the service of each path, in which `*` is any one segment.
pub fn routes() -> BTreeMap<String, String> {
    let table = read("infra/gateway/routes.txt");
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let (path, service) = line.split_once(' ').unwrap();
        (path.to_owned(), service.trim().to_owned())
    };
    rows.map(row).collect()
}

/// A path of the table as a regular expression, if it needs one.
pub fn as_regex(path: &str) -> String {
    path.replace('*', "[^/]+")
}

/// The production overlay with one more component, uncommented as its comment describes.
fn with_component(name: &str) -> Vec<Value> {
    let copy = tempfile::tempdir().unwrap();
    let status =
        Command::new("cp").arg("-r").arg(repository("infra/k8s")).arg(copy.path()).status();
    assert!(status.unwrap().success());
    let overlay = copy.path().join("k8s/overlays/production");
    let file = overlay.join("kustomization.yaml");
    let commented = std::fs::read_to_string(&file).unwrap();
    let line = format!("- ../../components/{name}");
    let added = commented.replace(&format!("# {line}"), &line);
    assert_ne!(added, commented, "the overlay doesn't name {name}");
    std::fs::write(&file, added).unwrap();
    render(overlay.to_str().unwrap())
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Every object that creates pods: its name and its pod template.
pub fn workloads(objects: &[Value]) -> Vec<(&str, &Value)> {
    let kinds = ["Deployment", "StatefulSet", "Job"];
    let creates_pods = |object: &&Value| kinds.contains(&text(object, "/kind"));
    let pods = |object| (name(object), &object["spec"]["template"]);
    objects.iter().filter(creates_pods).map(pods).collect()
}

pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the selector matches these labels. An empty one matches all.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object() else { return true };
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}
