//! Every object is valid for Kubernetes' own types, to the last field.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{OVERLAYS, list, name, of_kind, selects, text, workloads};

/// The object after a round trip through its type, which drops fields that the type doesn't have.
pub fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let typed: T = serde_json::from_value(object.clone())
        .unwrap_or_else(|error| panic!("{} {}: {error}", object["kind"], name(object)));
    serde_json::to_value(typed).unwrap()
}

fn through_its_type(object: &Value) -> Option<Value> {
    Some(match (text(object, "/apiVersion"), text(object, "/kind")) {
        ("v1", "Namespace") => round_trip::<Namespace>(object),
        ("v1", "ConfigMap") => round_trip::<ConfigMap>(object),
        ("v1", "PersistentVolumeClaim") => round_trip::<PersistentVolumeClaim>(object),
        ("v1", "Service") => round_trip::<Service>(object),
        ("v1", "ServiceAccount") => round_trip::<ServiceAccount>(object),
        ("apps/v1", "Deployment") => round_trip::<Deployment>(object),
        ("apps/v1", "StatefulSet") => round_trip::<StatefulSet>(object),
        ("batch/v1", "Job") => round_trip::<Job>(object),
        ("networking.k8s.io/v1", "Ingress") => round_trip::<Ingress>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => round_trip::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => round_trip::<PodDisruptionBudget>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => {
            round_trip::<HorizontalPodAutoscaler>(object)
        }
        _ => return None,
    })
}

#[test]
fn every_object_survives_the_round_trip_through_its_type() {
    for (overlay, objects) in OVERLAYS.iter() {
        for object in objects {
            let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
            match through_its_type(object) {
                Some(after) => assert_eq!(*object, after, "{overlay}: {kind} {}", name(object)),
                // Only the component for the Gateway API has custom resources.
                None => {
                    let known = version == "gateway.networking.k8s.io/v1";
                    assert!(known && overlay.contains("Gateway"), "{overlay}: {version} {kind}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_field_would_be_found() {
    let objects = &OVERLAYS["dev"];
    let mut deployment = of_kind(objects, "Deployment")[0].clone();
    deployment["spec"]["replica"] = 3.into();
    assert_ne!(through_its_type(&deployment), Some(deployment));
}

#[test]
fn every_object_is_in_the_namespace_and_names_are_unique() {
    for (overlay, objects) in OVERLAYS.iter() {
        let mut seen = std::collections::BTreeSet::new();
        for object in objects {
            assert!(seen.insert((text(object, "/kind"), name(object))), "{overlay}: {object}");
            if object["kind"] != "Namespace" {
                assert_eq!(text(object, "/metadata/namespace"), "ticketing", "{overlay}: {object}");
            }
        }
    }
}

/// `skaffold dev` deletes what it has applied: the namespace, with the data and the Secrets, isn't part of it.
#[test]
fn no_overlay_has_the_namespace_and_dev_uses_the_default_storage() {
    for (overlay, objects) in OVERLAYS.iter() {
        assert!(of_kind(objects, "Namespace").is_empty(), "{overlay}");
        for set in of_kind(objects, "StatefulSet") {
            for claim in list(set, "/spec/volumeClaimTemplates") {
                let class = claim["spec"].get("storageClassName");
                assert_eq!(class.is_some(), *overlay != "dev", "{overlay}: {}", name(set));
            }
        }
    }
}

#[test]
fn every_kubernetes_service_selects_one_workload_at_a_port_that_it_has() {
    for (overlay, objects) in OVERLAYS.iter() {
        let workloads = workloads(objects);
        for service in of_kind(objects, "Service") {
            let what = format!("{overlay}: service {}", name(service));
            let selected: Vec<_> = workloads
                .iter()
                .filter(|(_, pods)| {
                    selects(&service["spec"]["selector"], &pods["metadata"]["labels"])
                })
                .collect();
            assert_eq!(selected.len(), 1, "{what} selects {selected:?}");
            let ports = list(selected[0].1, "/spec/containers/0/ports");
            for port in list(service, "/spec/ports") {
                let target = text(port, "/targetPort");
                assert!(ports.iter().any(|port| port["name"] == target), "{what}: {target}");
                assert_ne!(target, "admin", "{what} leads to the admin port");
            }
        }
    }
}

#[test]
fn every_selector_of_a_workload_matches_its_own_pods() {
    for (overlay, objects) in OVERLAYS.iter() {
        for kind in ["Deployment", "StatefulSet"] {
            for object in of_kind(objects, kind) {
                let selector = &object["spec"]["selector"]["matchLabels"];
                let labels = &object["spec"]["template"]["metadata"]["labels"];
                assert!(selects(selector, labels), "{overlay}: {}", name(object));
            }
        }
        for kind in ["PodDisruptionBudget", "HorizontalPodAutoscaler"] {
            for object in of_kind(objects, kind) {
                let named = |workload: &&(&str, &Value)| workload.0 == name(object);
                let found = workloads(objects);
                let (_, pods) = found.iter().find(named).expect("a workload of the same name");
                let selector = &object["spec"]["selector"]["matchLabels"];
                let labels = &pods["metadata"]["labels"];
                assert!(selects(selector, labels), "{overlay}: {}", name(object));
            }
        }
    }
}
