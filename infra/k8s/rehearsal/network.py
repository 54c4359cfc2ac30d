"""The network policies, tried out: pods with the labels of ours, from which every connection is attempted."""

import json
import re
from collections.abc import Iterable

from .cluster import K8S, Cluster
from .report import Failed, Skipped

# The headings of network-policy-matrix.txt that hold for overlays/dev.
HEADINGS = ["every cluster", "MongoDB in the cluster", "dev"]
# Network plugins drop what a policy forbids, or refuse it: every port that is tried has a listener.
ATTEMPT = """
attempt() {
  if timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; then echo "$1 open"; else echo "$1 closed"; fi
}
while read -r name address port; do attempt "$name" "$address" "$port" & done
wait
"""
# A policy is in force some time after a pod has its address.
ATTEMPTS = 5


def probe(cluster: Cluster) -> str:
    workloads = workloads_of(cluster)
    try:
        for name, template in workloads.items():
            start(cluster, name, template)
        for name in workloads:
            cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"pod/probe-{name}", "--timeout=3m")
        for _ in range(ATTEMPTS):
            attempted = attempt_all(cluster, workloads)
            listed = matrix(list(workloads), cluster) & attempted.keys()
            found = {connection for connection, state in attempted.items() if state == "open"}
            if found == listed:
                break
    finally:
        cluster.kubectl("delete", "pods", "--selector=rehearsal=probe", "--grace-period=1", "--wait=true")
    if not listed:
        raise Failed("the matrix has none of these connections")
    if len(found) == len(attempted):
        raise Skipped("the cluster's network plugin enforces no policies")
    if found != listed:
        closed, opened = sorted(listed - found), sorted(found - listed)
        raise Failed(f"refused, though listed: {closed[:3]}; allowed, though not listed: {opened[:3]}")
    return f"{len(attempted)} of {len(attempted)} connections as listed, {len(listed)} of them allowed"


def attempt_all(cluster: Cluster, workloads: dict[str, dict]) -> dict[str, str]:
    """`from -> to:port`, and whether that is open or closed."""
    targets = "".join(f"{name}:{port} {address} {number}\n" for name, port, address, number in targets_of(cluster, workloads))
    attempted = {}
    for name in workloads:
        for line in cluster.exec(f"probe-{name}", "probe", "bash", "-c", ATTEMPT, stdin=targets).splitlines():
            target, state = line.split()
            attempted[f"{name} -> {target}"] = state
    return attempted


def workloads_of(cluster: Cluster) -> dict[str, dict]:
    """The pod template of each of our workloads."""
    found = {}
    for kind in ["deployment", "statefulset"]:
        for item in cluster.get(kind)["items"]:
            found[item["metadata"]["name"]] = item["spec"]["template"]
    return found


def targets_of(cluster: Cluster, workloads: dict[str, dict]) -> list[tuple[str, str, str, int]]:
    """A running pod of each workload, with each of its ports: the workload, the port's name, the address, the port."""
    found = []
    for name, template in workloads.items():
        labels = ",".join(f"{key}={value}" for key, value in template["metadata"]["labels"].items())
        pods = [pod for pod in cluster.pods(f"{labels},!rehearsal") if is_ready(pod)]
        if not pods:
            raise Failed(f"{name} has no pod that is ready")
        for port in [port for container in template["spec"]["containers"] for port in container.get("ports", [])]:
            # NATS listens there only if it has several nodes.
            if port["name"] != "routes":
                found.append((name, port["name"], pods[0]["status"]["podIP"], port["containerPort"]))
    return found


def is_ready(pod: dict) -> bool:
    return any(it["type"] == "Ready" and it["status"] == "True" for it in pod["status"].get("conditions", []))


def start(cluster: Cluster, name: str, template: dict) -> None:
    """A pod with a workload's labels that serves nobody: it is never ready, and belongs to no one."""
    image = next(
        container["image"]
        for item in cluster.get("statefulset")["items"]
        for container in item["spec"]["template"]["spec"]["containers"]
        if container["name"] == "mongod"
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"probe-{name}", "labels": {**template["metadata"]["labels"], "rehearsal": "probe"}},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 999,
                "runAsGroup": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "command": ["sleep", "600"],
                    "readinessProbe": {"exec": {"command": ["false"]}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    cluster.kubectl("delete", "pod", f"probe-{name}", "--ignore-not-found", "--wait=true")
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(pod))


def matrix(pods: list[str], cluster: Cluster) -> set[str]:
    """`from -> to:port` for each connection of the matrix."""
    routes = (K8S.parent / "gateway/routes.txt").read_text().splitlines()
    groups = {
        "<service>": cluster.services(),
        "<routed>": sorted({line.split()[1] for line in routes if line and not line.startswith("#")}),
        "<database>": cluster.databases(),
        "<pod>": pods,
    }
    connections, is_wanted = set(), False
    for line in (K8S / "network-policy-matrix.txt").read_text().splitlines():
        if heading := re.fullmatch(r"\[(.*)\]", line):
            is_wanted = heading[1] in HEADINGS
        elif is_wanted and line and not line.startswith("#"):
            group = next((group for group in groups if group in line), None)
            for expanded in [line.replace(group, name) for name in groups[group]] if group else [line]:
                connections |= set(pairs(expanded))
    return connections


def pairs(line: str) -> Iterable[str]:
    sources, targets = ([name.strip() for name in side.split(",")] for side in line.split("->"))
    return (f"{source} -> {target}" for source in sources for target in targets)
