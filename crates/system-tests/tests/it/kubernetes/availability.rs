//! In production every service stays available: while a node is drained, a version is rolled out, or a pod fails.

use serde_json::{Value, json};

use super::{OVERLAYS, databases, list, name, of_kind, read, services, text, workloads};

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

/// A budget that leaves no pod to evict, or that counts pods that never become ready, blocks a drain for good.
#[test]
fn no_budget_blocks_a_drain() {
    for (overlay, objects) in OVERLAYS.iter() {
        for budget in of_kind(objects, "PodDisruptionBudget") {
            let (spec, what) = (&budget["spec"], format!("{overlay}: {}", name(budget)));
            assert!(spec["maxUnavailable"].as_u64() >= Some(1), "{what}");
            assert!(spec.get("minAvailable").is_none(), "{what}");
            assert_eq!(spec["unhealthyPodEvictionPolicy"], "AlwaysAllow", "{what}");
        }
    }
}

/// What metrics-server measures: CPU as a share of what each container requests.
#[test]
fn an_autoscaler_follows_a_metric_that_exists() {
    for service in services() {
        let metrics = list(production("HorizontalPodAutoscaler", &service), "/spec/metrics");
        assert_eq!(metrics.len(), 1, "{service}");
        assert_eq!(metrics[0]["type"], "Resource", "{service}");
        assert_eq!(metrics[0]["resource"]["name"], "cpu", "{service}");
        let containers = list(production("Deployment", &service), "/spec/template/spec/containers");
        for container in containers {
            // Less would be exceeded by a start.
            let requested = millicores(text(container, "/resources/requests/cpu"));
            assert!(requested >= 100, "{service}: {requested}m");
        }
    }
}

fn millicores(quantity: &str) -> u64 {
    match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().unwrap(),
        None => quantity.parse::<u64>().unwrap() * 1000,
    }
}

fn mebibytes(quantity: &str) -> u64 {
    match quantity.strip_suffix("Gi") {
        Some(gibibytes) => gibibytes.parse::<u64>().unwrap() * 1024,
        None => quantity.strip_suffix("Mi").unwrap().parse().unwrap(),
    }
}

/// What the pods of an overlay request, with the least number of replicas: CPU in thousandths, and memory in MiB.
fn requested(overlay: &str) -> (u64, u64) {
    let objects = &OVERLAYS[overlay];
    let (mut cpu, mut memory) = (0, 0);
    for (workload, pods) in workloads(objects) {
        let of_workload =
            |kind: &str| of_kind(objects, kind).into_iter().find(|it| name(it) == workload);
        let least = of_workload("HorizontalPodAutoscaler").map(|it| &it["spec"]["minReplicas"]);
        let set = ["StatefulSet", "Deployment"].iter().find_map(|kind| of_workload(kind));
        let replicas = least.or_else(|| set?["spec"].get("replicas")).and_then(Value::as_u64);
        for container in list(pods, "/spec/containers") {
            let request =
                |resource: &str| text(container, &format!("/resources/requests/{resource}"));
            cpu += replicas.unwrap_or(1) * millicores(request("cpu"));
            memory += replicas.unwrap_or(1) * mebibytes(request("memory"));
        }
    }
    (cpu, memory)
}

/// The table of docs/operating.md, from which a cluster is chosen.
#[test]
fn the_page_says_what_the_pods_request() {
    let page = read("docs/operating.md");
    for (overlay, row) in [
        ("dev", "`overlays/dev`"),
        ("production", "`overlays/production`"),
        ("production with its databases inside", "with `mongodb-three-nodes`"),
    ] {
        let (cpu, memory) = requested(overlay);
        let (cpu, memory) = (cpu as f64 / 1000.0, memory as f64 / 1024.0);
        let expected = format!("| {row} | {cpu:.1} CPU | {memory:.1} GiB |");
        assert!(page.contains(&expected), "docs/operating.md lacks: {expected}");
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
