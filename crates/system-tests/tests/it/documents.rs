//! What the documents list is what the code has.

use std::path::Path;

use common::events::Subject;
use common::problem;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

#[test]
fn every_problem_stands_in_the_table_with_its_status() {
    let table = read("docs/problems.md");
    for problem in problem::ALL {
        let row =
            table.lines().find(|line| line.contains(&format!("`/problems/{}`", problem.slug)));
        let row = row.unwrap_or_else(|| panic!("docs/problems.md lacks {}", problem.slug));
        assert!(row.contains(problem.status.as_str()), "{row}");
    }
}

#[test]
fn every_event_stands_in_the_table() {
    let table = read("docs/events.md");
    for subject in Subject::ALL {
        let stream = subject.stream();
        let listed = table.lines().any(|line| line.contains(&format!("`{subject}`")));
        assert!(listed, "docs/events.md lacks {subject}");
        assert!(table.contains(stream.name()), "docs/events.md lacks {}", stream.name());
    }
}

#[test]
fn every_walkthrough_has_its_test() {
    let page = read("ARCHITECTURE.md").to_lowercase();
    for name in [
        "a ticket is offered",
        "a ticket is held",
        "a ticket is paid",
        "a seller refunds",
        "a hold expires",
        "a ticket is paid a second too late and honoured",
        "a ticket is paid a second too late and refunded",
        "a service dies in the middle",
        "the broker is wiped",
    ] {
        assert!(page.contains(&format!("# {name}")), "ARCHITECTURE.md lacks *{name}*");
        assert!(
            page.contains(&name.replace(' ', "_")),
            "ARCHITECTURE.md doesn't name the test of *{name}*"
        );
        assert!(
            read("crates/system-tests/tests/it/walkthroughs.rs")
                .contains(&format!("fn {}()", name.replace(' ', "_")))
        );
    }
}
