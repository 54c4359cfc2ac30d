//! Random faults under load.

use system_tests::Stack;
use system_tests::chaos::{self, Options};

/// The kills are distributed evenly over all processes. Another seed: `cargo xtask chaos --seed N`.
#[tokio::test]
async fn sixty_kills_violate_no_invariant() {
    let _turn = crate::exclusive().await;
    let stack = Stack::start("chaos", &chaos::SETTINGS);
    let options = Options { kills: 60, seed: 20_260, ..Options::default() };
    let report = chaos::run(&stack, &options).await.unwrap();
    println!("{report}");
    if !report.passed() {
        panic!("{report}\n{}", chaos::save_for_inspection(&report, stack.root()).unwrap());
    }
    let kills = &report.injected.kills;
    let targets = chaos::targets();
    assert_eq!(kills.len(), targets.len());
    assert!(kills.values().all(|count| *count >= options.kills / targets.len()), "{kills:?}");
}
