//! In production every service stays available: while a node is drained, a version is rolled out, or a pod fails.

use serde_json::{Value, json};

use super::{OVERLAYS, databases, list, name, of_kind, services};

fn production(kind: &str, wanted: &str) -> &'static Value {
    let objects = of_kind(&OVERLAYS["production"], kind);
    let found = objects.into_iter().find(|object| name(object) == wanted);
    found.unwrap_or_else(|| panic!("{wanted} has no {kind}"))
}

#[test]
fn a_drained_node_takes_one_replica_of_a_service_at_most() {
    for service in services() {
        let budget = production("PodDisruptionBudget", &service);
        assert_eq!(budget["spec"]["maxUnavailable"], 1, "{service}");
    }
}

#[test]
fn each_service_has_several_replicas_and_more_under_load() {
    for service in services() {
        let scaler = &production("HorizontalPodAutoscaler", &service)["spec"];
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": service });
        assert_eq!(scaler["scaleTargetRef"], target);
        let (least, most) = (scaler["minReplicas"].as_u64(), scaler["maxReplicas"].as_u64());
        assert!(least >= Some(2) && most > least, "{service}: {least:?} to {most:?}");
        // A number in the Deployment would overwrite the autoscaler's at each apply.
        assert!(production("Deployment", &service)["spec"].get("replicas").is_none(), "{service}");
    }
}

#[test]
fn the_replicas_of_a_service_are_spread_over_nodes() {
    for service in services() {
        let deployment = production("Deployment", &service);
        let spread = list(deployment, "/spec/template/spec/topologySpreadConstraints");
        assert!(
            spread.iter().any(|rule| rule["topologyKey"] == "kubernetes.io/hostname"),
            "{service}"
        );
    }
}

#[test]
fn a_new_pod_is_ready_before_an_old_one_stops() {
    for service in services() {
        let strategy = &production("Deployment", &service)["spec"]["strategy"];
        assert_eq!(strategy["type"], "RollingUpdate", "{service}");
        assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0, "{service}");
        assert!(strategy["rollingUpdate"]["maxSurge"].as_u64() > Some(0), "{service}");
    }
}

/// A test cluster is small.
#[test]
fn dev_has_one_replica_of_each_service() {
    assert!(of_kind(&OVERLAYS["dev"], "HorizontalPodAutoscaler").is_empty());
    for deployment in of_kind(&OVERLAYS["dev"], "Deployment") {
        let replicas = deployment["spec"].get("replicas");
        assert!(replicas.is_none_or(|replicas| *replicas == 1), "{}", name(deployment));
    }
}

#[test]
fn one_node_of_a_replicated_server_may_be_unavailable() {
    for (overlay, wanted) in [
        ("production", 1),
        ("production with its databases inside", 1 + databases().len()),
        ("dev", 0),
    ] {
        let objects = &OVERLAYS[overlay];
        let sets = of_kind(objects, "StatefulSet");
        let replicated: Vec<_> = sets.iter().filter(|set| set["spec"]["replicas"] == 3).collect();
        for set in &replicated {
            let budgets = of_kind(objects, "PodDisruptionBudget");
            let budget = budgets.iter().find(|budget| name(budget) == name(set));
            assert_eq!(budget.unwrap()["spec"]["maxUnavailable"], 1, "{overlay}: {}", name(set));
            let spread = list(set, "/spec/template/spec/topologySpreadConstraints");
            assert!(!spread.is_empty(), "{overlay}: {}", name(set));
        }
        assert_eq!(replicated.len(), wanted, "{overlay}");
    }
}
