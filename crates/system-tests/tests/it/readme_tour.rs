//! The tour in README.md, executed command by command without a pause.

use std::path::Path;
use std::process::Command;

use crate::shared;

#[tokio::test]
async fn the_tour_in_the_readme_works() {
    let stack = shared::default().await;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, tour) = readme.split_once("## A tour").expect("README has a tour");
    let tour = tour.split("\n## ").next().unwrap();
    let mut blocks =
        tour.split("```bash\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script = blocks.by_ref().collect::<String>();
    assert!(script.lines().filter(|line| line.contains("curl")).count() > 5, "{script}");

    let url = stack.url();
    let run = move || {
        Command::new("bash").args(["-euo", "pipefail", "-c", &script]).env("BASE", url).output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for expected in
        ["\"status\":\"completed\"", "\"status\":\"sold\"", "ticket-reserved", "card-declined"]
    {
        assert!(stdout.contains(expected), "{expected} is not in\n{stdout}");
    }
}
