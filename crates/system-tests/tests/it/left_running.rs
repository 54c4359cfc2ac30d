//! What tests leave running is ended with them: `cargo xtask test` finds it by the environment that it has inherited.

use std::fs;

use testkit::environment::{self, MARK};

use crate::shared;

#[tokio::test]
async fn each_process_of_a_marketplace_keeps_the_environment_that_it_was_given() {
    let stack = shared::usual().await;
    let mark = format!("{MARK}={}", environment::required(MARK));
    let mut lost = Vec::new();
    let mut found = 0;
    for file in fs::read_dir(stack.root().join("run")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "pid") {
            let pid = fs::read_to_string(&file).unwrap();
            let environment = fs::read(format!("/proc/{}/environ", pid.trim())).unwrap();
            found += 1;
            if !environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()) {
                lost.push(file);
            }
        }
    }
    assert!(found >= 12, "{found}");
    assert!(lost.is_empty(), "{lost:?}");
}
