//! In production something of each service is always there: while a node is drained, a version goes out, or a pod dies.

use serde_json::{Value, json};

use super::{OVERLAYS, list, name, of_kind, services};

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
fn there_are_several_of_each_service_and_more_under_load() {
    for service in services() {
        let scaler = &production("HorizontalPodAutoscaler", &service)["spec"];
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": service });
        assert_eq!(scaler["scaleTargetRef"], target);
        let (least, most) = (scaler["minReplicas"].as_u64(), scaler["maxReplicas"].as_u64());
        assert!(least >= Some(2) && most > least, "{service}: {least:?} to {most:?}");
        // A number in the Deployment would undo at each apply what the scaler has decided.
        assert!(production("Deployment", &service)["spec"].get("replicas").is_none(), "{service}");
    }
}

#[test]
fn the_replicas_of_a_service_keep_apart() {
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
fn a_new_version_is_ready_before_an_old_pod_goes() {
    for service in services() {
        let strategy = &production("Deployment", &service)["spec"]["strategy"];
        assert_eq!(strategy["type"], "RollingUpdate", "{service}");
        assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0, "{service}");
        assert!(strategy["rollingUpdate"]["maxSurge"].as_u64() > Some(0), "{service}");
    }
}

#[test]
fn one_node_of_what_keeps_data_may_be_away() {
    for (overlay, wanted) in
        [("production", 1), ("production with its databases inside", 6), ("dev", 0)]
    {
        let objects = &OVERLAYS[overlay];
        let sets = of_kind(objects, "StatefulSet");
        let of_three = sets.iter().filter(|set| set["spec"]["replicas"] == 3);
        let mut kept = 0;
        for set in of_three {
            let mut budgets = of_kind(objects, "PodDisruptionBudget").into_iter();
            assert!(budgets.any(|budget| name(budget) == name(set)), "{overlay}: {}", name(set));
            let spread = list(set, "/spec/template/spec/topologySpreadConstraints");
            assert!(!spread.is_empty(), "{overlay}: {}", name(set));
            kept += 1;
        }
        assert_eq!(kept, wanted, "{overlay}");
    }
}
