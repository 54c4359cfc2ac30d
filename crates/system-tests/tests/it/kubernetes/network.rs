//! The policies allow the connections of the network policy matrix, and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{OVERLAYS, databases, list, of_kind, read, routes, selects, services, text, workloads};

const HERE: &str = "ticketing";

/// One end of a connection: a workload of ours, or something else.
struct Party {
    name: String,
    /// Its namespace, and its pods' labels; none outside of the cluster.
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
    let named = |name: &str| json!({ "app.kubernetes.io/name": name });
    ours.chain([
        Party::of("gateway", Some((gateway, named("gateway"))), &[]),
        Party::of("monitoring", Some(("monitoring", named("prometheus"))), &[]),
        Party::of("collector", Some(("observability", named("collector"))), &[4318]),
        Party::of("dns", Some(("kube-system", json!({ "k8s-app": "kube-dns" }))), &[53]),
        // With the labels of one of ours, which must not matter.
        Party::of("another namespace", Some(("default", named("web"))), &[3000, 4222]),
        Party::of("outside", None, &[25, 443, 465, 587, 6379, 25061, 27017]),
    ])
    .collect()
}

/// The policies that select this party's pods, for this direction.
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

/// Whether one side allows it. Pods that no policy selects for a direction allow everything.
fn allows(
    policies: &[&Value],
    rules: &str,
    peers: &str,
    other: &Party,
    port: &(String, u64),
) -> bool {
    let covers = |range: &Value| match range["port"].as_u64() {
        Some(first) => (first..=range["endPort"].as_u64().unwrap_or(first)).contains(&port.1),
        None => range["port"] == port.0.as_str(),
    };
    let permits = |rule: &Value| {
        let (ports, parties) = (list(rule, "/ports"), list(rule, peers));
        (ports.is_empty() || ports.iter().any(covers))
            && (parties.is_empty() || parties.iter().any(|peer| is(peer, other)))
    };
    policies.is_empty() || policies.iter().flat_map(|policy| list(policy, rules)).any(permits)
}

fn is(peer: &Value, party: &Party) -> bool {
    let of_addresses = peer["ipBlock"].is_object();
    let Some((namespace, labels)) = party.pods.as_ref().filter(|_| !of_addresses) else {
        return of_addresses && party.pods.is_none();
    };
    let is_in_namespace = match peer.get("namespaceSelector") {
        Some(selector) => {
            selects(&selector["matchLabels"], &json!({ "kubernetes.io/metadata.name": namespace }))
        }
        None => namespace == HERE,
    };
    is_in_namespace && selects(&peer["podSelector"]["matchLabels"], labels)
}

/// `from -> to:port` for each connection that both sides allow.
fn allowed(objects: &[Value], gateway: &str) -> BTreeSet<String> {
    let parties = parties(objects, gateway);
    let mut allowed = BTreeSet::new();
    for from in &parties {
        for to in parties.iter().filter(|to| from.is_ours() || to.is_ours()) {
            for port in &to.ports {
                let out = policies_of(objects, from, "Egress");
                let into = policies_of(objects, to, "Ingress");
                if allows(&out, "/spec/egress", "/to", to, port)
                    && allows(&into, "/spec/ingress", "/from", from, port)
                {
                    allowed.insert(format!("{} -> {}:{}", from.name, to.name, port.0));
                }
            }
        }
    }
    allowed
}

/// Connections that one side allows and the other doesn't: they are refused, so one of the two policies is wrong.
fn one_sided(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let parties = parties(objects, "");
    let ours: Vec<_> = parties.iter().filter(|party| party.is_ours()).collect();
    for (from, to) in ours.iter().flat_map(|from| ours.iter().map(move |to| (from, to))) {
        for port in &to.ports {
            let out = policies_of(objects, from, "Egress");
            let into = policies_of(objects, to, "Ingress");
            if allows(&out, "/spec/egress", "/to", to, port)
                != allows(&into, "/spec/ingress", "/from", from, port)
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

/// The connections of the matrix under these headings.
fn matrix(headings: &[&str], objects: &[Value]) -> BTreeSet<String> {
    let text = read("infra/k8s/network-policy-matrix.txt");
    let pods: Vec<String> =
        workloads(objects).into_iter().map(|(name, _)| name.to_owned()).collect();
    let routed: BTreeSet<String> = routes().into_values().collect();
    let groups = [
        ("<service>", services()),
        ("<routed>", routed.into_iter().collect()),
        ("<database>", databases()),
        ("<pod>", pods),
    ];
    let (mut connections, mut is_wanted, mut found) = (BTreeSet::new(), false, 0);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[') {
            is_wanted = headings.contains(&heading.trim_end_matches(']'));
            found += usize::from(is_wanted);
        } else if is_wanted {
            let group = groups.iter().find(|(group, _)| line.contains(group));
            let lines = match group {
                Some((group, members)) => {
                    members.iter().map(|it| line.replace(group, it)).collect()
                }
                None => vec![line.to_owned()],
            };
            connections.extend(lines.iter().flat_map(|line| pairs(line)));
        }
    }
    assert_eq!(found, headings.len(), "{headings:?}");
    connections
}

/// `a, b -> c:1, d:2`, taken apart.
fn pairs(line: &str) -> Vec<String> {
    let (from, to) = line.split_once("->").unwrap_or_else(|| panic!("no connection: {line}"));
    let to: Vec<&str> = to.split(',').map(str::trim).collect();
    let from = from.split(',').map(str::trim);
    from.flat_map(|from| to.iter().map(move |to| format!("{from} -> {to}"))).collect()
}

#[test]
fn the_policies_allow_the_matrix_and_nothing_else() {
    const ALL: &str = "every cluster";
    const MONGODB: &str = "MongoDB in the cluster";
    for (overlay, gateway, headings) in [
        ("dev", "ingress-nginx", &[ALL, MONGODB, "dev"][..]),
        ("production", "ingress-nginx", &[ALL, "production"]),
        ("production with its databases inside", "ingress-nginx", &[ALL, MONGODB, "production"]),
        ("production with the Gateway API", "envoy-gateway-system", &[ALL, "production"]),
        (
            "production with monitoring",
            "ingress-nginx",
            &[ALL, "production", "component monitoring"],
        ),
        ("production with tracing", "ingress-nginx", &[ALL, "production", "component tracing"]),
    ] {
        let objects = &OVERLAYS[overlay];
        let (allowed, matrix) = (allowed(objects, gateway), matrix(headings, objects));
        let undocumented: Vec<_> = allowed.difference(&matrix).collect();
        let refused: Vec<_> = matrix.difference(&allowed).collect();
        assert!(
            undocumented.is_empty() && refused.is_empty(),
            "{overlay}: the policies allow {undocumented:#?}, which infra/k8s/network-policy-matrix.txt \
             doesn't list, and refuse {refused:#?}, which it lists"
        );
    }
}

#[test]
fn the_default_is_deny_in_both_directions() {
    for (overlay, objects) in OVERLAYS.iter() {
        let policies = of_kind(objects, "NetworkPolicy");
        let default = policies.iter().find(|it| it["metadata"]["name"] == "default-deny").unwrap();
        let all = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
        assert_eq!(default["spec"], all, "{overlay}");
    }
}
