//! The layers of the code: crates depend on each other in one direction, and so do the modules of a crate.

mod imports;
mod manifests;
mod source;

use std::collections::BTreeMap;

use system_tests::workspace;

use imports::Modules;
use manifests::Manifest;

#[test]
fn no_modules_of_a_crate_import_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    for (package, directory) in packages() {
        let cycles = Modules::read(&directory.join("src")).cycles();
        wrong.extend(cycles.iter().map(|cycle| format!("{package}:\n{cycle}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The allowed dependencies of each shared crate on others of ours.
const LAYERS: [(&str, &[&str]); 14] = [
    ("common", &[]),
    ("account-links", &["common"]),
    ("admissions", &["common"]),
    ("e-ticket", &["common", "admissions"]),
    ("telemetry", &["common"]),
    ("bus", &["common", "telemetry"]),
    ("httpkit", &["common", "telemetry"]),
    ("redis-connection", &[]),
    ("store", &["common", "telemetry", "bus", "httpkit"]),
    ("service", &["common", "telemetry", "bus", "httpkit", "store"]),
    // A statement of the protocol of its own.
    ("model", &[]),
    // Standalone programs: a mistake in ours must not repeat itself in what stands for Stripe, or for a mail provider.
    ("stripe-double", &[]),
    ("mail-double", &[]),
    ("xtask", &[]),
];
/// Those of a service, and of web, which compiles no database driver.
const OF_A_SERVICE: [&str; 10] = [
    "common",
    "account-links",
    "admissions",
    "e-ticket",
    "telemetry",
    "bus",
    "httpkit",
    "redis-connection",
    "store",
    "service",
];
const OF_WEB: [&str; 6] = ["common", "admissions", "e-ticket", "telemetry", "bus", "httpkit"];
/// Only tests may depend on these, and these on anything.
const OF_TESTS: [&str; 2] = ["testkit", "system-tests"];
/// Dependencies that only some packages may have, besides those of tests.
const RESTRICTED: [(&str, &[&str]); 3] = [
    ("async-nats", &["bus"]),
    ("redis", &["auth", "expiration", "redis-connection"]),
    ("redis-connection", &["auth", "expiration"]),
];
/// What does I/O, which the contract doesn't.
const IO: [&str; 6] = ["async-nats", "axum", "mongodb", "redis", "reqwest", "tokio"];

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let manifests = manifests();
    let services = workspace::services();
    let mut wrong = Vec::new();
    for (package, manifest) in &manifests {
        if OF_TESTS.contains(&package.as_str()) {
            continue;
        }
        let allowed: &[&str] = match LAYERS.iter().find(|(name, _)| name == package) {
            Some((_, allowed)) => allowed,
            None if package == "web" => &OF_WEB,
            None if services.contains(package) => &OF_A_SERVICE,
            None => {
                wrong.push(format!("crates/{package} has no layer: add it to LAYERS"));
                continue;
            }
        };
        let ours = manifest.dependencies.iter().filter(|name| manifests.contains_key(*name));
        for dependency in ours.filter(|name| !allowed.contains(&name.as_str())) {
            wrong.push(format!("{package} must not depend on {dependency}"));
        }
        for (restricted, by) in RESTRICTED {
            if manifest.dependencies.contains(restricted) && !by.contains(&package.as_str()) {
                wrong.push(format!("{package} must not depend on {restricted}: only {by:?} may"));
            }
        }
    }
    for dependency in IO.iter().filter(|name| manifests["common"].dependencies.contains(**name)) {
        wrong.push(format!("common must not depend on {dependency}: it does no I/O"));
    }
    for package in closure(&manifests, "web") {
        if manifests[&package].dependencies.contains("mongodb") {
            wrong.push(format!("web compiles mongodb, through {package}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Tests of a service may use its own crates, the kit and Stripe's double, and no other service.
#[test]
fn no_service_depends_on_another_one() {
    let services = workspace::services();
    let mut wrong = Vec::new();
    for (package, manifest) in manifests().iter().filter(|(name, _)| services.contains(name)) {
        let all = manifest.dependencies.iter().chain(&manifest.dev_dependencies);
        for other in all.filter(|name| services.contains(name)) {
            wrong.push(format!("{package} must not depend on {other}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn packages() -> impl Iterator<Item = (String, std::path::PathBuf)> {
    let of = |directory: &'static str, names: Vec<String>| {
        names.into_iter().map(move |name| {
            let path = workspace::root().join(directory).join(&name);
            (name, path)
        })
    };
    of("crates", workspace::crates()).chain(of("services", workspace::services()))
}

fn manifests() -> BTreeMap<String, Manifest> {
    packages().map(|(name, path)| (name, Manifest::read(&path.join("Cargo.toml")))).collect()
}

/// A package and all of ours that it depends on, directly or not.
fn closure(manifests: &BTreeMap<String, Manifest>, package: &str) -> Vec<String> {
    let mut found = vec![package.to_owned()];
    let mut next = 0;
    while let Some(package) = found.get(next).cloned() {
        let ours = manifests[&package].dependencies.iter();
        for dependency in ours.filter(|name| manifests.contains_key(*name)) {
            if !found.contains(dependency) {
                found.push(dependency.clone());
            }
        }
        next += 1;
    }
    found
}

#[test]
fn a_circle_is_detected_even_through_a_re_export_and_test_code_is_ignored() {
    let cycles = |files: &[(&str, &str)]| {
        let src = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = src.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Modules::read(src.path()).cycles()
    };
    let lib = ("lib.rs", "mod a;\nmod b;\npub use a::{A, self as first};\n");
    let a = ("a.rs", "use crate::b::B;\npub struct A(B);\n");
    let uses_a = "pub struct B;\nfn f(a: &crate::A) {}\n";
    assert_eq!(
        cycles(&[lib, a, ("b.rs", uses_a)]),
        ["    a imports b (crate::b::B)\n    b imports a (crate::A)"]
    );

    let text = "// crate::A\nconst TEXT: &str = \"crate::A\";\npub struct B;\n";
    let tests = "#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::a::A;\n}\n";
    assert!(cycles(&[lib, a, ("b.rs", &format!("{text}{tests}"))]).is_empty());

    // A parent that uses its child, and a child that uses its parent.
    let parent = ("b.rs", "mod child;\nuse child::C;\npub struct B(C);\n");
    let child = "pub struct C;\nimpl C {\n    fn f(b: super::B) {}\n}\n";
    let found = cycles(&[lib, ("a.rs", "pub struct A;\n"), parent, ("b/child.rs", child)]);
    assert_eq!(found.len(), 1, "{found:?}");
}
