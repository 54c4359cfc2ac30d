"""The steps, in their order. Each is what docs/operating.md describes, done to a system that sells meanwhile."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import network
from .cluster import K8S, ROOT, Cluster, Tree, run, wait_for
from .report import Failed, Skipped, log
from .sales import Gateway, Person, Sales


@dataclass
class Rehearsal:
    cluster: Cluster
    gateway: Gateway
    sales: Sales
    previous: str | None

    def is_served(self) -> bool:
        """To someone without an account, and without being part of the account."""
        visitor = Person(self.gateway, lambda status: None)
        return all(visitor.request("GET", path)[0] == 200 for path in ["/api/tickets?limit=1", "/"])

    def nothing_is_lost(self) -> None:
        if lost := self.sales.lost():
            raise Failed(f"{len(lost)} sales are lost, such as {lost[0]}")


class Step:
    def __init__(self, action: Callable[[Rehearsal], str | None], deletes: bool) -> None:
        self.action, self.deletes = action, deletes
        self.name = action.__name__.replace("_", "-")
        self.__doc__ = action.__doc__

    def __call__(self, rehearsal: Rehearsal) -> str | None:
        return self.action(rehearsal)


STEPS: list[Step] = []


def step(action: Callable[[Rehearsal], str | None]) -> Callable[[Rehearsal], str | None]:
    STEPS.append(Step(action, deletes=action.__name__ in ("first_start", "upgrade")))
    return action


@step
def first_start(rehearsal: Rehearsal) -> str:
    """Deploys from nothing, and deletes each database's pod four times while it initiates itself."""
    cluster = rehearsal.cluster
    cluster.delete_namespace()
    cluster.make_secrets()
    cluster.apply(K8S / "overlays/dev")
    deleted = 0
    for pause in [0, 1, 3, 6]:
        for service in cluster.databases():
            pod = f"{service}-mongodb-0"
            wait_for(f"{pod} to run", lambda pod=pod: is_running(cluster, pod))
        time.sleep(pause)
        for service in cluster.databases():
            cluster.kubectl("delete", "pod", f"{service}-mongodb-0", "--grace-period=0", "--force")
            deleted += 1
    cluster.rollout()
    cluster.scale(2)
    cluster.rollout()
    wait_for("the gateway to serve", rehearsal.is_served)
    return f"{deleted} pods were deleted before they were ready"


@step
def tour(rehearsal: Rehearsal) -> None:
    """Sells a ticket by README's tour."""
    rehearsal.gateway.tour()


@step
def delete_pods(rehearsal: Rehearsal) -> str:
    """Deletes each pod in turn, under load, and waits until its workload is complete again."""
    cluster, slowest = rehearsal.cluster, (0.0, "")
    rehearsal.sales.start()
    pods = cluster.pods()
    for pod in pods:
        name, started = pod["metadata"]["name"], time.monotonic()
        cluster.kubectl("delete", "pod", name, "--wait=true", "--timeout=3m")
        cluster.rollout()
        took = time.monotonic() - started
        slowest = max(slowest, (took, name))
        log(f"   {name} was replaced within {took:.0f} s")
    wait_for("the gateway to serve", rehearsal.is_served)
    rehearsal.nothing_is_lost()
    return f"{len(pods)} pods, the slowest {slowest[1]} with {slowest[0]:.0f} s"


@step
def restart_services(rehearsal: Rehearsal) -> str:
    """Restarts each service's Deployment, with two replicas, under load: no request fails."""
    cluster = rehearsal.cluster
    cluster.scale(2)
    cluster.rollout()
    rehearsal.sales.start()
    before = rehearsal.sales.counts()
    for name in cluster.services():
        cluster.restart(f"deployment/{name}")
    counts = rehearsal.sales.counts() - before
    if counts.failed:
        raise Failed(f"{counts.failed} of {counts.requests} requests failed")
    if not counts.sold:
        raise Failed("nothing was sold meanwhile")
    rehearsal.nothing_is_lost()
    return f"none of {counts.requests} requests failed"


@step
def restart_kubelets(rehearsal: Rehearsal) -> str:
    """Restarts each node's kubelet, under load; for kind, whose nodes are containers of this machine."""
    nodes = run(["kubectl", "get", "nodes", "--output=name"]).replace("node/", "").split()
    if not all(is_container(node) for node in nodes):
        raise Skipped("the nodes are no containers of this machine")
    rehearsal.sales.start()
    for node in nodes:
        run(["docker", "exec", node, "systemctl", "restart", "kubelet"])
        run(["kubectl", "wait", f"node/{node}", "--for=condition=Ready", "--timeout=3m"])
    rehearsal.cluster.rollout()
    rehearsal.nothing_is_lost()
    return f"{len(nodes)} nodes"


@step
def back_up_and_restore(rehearsal: Rehearsal) -> str:
    """Backs up orders, sells more, and restores it: what was sold before the back-up is whole."""
    sales = rehearsal.sales
    sales.start()
    wait_for("a sale", lambda: sales.counts().sold, every=0.5)
    with tempfile.NamedTemporaryFile(suffix=".archive.gz") as archive:
        sales.look_again()
        with sales.lock:
            whole = len(sales.sales)
        backed_up = sales.counts()
        subprocess.run([str(K8S / "back-up"), "orders"], check=True, stdout=archive, cwd=ROOT)
        wait_for("three more sales", lambda: (sales.counts() - backed_up).sold >= 3, every=0.5)
        sales.stop()
        # What was sold since is lost to orders; the page says what becomes of it.
        with sales.lock:
            del sales.sales[whole:]
        archive.seek(0)
        run([str(K8S / "restore"), "orders"], stdin=archive.read())
    wait_for("the gateway to serve", rehearsal.is_served)
    rehearsal.cluster.scale(2)
    rehearsal.cluster.rollout()
    rehearsal.nothing_is_lost()
    rehearsal.gateway.tour()
    return f"{whole} sales from before the back-up are whole"


@step
def rotate_keys(rehearsal: Rehearsal) -> str:
    """Rotates the key pair of the session tokens, in the page's three steps: nobody is signed out."""
    cluster, sales = rehearsal.cluster, rehearsal.sales
    sales.start()
    everyone = [f"deployment/{name}" for name in cluster.services()]
    person = sales.person()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(folder / "private.pem")])
        new = run(["openssl", "pkey", "-in", str(folder / "private.pem"), "-pubout"])
        old = cluster.get("configmap", "jwt-public-keys")["data"]["public.pem"]
        for number, change in enumerate(
            [
                lambda: replace(cluster, "configmap", "jwt-public-keys", folder / "public.pem", old + new),
                lambda: replace(cluster, "secret", "jwt-private-key", folder / "private.pem"),
                lambda: replace(cluster, "configmap", "jwt-public-keys", folder / "public.pem", new),
            ],
            start=1,
        ):
            change()
            cluster.restart(*(["deployment/auth"] if number == 2 else everyone))
            # In the third step half an hour early: tokens of the old key are refreshed by their sessions.
            if not person.is_signed_in():
                raise Failed(f"someone was signed out in step {number}")
    rehearsal.nothing_is_lost()
    return "a session outlives all three"


@step
def change_passwords(rehearsal: Rehearsal) -> str:
    """Changes a database's password, the bus' and Stripe's key, under load."""
    cluster = rehearsal.cluster
    rehearsal.sales.start()
    password = new_password()
    old = cluster.secret("orders-mongodb", "password")
    cluster.set_secret("orders-mongodb", password=password)
    cluster.set_secret("orders", MONGO_URI=cluster.secret("orders", "MONGO_URI").replace(old, password))

    def is_there() -> bool:
        return cluster.exec("orders-mongodb-0", "initiate", "cat", "/secret/password") == password

    wait_for("the pod to have the new password", is_there, seconds=180, every=5)
    cluster.exec("orders-mongodb-0", "initiate", "bash", "/scripts/initiate", "once")
    cluster.restart("deployment/orders")

    old, password = cluster.secret("nats", "TICKETS_NATS_PASSWORD"), new_password()
    cluster.set_secret("nats", TICKETS_NATS_PASSWORD=password)
    cluster.set_secret("tickets", NATS_URL=cluster.secret("tickets", "NATS_URL").replace(old, password))
    cluster.restart("statefulset/nats", "deployment/tickets")

    # The local Stripe takes any key of its test mode.
    cluster.set_secret("payments", STRIPE_KEY=f"sk_test_{new_password()}")
    cluster.restart("deployment/payments")
    rehearsal.gateway.tour()
    rehearsal.nothing_is_lost()
    return "orders' database, tickets' bus user, payments' Stripe key"


@step
def network_policies(rehearsal: Rehearsal) -> str:
    """Tries every connection between our pods, from pods with their labels: exactly those of the matrix succeed."""
    return network.probe(rehearsal.cluster)


@step
def upgrade(rehearsal: Rehearsal) -> str:
    """Deploys the release --previous from nothing, upgrades it to this commit, goes back, and upgrades it again."""
    if not rehearsal.previous:
        raise Skipped("--previous names no release")
    cluster, sales = rehearsal.cluster, rehearsal.sales
    sales.stop()
    rehearsal.nothing_is_lost()
    sales.forget()
    with Tree(rehearsal.previous) as tree:

        def back() -> None:
            replace_workloads(cluster, lambda: cluster.apply_previous(tree, rehearsal.previous))

        def forth() -> None:
            cluster.make_secrets()
            replace_workloads(cluster, lambda: cluster.apply(K8S / "overlays/dev"))

        cluster.delete_namespace()
        cluster.make_secrets(tree)
        for deploy, deployed in [(back, tree), (forth, ROOT), (back, tree), (forth, ROOT)]:
            deploy()
            wait_for("the gateway to serve", rehearsal.is_served)
            rehearsal.gateway.tour(deployed)
            rehearsal.nothing_is_lost()
            sales.start()
    return f"{rehearsal.previous} → this commit → {rehearsal.previous} → this commit"


def replace_workloads(cluster: Cluster, apply: Callable[[], None]) -> None:
    """A StatefulSet's volumes can't be changed, so that it is replaced, without its pods and data; and a Job can't be changed at all."""
    for kind in ["statefulset", "job"]:
        for name in cluster.names(kind):
            cascade = ["--cascade=orphan"] if kind == "statefulset" else []
            cluster.kubectl("delete", kind, name, *cascade)
    apply()
    cluster.rollout()


def replace(cluster: Cluster, kind: str, name: str, file: Path, text: str | None = None) -> None:
    if text is not None:
        file.write_text(text)
    what = [kind, "generic", name] if kind == "secret" else [kind, name]
    created = cluster.kubectl("create", *what, f"--from-file={file}", "--dry-run=client", "--output=yaml")
    cluster.kubectl("apply", "--filename=-", stdin=created)


def new_password() -> str:
    return "x" + run(["openssl", "rand", "-hex", "24"]).strip()


def is_running(cluster: Cluster, pod: str) -> bool:
    return cluster.kubectl("get", "pod", pod, "--output=jsonpath={.status.phase}", "--ignore-not-found") == "Running"


def is_container(node: str) -> bool:
    try:
        return run(["docker", "inspect", "--format={{.State.Running}}", node], check=False).strip() == "true"
    except OSError:
        return False
