//! MongoDB in a cluster: its members come back at other addresses, a first start can be interrupted anywhere, and probes leave nothing
//! behind. The scripts of infra/k8s/data/mongodb, on a real mongod, in network namespaces. As root, with mongosh; skipped elsewhere.

mod pods;

use pods::{Cluster, Pod, full_name, script, short_name};

fn names(of: fn(usize) -> String, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{}:27017", of(number))).collect()
}

/// What a service needs: the database, by its own user.
fn accepts_writes(pod: &Pod) {
    let insert = "print(db.orders.insertOne({}, {writeConcern: {w: 'majority'}}).acknowledged)";
    assert_eq!(pod.eval("orders", insert), "true");
}

/// A set as earlier versions have initiated it: by names that only DNS resolves.
fn initiate_by_short_names(pod: &Pod, count: usize) {
    let members: Vec<String> = names(short_name, count)
        .iter()
        .enumerate()
        .map(|(number, host)| format!("{{_id: {number}, host: '{host}'}}"))
        .collect();
    let script = format!(
        "rs.initiate({{_id: 'rs0', members: [{}]}}); while (!db.hello().isWritablePrimary) sleep(50); \
         db.getSiblingDB('admin').createUser({{user: 'root', pwd: 'secret-of-root', roles: ['root']}})",
        members.join(", ")
    );
    pod.eval("", &script);
}

#[tokio::test]
async fn a_replaced_member_comes_back_at_another_address_while_dns_has_the_old_one() {
    let Some(mut cluster) = Cluster::start("a replaced member") else { return };
    let mut pod = cluster.pod(0);
    cluster.publish(&[&pod]);
    pod.start_mongod(&cluster, &[]).await;
    assert!(!pod.is("member") && !pod.is("ready"), "it was never initiated");
    pod.until_initiated(&cluster, 1).await;
    pod.becomes("ready").await;
    assert_eq!(pod.configuration().0, names(full_name, 1));
    accepts_writes(&pod);
    drop(pod);

    let mut pod = cluster.pod(0);
    pod.start_mongod(&cluster, &[]).await;
    // Without a run of `initiate`.
    pod.becomes("ready").await;
    accepts_writes(&pod);
}

/// The same without the guard, the full name; and what the scripts do about a set that an earlier version has initiated.
#[tokio::test]
async fn a_member_that_cannot_find_itself_is_noticed_and_renamed_once() {
    let Some(mut cluster) = Cluster::start("a renamed member") else { return };
    let mut pod = cluster.pod(0);
    cluster.publish(&[&pod]);
    pod.start_mongod(&cluster, &[]).await;
    initiate_by_short_names(&pod, 1);
    pod.becomes("ready").await;
    drop(pod);

    let mut pod = cluster.pod(0);
    pod.start_mongod(&cluster, &[]).await;
    testkit::eventually("it to be REMOVED", || async {
        std::fs::read_to_string(pod.log())
            .unwrap()
            .contains("\"newState\":\"REMOVED\"")
            .then_some(())
    })
    .await;
    assert!(!pod.is("member") && !pod.is("ready"), "the liveness probe notices");
    // It doesn't come back when DNS has the new address, either.
    cluster.publish(&[&pod]);
    assert!(!pod.is("member"));

    pod.until_initiated(&cluster, 1).await;
    pod.becomes("ready").await;
    let configuration = pod.configuration();
    assert_eq!(configuration.0, names(full_name, 1));
    accepts_writes(&pod);
    pod.until_initiated(&cluster, 1).await;
    assert_eq!(pod.configuration(), configuration, "a second run changes nothing");
}

#[tokio::test]
#[ignore = "takes more than a minute: cargo xtask proof replica-sets"]
async fn three_members_are_renamed_while_they_serve_and_when_all_of_them_were_replaced() {
    let Some(mut cluster) = Cluster::start("three members") else { return };
    for all_are_replaced in [false, true] {
        let mut pods = [cluster.pod(0), cluster.pod(1), cluster.pod(2)];
        cluster.publish(&pods.iter().collect::<Vec<_>>());
        for pod in &mut pods {
            pod.start_mongod(&cluster, &[]).await;
        }
        initiate_by_short_names(&pods[0], 3);
        if all_are_replaced {
            drop(pods);
            pods = [cluster.pod(0), cluster.pod(1), cluster.pod(2)];
            for pod in &mut pods {
                pod.start_mongod(&cluster, &[]).await;
            }
            // By now DNS has their full names too; but nobody asks again.
            testkit::eventually("nobody to be a member", || async {
                pods.iter().all(|pod| !pod.is("member")).then_some(())
            })
            .await;
            cluster.publish(&pods.iter().collect::<Vec<_>>());
        }
        pods[0].until_initiated(&cluster, 3).await;
        for pod in &pods {
            pod.becomes("ready").await;
        }
        assert_eq!(pods[0].configuration().0, names(full_name, 3));
        drop(pods);
        cluster.delete_data();
    }
}

#[tokio::test]
async fn a_set_of_one_grows_to_three() {
    let Some(mut cluster) = Cluster::start("a set of one") else { return };
    let mut pods = [cluster.pod(0), cluster.pod(1), cluster.pod(2)];
    cluster.publish(&pods.iter().collect::<Vec<_>>());
    pods[0].start_mongod(&cluster, &[]).await;
    pods[0].until_initiated(&cluster, 1).await;
    accepts_writes(&pods[0]);
    for pod in &mut pods[1..] {
        pod.start_mongod(&cluster, &[]).await;
        assert!(!pod.is("member"));
    }
    pods[0].until_initiated(&cluster, 3).await;
    for pod in &pods {
        pod.becomes("ready").await;
    }
    assert_eq!(pods[0].configuration().0, names(full_name, 3));
    accepts_writes(&pods[0]);
}

/// The connection is cut at the n-th command that changes something, and mongod is killed; then both run again.
#[tokio::test]
async fn a_first_start_that_is_interrupted_before_any_step_is_completed_by_the_next_one() {
    let Some(mut cluster) = Cluster::start("an interrupted first start") else { return };
    let mut steps = 0;
    loop {
        let mut pod = cluster.pod(0);
        cluster.publish(&[&pod]);
        let cut = format!(
            "failpoint.failCommand={{mode: {{skip: {steps}}}, data: {{closeConnection: true, failCommands: \
             ['replSetInitiate', 'createUser', 'updateUser', 'replSetReconfig']}}}}"
        );
        pod.start_mongod(&cluster, &["--setParameter", &cut]).await;
        let is_complete = pod.initiate(&cluster, 1).status.success();
        pod.kill();
        pod.start_mongod(&cluster, &[]).await;
        pod.until_initiated(&cluster, 1).await;
        pod.becomes("ready").await;
        accepts_writes(&pod);
        drop(pod);
        cluster.delete_data();
        if is_complete {
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 3, "replSetInitiate, root, and the service's user");
}

#[tokio::test]
async fn a_changed_password_of_the_service_is_set_and_one_of_root_is_reported() {
    let Some(mut cluster) = Cluster::start("changed passwords") else { return };
    let mut pod = cluster.pod(0);
    cluster.publish(&[&pod]);
    pod.start_mongod(&cluster, &[]).await;
    std::fs::write(cluster.path("secrets/password"), "an older one").unwrap();
    pod.until_initiated(&cluster, 1).await;
    std::fs::write(cluster.path("secrets/password"), "secret-of-orders").unwrap();
    pod.until_initiated(&cluster, 1).await;
    accepts_writes(&pod);
    std::fs::write(cluster.path("secrets/root-password"), "another one").unwrap();
    let output = pod.initiate(&cluster, 1);
    let error = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && error.contains("root has another password"), "{error}");
}

/// 1,000 probes are four hours' of the liveness probe. mongosh, with which the pod was once probed, left a file at every call.
#[tokio::test]
async fn a_thousand_probes_leave_nothing_behind() {
    let Some(mut cluster) = Cluster::start("a thousand probes") else { return };
    let mut pod = cluster.pod(0);
    cluster.publish(&[&pod]);
    pod.start_mongod(&cluster, &[]).await;
    pod.until_initiated(&cluster, 1).await;
    pod.becomes("ready").await;
    let files = || walk(pod.home()).len();
    let connections =
        || pod.eval("root", "print(db.serverStatus().connections.current)").parse::<i64>().unwrap();
    let processes = || {
        String::from_utf8(pod.run("bash", &["-c", "ls -d /proc/[0-9]*/ns/net | xargs -n1 readlink | grep -c $(readlink /proc/self/ns/net)"]).stdout).unwrap()
    };
    let (files_before, connections_before) = (files(), connections());
    let (files_before, processes_before) = (files().max(files_before), processes());
    let many = "for n in {1..500}; do bash \"$0\" ready && bash \"$0\" member || exit; done";
    assert!(pod.run("bash", &["-c", many, &script("probe")]).status.success());
    assert_eq!((files(), processes()), (files_before, processes_before));
    assert!(connections() <= connections_before, "{} of {connections_before}", connections());
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
