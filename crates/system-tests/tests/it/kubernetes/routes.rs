//! One table of routes, and three gateways that have them: Ingress, Gateway API, and nginx of local runs (which is made of the table).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{OVERLAYS, list, name, of_kind, routes, text};

type Routes = BTreeMap<String, String>;

fn of_the_ingress(overlay: &str, host: &str) -> Routes {
    let ingress = of_kind(&OVERLAYS[overlay], "Ingress");
    let rules = list(ingress[0], "/spec/rules");
    let rule = rules.iter().find(|rule| rule["host"] == host).unwrap();
    let route = |path: &Value| {
        assert_eq!(path["pathType"], "Prefix");
        assert_eq!(path["backend"]["service"]["port"]["name"], "http");
        (text(path, "/path").to_owned(), text(path, "/backend/service/name").to_owned())
    };
    list(rule, "/http/paths").iter().map(route).collect()
}

fn of_the_gateway_api() -> Routes {
    let objects = &OVERLAYS["production with the Gateway API"];
    assert!(of_kind(objects, "Ingress").is_empty(), "one gateway");
    let routes = of_kind(objects, "HTTPRoute");
    let routes = routes.into_iter().find(|route| name(route) == "ticketing").unwrap();
    let route = |rule: &Value| {
        assert_eq!(text(rule, "/matches/0/path/type"), "PathPrefix");
        assert_eq!(rule["backendRefs"][0]["port"], 3000);
        let service = text(rule, "/backendRefs/0/name").to_owned();
        (text(rule, "/matches/0/path/value").to_owned(), service)
    };
    list(routes, "/spec/rules").iter().map(route).collect()
}

#[test]
fn every_gateway_has_the_routes_of_the_table() {
    let expected = routes();
    assert_eq!(expected.get("/").map(String::as_str), Some("web"));
    let file = "infra/gateway/routes.txt";
    assert_eq!(of_the_ingress("dev", "ticketing.localhost"), expected, "{file}");
    assert_eq!(of_the_ingress("dev", "ticketing.dev"), expected, "{file}");
    assert_eq!(of_the_ingress("production", "tickets.example.com"), expected, "{file}");
    assert_eq!(of_the_gateway_api(), expected, "{file}");
}

#[test]
fn the_ingress_has_few_annotations_and_no_snippets() {
    for (overlay, objects) in OVERLAYS.iter() {
        for ingress in of_kind(objects, "Ingress") {
            let annotations = ingress["metadata"]["annotations"].as_object().unwrap();
            assert!(annotations.len() < 6, "{overlay}: a short list");
            assert!(annotations.keys().all(|key| !key.contains("snippet")), "{overlay}");
            assert_eq!(ingress["spec"]["ingressClassName"], "nginx", "{overlay}");
        }
    }
}
