//! One image for each folder in `services/`, and whatever makes or names them knows all of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{OVERLAYS, list, read, services, text, workloads, yaml};

/// The local Stripe: an image of the dev overlay alone.
const DOUBLE: &str = "stripe-double";

/// What stands in the Dockerfile's COPY lines, of what comes from the repository.
fn copied(dockerfile: &str) -> Vec<String> {
    let from_here =
        |line: &&str| line.trim_start().starts_with("COPY ") && !line.contains("--from=");
    let sources = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().skip(1).map(str::to_owned).collect();
        words.retain(|word| !word.starts_with("--"));
        words.pop();
        words
    };
    dockerfile.lines().filter(from_here).flat_map(sources).collect()
}

#[test]
fn editing_one_service_rebuilds_one_image() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("ARG FOLDER=services/${SERVICE}\n"));
    let sources = copied(&dockerfile);
    assert!(!sources.is_empty());
    for source in sources {
        let is_shared = ["Cargo.toml", "Cargo.lock"].contains(&source.as_str())
            || source.starts_with("crates/");
        let is_its_own = source.starts_with("services/${SERVICE}/") || source == "${FOLDER}/";
        assert!(is_shared || is_its_own, "COPY {source}");
    }
}

#[test]
fn skaffold_builds_each_service_and_what_the_dev_overlay_runs_beside_them() {
    let skaffold = yaml(&read("skaffold.yaml")).remove(0);
    assert_eq!(skaffold["apiVersion"], "skaffold/v4beta13");
    let mut wanted: BTreeSet<String> = services().into_iter().collect();
    wanted.insert(DOUBLE.to_owned());
    let mut built = BTreeSet::new();
    for artifact in list(&skaffold, "/build/artifacts") {
        let service = text(artifact, "/docker/buildArgs/SERVICE");
        assert_eq!(artifact["image"], format!("ticketing/{service}"));
        assert_eq!(artifact["docker"]["buildArgs"]["PROFILE"], "edit");
        assert!(built.insert(service.to_owned()), "{service} is built twice");
    }
    assert_eq!(built, wanted);
    // Production's are small, and take their time.
    let argument = |number| format!("/build/artifacts/{number}/docker/buildArgs/PROFILE");
    let removed = |number| json!({ "op": "remove", "path": argument(number) });
    let patches: Vec<Value> = (0..built.len()).map(removed).collect();
    assert_eq!(skaffold["profiles"][0]["patches"], json!(patches));

    let ours =
        |container: &Value| text(container, "/image").strip_prefix("ticketing/").map(str::to_owned);
    let run: BTreeSet<String> = workloads(&OVERLAYS["dev"])
        .into_iter()
        .flat_map(|(_, pods)| list(pods, "/spec/containers"))
        .filter_map(ours)
        .collect();
    assert_eq!(run, wanted, "what the dev overlay runs");
    assert_eq!(skaffold["manifests"]["kustomize"]["paths"][0], "infra/k8s/overlays/dev");
    let production = &skaffold["profiles"][0];
    assert_eq!(production["name"], "production");
    assert_eq!(production["manifests"]["kustomize"]["paths"][0], "infra/k8s/overlays/production");
}

#[test]
fn the_workflows_and_the_scripts_know_each_service() {
    let wanted: BTreeSet<String> = services().into_iter().collect();
    for workflow in ["ci", "deploy"] {
        let workflow = yaml(&read(&format!(".github/workflows/{workflow}.yml"))).remove(0);
        let matrix = list(&workflow, "/jobs/images/strategy/matrix/service");
        let named: BTreeSet<_> =
            matrix.iter().map(|service| service.as_str().unwrap().to_owned()).collect();
        assert_eq!(named, wanted);
    }
    // make-secrets leaves out web, which has no database.
    for (script, beside) in [("deploy", None), ("make-secrets", Some("web"))] {
        let script = read(&format!("infra/k8s/{script}"));
        let line = script.lines().find_map(|line| line.strip_prefix("services=(")).unwrap();
        let line = line.trim_end_matches(')');
        let named = line.split_whitespace().chain(beside).map(str::to_owned);
        assert_eq!(named.collect::<BTreeSet<_>>(), wanted);
    }
}

/// A tag of an action can be moved to other code; a commit can't.
#[test]
fn every_action_is_pinned_by_its_commit() {
    for workflow in ["ci", "deploy"] {
        let workflow = read(&format!(".github/workflows/{workflow}.yml"));
        let used: Vec<_> = workflow.lines().filter(|line| line.contains("uses:")).collect();
        assert!(used.len() > 3);
        for line in used {
            let (_, pin) = line.split_once('@').unwrap();
            let commit = pin.split_whitespace().next().unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit, "{line}");
        }
    }
}
