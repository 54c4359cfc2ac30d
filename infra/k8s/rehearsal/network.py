"""The network policies, tried out: pods with the labels of ours, from which every connection is attempted."""

import json
import re
from collections.abc import Iterable

from .cluster import K8S, Cluster
from .report import Failed, Skipped

# The headings of network-policy-matrix.txt that hold for overlays/dev.
HEADINGS = ["every cluster", "MongoDB in the cluster", "dev"]
# One connection: 0 if it is accepted or refused by the machine itself, which a policy would have prevented.
ATTEMPT = """
attempt() {
  if output=$( { timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3" ; } 2>&1 ); then echo "$1 open"
  elif [[ $output == *refused* ]]; then echo "$1 open"
  else echo "$1 closed"; fi
}
while read -r name address port; do attempt "$name" "$address" "$port" & done
wait
"""


def probe(cluster: Cluster) -> str:
    workloads = workloads_of(cluster)
    targets = targets_of(cluster, workloads)
    expected = matrix(list(workloads), cluster)
    open_connections: set[str] = set()
    attempted = 0
    try:
        for name, template in workloads.items():
            start(cluster, name, template)
        for name in workloads:
            cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"pod/probe-{name}", "--timeout=3m")
            lines = "".join(f"{target}:{port} {address} {number}\n" for target, port, address, number in targets)
            for line in cluster.exec(f"probe-{name}", "probe", "bash", "-c", ATTEMPT, stdin=lines).splitlines():
                attempted += 1
                target, state = line.split()
                if state == "open":
                    open_connections.add(f"{name} -> {target}")
    finally:
        cluster.kubectl("delete", "pods", "--selector=rehearsal=probe", "--grace-period=1", "--wait=true")
    ours = {f"{target}:{port}" for target, port, _, _ in targets}
    wanted = {line for line in expected if line.split(" -> ")[1] in ours}
    if not wanted:
        raise Failed("the matrix has none of these connections")
    refused, allowed = sorted(wanted - open_connections), sorted(open_connections - wanted)
    if allowed and len(open_connections) == attempted:
        raise Skipped("the cluster's network plugin enforces no policies")
    if refused or allowed:
        raise Failed(f"refused, though listed: {refused[:3]}; allowed, though not listed: {allowed[:3]}")
    return f"{attempted} of {attempted} connections as listed, {len(wanted)} of them allowed"


def workloads_of(cluster: Cluster) -> dict[str, dict]:
    """The pod template of each of our workloads."""
    found = {}
    for kind in ["deployment", "statefulset"]:
        for item in cluster.get(kind, "--selector=app.kubernetes.io/part-of=ticketing")["items"]:
            found[item["metadata"]["name"]] = item["spec"]["template"]
    return found


def targets_of(cluster: Cluster, workloads: dict[str, dict]) -> list[tuple[str, str, str, int]]:
    """A running pod of each workload, with each of its ports: the workload, the port's name, the address, the port."""
    found = []
    for name, template in workloads.items():
        labels = template["metadata"]["labels"].items()
        pods = [pod for pod in cluster.pods(",".join(f"{key}={value}" for key, value in labels)) if pod["status"].get("podIP")]
        ports = [port for container in template["spec"]["containers"] for port in container.get("ports", [])]
        # The admin ports are the kubelet's; the matrix lists them for Prometheus alone.
        found += [(name, port["name"], pods[0]["status"]["podIP"], port["containerPort"]) for port in ports]
    return found


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
