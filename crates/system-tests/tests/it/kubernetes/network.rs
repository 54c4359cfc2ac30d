//! Who may reach whom: what the policies let through is what ARCHITECTURE.md draws, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{OVERLAYS, list, of_kind, read, selects, text, workloads};

const HERE: &str = "ticketing";

/// Someone who may talk: a workload of ours, or someone else.
struct Party {
    name: String,
    /// Its namespace, and its pods' labels; none of someone outside of the cluster.
    pods: Option<(String, Value)>,
    /// By name and number.
    ports: Vec<(String, u64)>,
}

impl Party {
    fn of(name: &str, pods: Option<(&str, Value)>, ports: &[u64]) -> Party {
        let pods = pods.map(|(namespace, labels)| (namespace.to_owned(), labels));
        let ports = ports.iter().map(|port| (port.to_string(), *port)).collect();
        Party { name: name.to_owned(), pods, ports }
    }

    fn is_ours(&self) -> bool {
        self.pods.as_ref().is_some_and(|(namespace, _)| namespace == HERE)
    }
}

fn parties(objects: &[Value], gateway: &str) -> Vec<Party> {
    let ours = workloads(objects).into_iter().map(|(name, pods)| Party {
        ports: list(pods, "/spec/containers/0/ports")
            .iter()
            .map(|port| (text(port, "/name").to_owned(), port["containerPort"].as_u64().unwrap()))
            .collect(),
        ..Party::of(name, Some((HERE, pods["metadata"]["labels"].clone())), &[])
    });
    let called = |name: &str| json!({ "app.kubernetes.io/name": name });
    ours.chain([
        Party::of("the gateway", Some((gateway, called("the-gateway"))), &[]),
        Party::of("monitoring", Some(("monitoring", called("prometheus"))), &[]),
        Party::of("names", Some(("kube-system", json!({ "k8s-app": "kube-dns" }))), &[53]),
        // It bears the labels of one of ours, which help it nothing.
        Party::of("another namespace", Some(("default", called("web"))), &[3000, 4222]),
        Party::of("outside", None, &[443, 6379, 25061, 27017]),
    ])
    .collect()
}

/// The policies that speak of this party's pods, in this direction.
fn policies_of<'a>(objects: &'a [Value], party: &Party, direction: &str) -> Vec<&'a Value> {
    let Some((HERE, labels)) = party.pods.as_ref().map(|(at, labels)| (at.as_str(), labels)) else {
        return Vec::new();
    };
    let mut policies = of_kind(objects, "NetworkPolicy");
    policies.retain(|policy| {
        selects(&policy["spec"]["podSelector"]["matchLabels"], labels)
            && list(policy, "/spec/policyTypes").iter().any(|kind| kind == direction)
    });
    policies
}

/// Whether one side lets it through. Who has no policy for this direction lets all through.
fn lets(
    policies: &[&Value],
    rules: &str,
    peers: &str,
    other: &Party,
    port: &(String, u64),
) -> bool {
    let fits = |had: &Value| match had["port"].as_u64() {
        Some(first) => (first..=had["endPort"].as_u64().unwrap_or(first)).contains(&port.1),
        None => had["port"] == port.0.as_str(),
    };
    let allows = |rule: &Value| {
        let (ports, parties) = (list(rule, "/ports"), list(rule, peers));
        (ports.is_empty() || ports.iter().any(fits))
            && (parties.is_empty() || parties.iter().any(|peer| is(peer, other)))
    };
    policies.is_empty() || policies.iter().flat_map(|policy| list(policy, rules)).any(allows)
}

fn is(peer: &Value, party: &Party) -> bool {
    let of_addresses = peer["ipBlock"].is_object();
    let Some((namespace, labels)) = party.pods.as_ref().filter(|_| !of_addresses) else {
        return of_addresses && party.pods.is_none();
    };
    let is_there = match peer.get("namespaceSelector") {
        Some(selector) => {
            selects(&selector["matchLabels"], &json!({ "kubernetes.io/metadata.name": namespace }))
        }
        None => namespace == HERE,
    };
    is_there && selects(&peer["podSelector"]["matchLabels"], labels)
}

/// `who -> whom:port` for all that may be.
fn allowed(objects: &[Value], gateway: &str) -> BTreeSet<String> {
    let parties = parties(objects, gateway);
    let mut allowed = BTreeSet::new();
    for from in &parties {
        for to in parties.iter().filter(|to| from.is_ours() || to.is_ours()) {
            for port in &to.ports {
                let out = policies_of(objects, from, "Egress");
                let into = policies_of(objects, to, "Ingress");
                if lets(&out, "/spec/egress", "/to", to, port)
                    && lets(&into, "/spec/ingress", "/from", from, port)
                {
                    allowed.insert(format!("{} -> {}:{}", from.name, to.name, port.0));
                }
            }
        }
    }
    allowed
}

/// What one of two of ours allows and the other doesn't: nothing comes of it today, but it says too much, or too little.
fn one_sided(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let parties = parties(objects, "");
    let ours: Vec<_> = parties.iter().filter(|party| party.is_ours()).collect();
    for (from, to) in ours.iter().flat_map(|from| ours.iter().map(move |to| (from, to))) {
        for port in &to.ports {
            let out = policies_of(objects, from, "Egress");
            let into = policies_of(objects, to, "Ingress");
            if lets(&out, "/spec/egress", "/to", to, port)
                != lets(&into, "/spec/ingress", "/from", from, port)
            {
                found.push(format!("{} -> {}:{}", from.name, to.name, port.0));
            }
        }
    }
    found
}

#[test]
fn both_sides_of_a_connection_allow_it() {
    for (overlay, objects) in OVERLAYS.iter() {
        assert_eq!(one_sided(objects), Vec::<String>::new(), "{overlay}");
    }
}

/// The lines of the drawing in ARCHITECTURE.md that stand under these headings, each taken apart.
fn drawn(headings: &[&str], objects: &[Value]) -> BTreeSet<String> {
    let page = read("ARCHITECTURE.md");
    let (_, drawing) = page.split_once("```text\nin every cluster\n").expect("the drawing");
    let (drawing, _) = drawing.split_once("```").unwrap();
    let drawing = format!("in every cluster\n{drawing}");
    let everyone: Vec<&str> = workloads(objects).into_iter().map(|(name, _)| name).collect();
    let (mut lines, mut is_wanted, mut found) = (BTreeSet::new(), false, 0);
    for line in drawing.lines().filter(|line| !line.is_empty()) {
        let Some((froms, tos)) = line.split_once("->") else {
            is_wanted = headings.contains(&line);
            found += usize::from(is_wanted);
            continue;
        };
        let froms = froms.split(',').map(str::trim);
        let froms = froms.flat_map(|from| match from {
            "everyone" => everyone.clone(),
            one => vec![one],
        });
        for from in froms.filter(|_| is_wanted) {
            lines.extend(tos.split(',').map(|to| format!("{from} -> {}", to.trim())));
        }
    }
    assert_eq!(found, headings.len(), "{headings:?}");
    lines
}

#[test]
fn the_policies_let_through_what_is_drawn_and_nothing_else() {
    const ALL: &str = "in every cluster";
    for (overlay, gateway, headings) in [
        ("dev", "ingress-nginx", &[ALL, "with MongoDB inside", "in dev, too"][..]),
        ("production", "ingress-nginx", &[ALL, "in production, too"]),
        (
            "production with its databases inside",
            "ingress-nginx",
            &[ALL, "with MongoDB inside", "in production, too"],
        ),
        ("production with the Gateway API", "envoy-gateway-system", &[ALL, "in production, too"]),
        (
            "production with monitoring",
            "ingress-nginx",
            &[ALL, "in production, too", "with the component monitoring"],
        ),
    ] {
        let objects = &OVERLAYS[overlay];
        let (allowed, drawn) = (allowed(objects, gateway), drawn(headings, objects));
        let undrawn: Vec<_> = allowed.difference(&drawn).collect();
        let refused: Vec<_> = drawn.difference(&allowed).collect();
        assert!(undrawn.is_empty(), "{overlay} lets through {undrawn:#?}");
        assert!(refused.is_empty(), "{overlay} doesn't let through {refused:#?}");
    }
}

#[test]
fn every_pod_is_ruled_in_both_directions() {
    for (overlay, objects) in OVERLAYS.iter() {
        let policies = of_kind(objects, "NetworkPolicy");
        let nothing = policies.iter().find(|it| it["metadata"]["name"] == "nothing").unwrap();
        let all = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
        assert_eq!(nothing["spec"], all, "{overlay}");
    }
}
