//! The storm itself.

use system_tests::Stack;
use system_tests::chaos::{self, Options};

/// Each of the nine processes is killed at least six times. Another seed: `cargo xtask chaos --seed N`.
#[tokio::test]
async fn sixty_kills_break_no_promise() {
    let _alone = crate::alone().await;
    let stack = Stack::start("chaos", &chaos::SETTINGS);
    let options = Options { kills: 60, seed: 20_260, ..Options::default() };
    let report = chaos::run(&stack, &options).await.unwrap();
    println!("{report}");
    if !report.is_good() {
        panic!("{report}\n{}", chaos::leave_for_inspection(&report, stack.root()).unwrap());
    }
    assert!(report.struck.kills.values().all(|kills| *kills >= 5));
}
