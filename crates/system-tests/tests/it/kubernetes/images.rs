//! One image for each folder in `services/`, built from nothing but that folder and the shared crates.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::{OVERLAYS, list, read, repository, services, text, workloads, yaml};

/// The local Stripe and the local mailbox: images of the dev overlay alone.
const DOUBLES: [&str; 2] = ["stripe-double", "mail-double"];

/// The sources of the Dockerfile's COPY lines, of those that copy from the repository.
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
fn skaffold_builds_the_images_that_the_dev_overlay_runs() {
    let skaffold = yaml(&read("skaffold.yaml")).remove(0);
    assert_eq!(skaffold["apiVersion"], "skaffold/v4beta13");
    let mut wanted: BTreeSet<String> = services().into_iter().collect();
    wanted.extend(DOUBLES.map(str::to_owned));
    let mut built = BTreeSet::new();
    for artifact in list(&skaffold, "/build/artifacts") {
        let service = text(artifact, "/docker/buildArgs/SERVICE");
        assert_eq!(artifact["image"], format!("ticketing/{service}"));
        assert_eq!(artifact["docker"]["buildArgs"]["PROFILE"], "edit");
        assert!(built.insert(service.to_owned()), "{service} is built twice");
    }
    assert_eq!(built, wanted);
    // Production's are optimised for size, which takes longer to build.
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

/// `.ci/affected-images`, for a change of these files.
fn affected(changed: &[&str]) -> Vec<String> {
    let output = Command::new(repository(".ci/affected-images")).args(changed).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn only_the_images_that_a_change_affects_are_built() {
    let all = services();
    assert_eq!(affected(&["services/orders/src/app.rs", "docs/api.md"]), ["orders"]);
    assert_eq!(
        affected(&["services/web/assets/app.js", "services/auth/Cargo.toml"]),
        ["auth", "web"]
    );
    for shared in ["Cargo.lock", "crates/common/src/lib.rs", "Dockerfile", ".dockerignore"] {
        assert_eq!(affected(&[shared]), all, "{shared}");
    }
    for other in ["README.md", "services/orders/tests/it/main.rs", "crates/xtask/src/main.rs"] {
        assert!(affected(&[other]).is_empty(), "{other}");
    }
    assert_eq!(affected(&["--all"]), all);
}

#[test]
fn the_workflows_build_the_images_of_the_folders() {
    for workflow in ["ci", "deploy"] {
        let workflow = read(&format!(".github/workflows/{workflow}.yml"));
        assert!(workflow.contains("service: ${{ fromJSON(needs."));
        assert!(workflow.contains(".ci/affected-images"));
    }
}

/// A tag of an action can be moved to other code; a commit can't.
#[test]
fn every_action_is_pinned_by_its_commit() {
    for workflow in ["ci", "deploy", "rehearsal"] {
        let workflow = read(&format!(".github/workflows/{workflow}.yml"));
        let used: Vec<_> = workflow.lines().filter(|line| line.contains("uses:")).collect();
        assert!(used.len() > 1, "{workflow}");
        for line in used {
            let (_, pin) = line.split_once('@').unwrap();
            let commit = pin.split_whitespace().next().unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit, "{line}");
        }
    }
}

/// The series of servers that get security fixes, with the end of that and its source. One that is past its end is deleted from
/// here in the change that moves the manifests off it; a test that failed by the calendar would stop unrelated work.
const SUPPORTED: [(&str, &str, &str); 8] = [
    // https://www.mongodb.com/legal/support-policy/lifecycles
    ("mongo", "7.0", "2027-08"),
    ("mongo", "8.0", "2029-10"),
    // https://redis.io/docs/latest/operate/oss_and_stack/install/lifecycle/
    ("redis", "7.2", "2029-02"),
    ("redis", "7.4", "2029-12"),
    ("redis", "8.2", "2030-09"),
    ("redis", "8.4", "not announced"),
    // https://docs.nats.io/release-notes: the current minor release and the one before it.
    ("nats", "2.15", "the release of 2.17"),
    ("nats", "2.14", "the release of 2.16"),
];

/// Without a tag the default is to pull always, and an image that was built on this machine is nowhere to be pulled from.
#[test]
fn an_image_of_ours_is_pulled_only_if_it_is_missing() {
    for (overlay, objects) in OVERLAYS.iter() {
        for (workload, pods) in workloads(objects) {
            let containers = list(pods, "/spec/containers").iter();
            for container in containers.filter(|it| text(it, "/image").starts_with("ticketing/")) {
                assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{overlay}: {workload}");
            }
        }
    }
}

#[test]
fn servers_are_of_a_supported_series_and_of_an_exact_version() {
    let mut servers = BTreeSet::new();
    for (overlay, objects) in OVERLAYS.iter() {
        for (workload, pods) in workloads(objects) {
            let containers =
                ["/spec/initContainers", "/spec/containers"].iter().flat_map(|at| list(pods, at));
            for container in containers {
                let image = text(container, "/image");
                if image.starts_with("ticketing/") {
                    continue;
                }
                let (server, tag) = image.split_once(':').unwrap_or((image, "no tag"));
                let numbers: Vec<_> = tag.split('.').collect();
                let is_exact = numbers.len() == 3
                    && numbers.iter().all(|number| number.parse::<u32>().is_ok());
                assert!(is_exact, "{overlay}: {workload}: {image} is not an exact version");
                let series = format!("{}.{}", numbers[0], numbers[1]);
                let is_supported = SUPPORTED
                    .iter()
                    .any(|(name, supported, _)| (*name, *supported) == (server, &series));
                assert!(is_supported, "{overlay}: {workload}: {server} {series} is not supported");
                servers.insert(server);
            }
        }
    }
    assert_eq!(servers, BTreeSet::from(["mongo", "nats", "redis"]));
}
