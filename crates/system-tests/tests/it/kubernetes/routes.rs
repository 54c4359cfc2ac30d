//! One table of routes, and three gateways that have them: Ingress, Gateway API, and nginx of local runs (which is made of the table).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{OVERLAYS, as_regex, list, name, of_kind, read, routes, text};

type Routes = BTreeMap<String, String>;

/// As the table has it. A regular expression that isn't needed would only be slower.
fn of_regex(path: &str) -> String {
    let row = path.replace("[^/]+", "*");
    assert!(row != path && as_regex(&row) == path, "{path}");
    row
}

fn of_the_ingress(overlay: &str, host: &str) -> Routes {
    let ingress = of_kind(&OVERLAYS[overlay], "Ingress");
    let rules = list(ingress[0], "/spec/rules");
    let rule = rules.iter().find(|rule| rule["host"] == host).unwrap();
    let route = |path: &Value| {
        assert_eq!(path["backend"]["service"]["port"]["name"], "http");
        let service = text(path, "/backend/service/name").to_owned();
        match path["pathType"].as_str() {
            Some("Prefix") => (text(path, "/path").to_owned(), service),
            Some("ImplementationSpecific") => (of_regex(text(path, "/path")), service),
            other => panic!("{other:?}"),
        }
    };
    list(rule, "/http/paths").iter().map(route).collect()
}

fn of_the_gateway_api() -> Routes {
    let objects = &OVERLAYS["production with the Gateway API"];
    assert!(of_kind(objects, "Ingress").is_empty(), "one gateway");
    let routes = of_kind(objects, "HTTPRoute");
    let routes = routes.into_iter().find(|route| name(route) == "ticketing").unwrap();
    let route = |rule: &Value| {
        assert_eq!(rule["backendRefs"][0]["port"], 3000);
        let service = text(rule, "/backendRefs/0/name").to_owned();
        let path = text(rule, "/matches/0/path/value");
        match text(rule, "/matches/0/path/type") {
            "PathPrefix" => (path.to_owned(), service),
            "RegularExpression" => (of_regex(path), service),
            other => panic!("{other}"),
        }
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

/// nginx takes the first regular expression of the file that matches, ingress-nginx the longest path: the table must be the
/// same in either order.
#[test]
fn a_path_with_a_placeholder_is_before_and_longer_than_the_prefix_that_it_is_taken_from() {
    let table = read("infra/gateway/routes.txt");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('/')).collect();
    let path = |row: &str| row.split_whitespace().next().unwrap().to_owned();
    for (at, special) in rows.iter().enumerate().filter(|(_, row)| row.contains('*')) {
        let (before_star, _) = special.split_once("/*").unwrap();
        for general in rows.iter().map(|row| path(row)).filter(|path| before_star == path) {
            let position = rows.iter().position(|row| path(row) == general).unwrap();
            assert!(at < position, "{special} comes after {general}");
            assert!(as_regex(&path(special)).len() > general.len());
        }
    }
    let ingress = of_kind(&OVERLAYS["production"], "Ingress")[0];
    let annotations = &ingress["metadata"]["annotations"];
    assert_eq!(annotations["nginx.ingress.kubernetes.io/use-regex"], "true");
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
