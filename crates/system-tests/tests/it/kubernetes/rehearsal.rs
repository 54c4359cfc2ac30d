//! `infra/k8s/rehearse`, as far as it goes without a cluster: it sells by the tour, keeps account of sales, and reports a lost one.

use std::process::{Command, Output};

use super::{OVERLAYS, name, of_kind, read, repository};
use crate::shared;

fn python(script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.args(["-B", "-c", script]).args(arguments).current_dir(repository("infra/k8s"));
    command.output().unwrap()
}

#[tokio::test]
async fn it_sells_by_the_tour_and_reports_it() {
    let stack = shared::default().await;
    let output = Command::new(repository("infra/k8s/rehearse"))
        .args(["--only", "tour", "--base", &stack.url()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 are lost."), "{text}");
}

/// Two sales, of which the second is changed into one that never was.
const LOST: &str = r#"
import sys
from rehearsal.report import Report
from rehearsal.sales import Gateway, Sales

sales = Sales(Gateway(sys.argv[1], None))
seller, buyer = sales.person(), sales.person()
for _ in range(2):
    sales.sell(seller, buyer)
assert Report().finish(sales) == 0
sales.checked[1][1].order = sales.checked[1][1].order[:-4] + "0000"
# It waits for a minute until nothing is lost; not here.
import rehearsal.sales
rehearsal.sales.SETTLED_WITHIN = 1
sys.exit(Report().finish(sales))
"#;

#[tokio::test]
async fn a_lost_sale_is_reported_and_fails_it() {
    let stack = shared::default().await;
    let output = python(LOST, &[&stack.url()]);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("2 sales were acknowledged; 0 are lost."), "{text}");
    assert!(text.contains("2 sales were acknowledged; 1 are lost."), "{text}");
}

/// The same people sell and buy in every step: an address may sign up only so often.
const STEPS: &str = r#"
import sys, time
from rehearsal.sales import Gateway, Person, Sales

signed_up, sign_up = [], Person.sign_up
Person.sign_up = lambda person: (signed_up.append(person), sign_up(person))
sales = Sales(Gateway(sys.argv[1], None))
for step in range(1, 4):
    sales.start()
    while sales.counts().sold < 2 * step:
        time.sleep(0.1)
    sales.stop()
    assert sales.lost() == [], step
assert len(signed_up) == 4, signed_up
# What was found whole isn't looked at in each step, but once more in the end.
sales.checked[0][1].order = sales.checked[0][1].order[:-4] + "0000"
import rehearsal.sales
rehearsal.sales.SETTLED_WITHIN = 1
assert sales.lost() == []
sales.look_again()
assert len(sales.lost()) == 1
"#;

#[tokio::test]
async fn its_people_sign_up_once() {
    let stack = shared::default().await;
    let output = python(STEPS, &[&stack.url()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Nobody listens there. The load goes on nevertheless, and says what it met.
const NOBODY: &str = r#"
import sys, socket
import rehearsal.sales
from rehearsal.sales import Gateway, Sales
from rehearsal.steps import Rehearsal

rehearsal.sales.PATIENCE = 1
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    sales = Sales(Gateway(f"http://127.0.0.1:{taken.getsockname()[1]}", None))
    assert not Rehearsal(None, sales.gateway, sales, None).is_served()
    assert sales.counts().requests == 0
    try:
        sales.start()
        sys.exit("it started")
    except TimeoutError as error:
        assert "/api/users/signup" in str(error), error
    sales.pairs = [(None, None)]
    sales.start()
    while not sales.errors:
        pass
    sales.stop()
    assert "AttributeError" in sales.lost()[0]
"#;

#[test]
fn it_ends_where_nobody_answers() {
    let output = python(NOBODY, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A cluster of three pods, whose policies are in force a moment after a pod has its address, or never, or don't match the matrix.
const POLICIES: &str = r#"
import sys
from rehearsal import network
from rehearsal.report import Failed, Skipped

class Cluster:
    def __init__(self, *allowed):
        self.allowed = list(allowed)

    def services(self): return ["web"]
    def databases(self): return []
    def kubectl(self, *arguments, stdin=None): return ""

    def get(self, kind, *_):
        ports = {"web": "http", "auth": "http", "nats": "nats"}
        def workload(name):
            container = {"name": "mongod", "image": "mongo", "ports": [{"name": ports[name], "containerPort": 1}]}
            pod = {"metadata": {"labels": {"name": name}}, "spec": {"containers": [container]}}
            return {"metadata": {"name": name}, "spec": {"template": pod}}
        return {"items": [workload(name) for name in (["nats"] if kind == "statefulset" else ["web", "auth"])]}

    def pods(self, selector):
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "192.0.2.1"}
        return [{"status": {"conditions": []}}, {"status": ready}] if "!rehearsal" in selector else []

    def exec(self, pod, *_, stdin):
        source = pod.removeprefix("probe-")
        allowed = self.allowed[0] if source == "auth" or len(self.allowed) == 1 else self.allowed.pop(0)
        def state(target): return "open" if allowed == "all" or f"{source} -> {target}" in allowed else "closed"
        return "".join(f"{line.split()[0]} {state(line.split()[0])}\n" for line in stdin.splitlines())

LISTED = ["web -> auth:http", "web -> nats:nats"]
assert network.probe(Cluster("all", LISTED)) == "9 of 9 connections as listed, 2 of them allowed"
for allowed, outcome, word in [("all", Skipped, "enforces"), (LISTED[1:], Failed, "web -> auth:http"), ([*LISTED, "nats -> web:http"], Failed, "nats -> web:http")]:
    try:
        sys.exit(network.probe(Cluster(allowed)))
    except outcome as error:
        assert word in str(error), error
"#;

#[test]
fn it_compares_what_policies_allow_with_the_matrix() {
    let output = python(POLICIES, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A payment that Stripe has authorised is captured later, maybe by another pod of the local one.
#[test]
fn the_local_stripe_forgets_nothing() {
    let deployments = of_kind(&OVERLAYS["dev"], "Deployment");
    let double = deployments.iter().find(|it| name(it) == "stripe-double").unwrap();
    let data = &double["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(data["persistentVolumeClaim"]["claimName"], "stripe-double");
}

/// Nor does that of an earlier release, which had no claim.
const PREVIOUS: &str = r#"
import json, tempfile
from pathlib import Path
from rehearsal.cluster import Cluster

applied = []
class Recording(Cluster):
    def apply(self, overlay): applied.append(json.loads((overlay / "kustomization.yaml").read_text()))

double = "infra/k8s/components/stripe-double"
with tempfile.TemporaryDirectory() as name:
    tree = Path(name)
    (tree / "services/web").mkdir(parents=True)
    (tree / double).mkdir(parents=True)
    (tree / double / "kustomization.yaml").write_text("resources: [deployment.yaml]")
    # From nothing, and back again.
    Recording().apply_previous(tree, "v0.1.0")
    Recording().apply_previous(tree, "v0.1.0")
    assert (tree / double / "claim.yaml").exists()
    (tree / double / "kustomization.yaml").write_text("resources: [claim.yaml, deployment.yaml]")
    Recording().apply_previous(tree, "v0.2.0")
assert applied.pop()["resources"] == ["infra/k8s/overlays/dev"]
for kustomization in applied:
    assert {"name": "ticketing/web", "newTag": "v0.1.0"} in kustomization["images"]
    assert kustomization["resources"] == ["infra/k8s/overlays/dev", f"{double}/claim.yaml"], kustomization
    assert "claimName" in kustomization["patches"][0]["patch"]
"#;

#[test]
fn an_earlier_release_gets_a_local_stripe_that_forgets_nothing() {
    let output = python(PREVIOUS, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// It expands the matrix as the test of the rendered policies does.
#[test]
fn it_knows_the_connections_of_the_matrix() {
    let script = "from rehearsal import network, cluster\n\
                  print('\\n'.join(network.matrix(['web', 'redis'], cluster.Cluster())))";
    let output = python(script, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "web -> orders:http",
        "orders -> orders-mongodb:mongodb",
        "redis -> dns:53",
        "gateway -> web:http",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert!(!text.contains("outside:27017") && !text.contains("monitoring"), "{text}");
}

/// What a reader of the page looks for in the table.
#[test]
fn the_page_names_the_script_and_its_workflow_runs_it() {
    assert!(read("docs/operating.md").contains("infra/k8s/rehearse --previous"));
    let workflow = read(".github/workflows/rehearsal.yml");
    assert!(workflow.contains("infra/k8s/rehearse --yes"));
    assert!(workflow.contains("schedule:") && workflow.contains("tags: [\"v*\"]"));
}
