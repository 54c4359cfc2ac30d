//! `infra/k8s/deploy` deploys the digests that it is given, and no tags; the workflow gives it those that it has verified.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::environment;

use super::{list, read, repository, services, text, workloads, yaml};

/// Everything but the rendering of manifests is recorded, or comes from files in `$CLUSTER`.
const KUBECTL: &str = r#"#!/usr/bin/env bash
case "$*" in
  kustomize*) exec "$KUBECTL" "$@" ;;
  *"get configmap deployed"*commit*) cat "$CLUSTER/commit" ;;
  *"get configmap deployed"*images*) cat "$CLUSTER/images" ;;
  *"get configmap"*) echo https://tickets.example ;;
  *"get deployment web"*) echo settings ;;
  *"create configmap"*) printf '%s\n' "$@" > "$CLUSTER/recorded" ;;
  "apply -f -") ;;
  "apply -f"*) cp "$3" "$CLUSTER/applied-$(ls "$CLUSTER" | grep -c applied)" ;;
esac
"#;
const CURL: &str = r#"#!/usr/bin/env bash
exit "$SMOKE"
"#;
const DOCKER: &str = r#"#!/usr/bin/env bash
echo "sha256:$(echo "${@: -1}" | sha256sum | cut -d' ' -f1)"
"#;

struct Cluster(tempfile::TempDir);

impl Cluster {
    /// In which this commit is deployed, with these images.
    fn with(commit: &str, images: &str) -> Self {
        let cluster = Cluster(tempfile::tempdir().unwrap());
        for (name, script) in [("kubectl", KUBECTL), ("curl", CURL), ("docker", DOCKER)] {
            cluster.write(name, script);
            let executable = PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(cluster.path().join(name), executable).unwrap();
        }
        cluster.write("commit", commit);
        cluster.write("images", images);
        cluster
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs a script of `infra/k8s`; `smoke` is the outcome of requesting a page.
    fn run(&self, script: &str, arguments: &[&str], smoke: &str) -> Output {
        Command::new(repository(&format!("infra/k8s/{script}")))
            .args(arguments)
            .current_dir(repository(""))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path().display()))
            .env("CLUSTER", self.path())
            .env("KUBECTL", environment::required(environment::KUBECTL))
            .env("SMOKE", smoke)
            .output()
            .unwrap()
    }

    /// The images that the n-th `kubectl apply` names.
    fn applied(&self, number: usize) -> BTreeSet<String> {
        let applied = self.path().join(format!("applied-{number}"));
        let objects = yaml(&std::fs::read_to_string(applied).unwrap());
        let of_pods = |(_, pods): (&str, &Value)| {
            let containers = list(pods, "/spec/containers").iter();
            containers.map(|it| text(it, "/image").to_owned()).collect::<Vec<_>>()
        };
        workloads(&objects).into_iter().flat_map(of_pods).collect()
    }
}

/// A list of images, each with this digit as its digest.
fn images(digit: &str) -> String {
    let digest = digit.repeat(64);
    let ours = services().into_iter().map(|name| format!("ticketing/{name} ghcr.io/acme/{name}"));
    let all = ours.chain(["nats nats".to_owned()]);
    all.map(|image| format!("{image} sha256:{digest}\n")).collect()
}

fn expected(digit: &str) -> BTreeSet<String> {
    let digest = digit.repeat(64);
    let ours = services().into_iter().map(|name| format!("ghcr.io/acme/{name}"));
    ours.chain(["nats".to_owned()]).map(|image| format!("{image}@sha256:{digest}")).collect()
}

#[test]
fn exactly_the_listed_digests_are_deployed_and_recorded() {
    let cluster = Cluster::with("", "");
    cluster.write("list", &images("1"));
    let list = cluster.path().join("list");
    let output = cluster.run("deploy", &[list.to_str().unwrap()], "0");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(cluster.applied(0), expected("1"));
    let recorded = std::fs::read_to_string(cluster.path().join("recorded")).unwrap();
    assert!(recorded.contains(&format!("--from-file=images={}", list.display())), "{recorded}");
}

#[test]
fn an_image_without_a_digest_is_not_deployed() {
    let cluster = Cluster::with("", "");
    let without_nats: String = images("1")
        .lines()
        .filter(|line| !line.starts_with("nats"))
        .fold(String::new(), |all, line| all + line + "\n");
    cluster.write("list", &without_nats);
    let list = cluster.path().join("list");
    let output = cluster.run("deploy", &[list.to_str().unwrap()], "0");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("image: nats:"), "{error}");
    assert!(!cluster.path().join("applied-0").exists(), "nothing is applied");
}

#[test]
fn a_failed_deployment_is_rolled_back_to_the_recorded_digests() {
    let cluster = Cluster::with("HEAD", &images("2"));
    cluster.write("list", &images("3"));
    let list = cluster.path().join("list");
    let output = cluster.run("deploy", &[list.to_str().unwrap()], "1");
    assert!(!output.status.success());
    assert_eq!(cluster.applied(0), expected("3"));
    assert_eq!(cluster.applied(1), expected("2"));
    assert!(!cluster.path().join("recorded").exists());
}

#[test]
fn the_list_of_images_has_a_digest_of_each_service_and_server() {
    let cluster = Cluster::with("", "");
    let lines = |arguments: &[&str]| {
        let output = cluster.run("image-digests", arguments, "0");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let ours = lines(&["ghcr.io/acme"]);
    let named: Vec<_> = ours.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(named, services().iter().map(|it| format!("ticketing/{it}")).collect::<Vec<_>>());
    let servers = lines(&[]);
    assert!(servers.starts_with("nats nats sha256:") && servers.lines().count() == 1, "{servers}");
}

/// The rules that the workflow's comments give, as far as they can be read off it.
#[test]
fn the_workflow_deploys_what_it_has_signed_on_main() {
    let workflow = read(".github/workflows/deploy.yml");
    let parsed = yaml(&workflow).remove(0);
    let jobs = parsed["jobs"].as_object().unwrap();
    assert_eq!(jobs["services"]["if"], "github.ref == 'refs/heads/main'");
    for (name, job) in jobs.iter().filter(|(name, _)| *name != "services") {
        let needs = &job["needs"];
        let transitive = needs == "services" || needs == "servers";
        let listed = list(job, "/needs").iter().any(|it| it == "services");
        assert!(transitive || listed, "{name} could run without the check of the branch");
    }
    assert!(text(&parsed, "/env/IDENTITY").ends_with("/deploy.yml@refs/heads/main"));
    // A pattern could match another branch's or another repository's workflow.
    assert!(!workflow.contains("--certificate-identity-regexp"));
    let runs = |job: &str| {
        let steps = list(&jobs[job], "/steps").iter().map(|step| text(step, "/run"));
        steps.collect::<Vec<_>>().join("\n")
    };
    let deploy = runs("deploy");
    assert!(deploy.contains("cosign verify \"$image@$digest\""), "{deploy}");
    for (job, step) in
        [("images", "cosign sign"), ("images", "cosign verify"), ("deploy", "cosign verify")]
    {
        let text = runs(job);
        let from = text.find(step).unwrap();
        for annotation in ["commit=$COMMIT", "service=$"] {
            assert!(text[from..].contains(annotation), "{job}: {step} without {annotation}");
        }
    }
    // What is scanned, signed and deployed is never a tag.
    for job in jobs.values() {
        for step in list(job, "/steps") {
            let image = text(step, "/with/image");
            let is_digest = image.contains("digest") || image == "${{ matrix.image }}";
            assert!(image.is_empty() || is_digest, "{image}");
        }
    }
}
