"""The cluster, by kubectl."""

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
K8S = ROOT / "infra/k8s"

REMEMBERING = {
    "target": {"kind": "Deployment", "name": "stripe-double"},
    "patch": json.dumps(
        [
            {
                "op": "replace",
                "path": "/spec/template/spec/volumes/0",
                "value": {"name": "data", "persistentVolumeClaim": {"claimName": "stripe-double"}},
            }
        ]
    ),
}


class Cluster:
    namespace = "ticketing"

    def kubectl(self, *arguments: str, stdin: str | bytes | None = None, check: bool = True) -> str:
        """The output of kubectl in the namespace."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        return run(command, stdin=stdin, check=check)

    def name(self) -> str:
        return run(["kubectl", "config", "current-context"]).strip()

    # Objects

    def get(self, *what: str) -> dict:
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def names(self, kind: str) -> list[str]:
        """Of every object of this kind: the namespace is ours. (Not all of an earlier release had our label.)"""
        return sorted(item["metadata"]["name"] for item in self.get(kind)["items"])

    def pods(self, *selector: str) -> list[dict]:
        """Those that aren't being deleted."""
        pods = self.get("pods", *[f"--selector={it}" for it in selector])["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def secret(self, name: str, key: str) -> str:
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def set_secret(self, name: str, **values: str) -> None:
        """Values are never arguments, which everybody on this machine can read."""
        patch = json.dumps({"stringData": {key.replace("__", "."): value for key, value in values.items()}})
        self.kubectl("patch", "secret", name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)

    # Deployments

    def apply(self, overlay: Path) -> None:
        self.kubectl("apply", "-k", str(overlay))

    def apply_previous(self, tree: Path, tag: str) -> None:
        """The dev overlay of another commit's tree, with its images."""
        services = sorted(path.name for path in (tree / "services").iterdir())
        images = [{"name": f"ticketing/{name}", "newTag": tag} for name in [*services, "stripe-double", "mail-double"]]
        kustomization = {"resources": ["infra/k8s/overlays/dev"], "images": images}
        double = "infra/k8s/components/stripe-double"
        if "claim.yaml" not in (tree / double / "kustomization.yaml").read_text():
            # In earlier releases the local Stripe forgot everything with its pod. Real Stripe doesn't.
            claim = f"{double}/claim.yaml"
            (tree / claim).write_text((ROOT / claim).read_text())
            kustomization |= {"namespace": self.namespace, "patches": [REMEMBERING]}
            kustomization["resources"].append(claim)
        (tree / "kustomization.yaml").write_text(json.dumps(kustomization))
        self.apply(tree)

    def make_secrets(self, tree: Path = ROOT) -> None:
        run([str(tree / "infra/k8s/make-secrets")])

    def delete_namespace(self) -> None:
        run(["kubectl", "delete", "namespace", self.namespace, "--ignore-not-found", "--wait", "--timeout=10m"])

    def rollout(self, *workloads: str, minutes: int = 10) -> None:
        """Waits until these are rolled out; without a name, all of them."""
        everything = [f"{kind}/{name}" for kind in ["statefulset", "deployment"] for name in self.names(kind)]
        for workload in workloads or everything:
            self.kubectl("rollout", "status", workload, f"--timeout={minutes}m")

    def restart(self, *workloads: str) -> None:
        self.kubectl("rollout", "restart", *workloads)
        self.rollout(*workloads)

    def scale(self, replicas: int) -> None:
        for name in self.services():
            self.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}")

    def services(self) -> list[str]:
        return sorted(path.name for path in (ROOT / "services").iterdir() if (path / "Cargo.toml").is_file())

    def databases(self) -> list[str]:
        folders = (path.parent.name for path in (K8S / "data/mongodb").glob("*/kustomization.yaml"))
        return sorted(name for name in folders if name != "template")

    def exec(self, pod: str, container: str, *command: str, stdin: str | None = None) -> str:
        interactive = [] if stdin is None else ["--stdin"]
        return self.kubectl("exec", *interactive, pod, f"--container={container}", "--", *command, stdin=stdin)


def run(command: list[str], *, stdin: str | bytes | None = None, check: bool = True, env: dict | None = None) -> str:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, check=False, input=data, capture_output=True, env=env, cwd=ROOT)
    if check and done.returncode != 0:
        # The last line is in the table.
        *before, last = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        raise RuntimeError("\n".join([f"{' '.join(command[:6])} … ended with {done.returncode}: {last}", *before]))
    return done.stdout.decode(errors="replace")


def wait_for(what: str, condition: Callable[[], object], seconds: float = 300, every: float = 1) -> object:
    """Polls until the condition yields something, and returns that."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except (RuntimeError, OSError) as error:
            last = error
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s" + (f" ({last})" if last else ""))


class Tree:
    """The files of another commit, for as long as the block runs."""

    def __init__(self, commit: str) -> None:
        self.commit = commit

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        archive = subprocess.run(
            ["git", "archive", self.commit, "README.md", "infra", "services"], check=True, capture_output=True, cwd=ROOT
        ).stdout
        subprocess.run(["tar", "--extract", "--directory", self.folder.name], input=archive, check=True)
        return Path(self.folder.name)

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()
