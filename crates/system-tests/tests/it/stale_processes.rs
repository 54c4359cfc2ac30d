//! `cargo xtask test` ends the processes that tests leave running: it finds them by an inherited environment variable.

use system_tests::workspace;
use testkit::environment::{self, MARK};

use crate::shared;

#[tokio::test]
async fn every_process_of_a_stack_keeps_its_environment() {
    let stack = shared::default().await;
    let mark = environment::required(MARK);
    let processes = stack.processes();
    let names = processes.names();
    let mut expected = workspace::services();
    expected.extend(["mongod", "nats", "redis", "stripe", "nginx"].map(str::to_owned));
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    let is_marked = |name: &&String| {
        let environment = processes.get(name).unwrap().environment();
        environment.contains(&(MARK.into(), mark.clone().into()))
    };
    let unmarked: Vec<_> = names.iter().filter(|name| !is_marked(name)).collect();
    assert!(unmarked.is_empty(), "{unmarked:?}");
}
