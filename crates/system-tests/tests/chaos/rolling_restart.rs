//! A rolling restart.

use nix::sys::signal::Signal;
use system_tests::chaos::{self, RollingRestart};
use system_tests::{Stack, workspace};

const REPLICAS: u16 = 2;

#[tokio::test]
async fn a_rolling_restart_of_every_service_under_load_fails_no_request() {
    let outcome = restart_with(Signal::SIGTERM).await;
    assert!(outcome.failed.is_empty(), "{:#?}", outcome.failed);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

/// The control: without a graceful shutdown, the same restart fails requests. No invariant is violated by that either.
#[tokio::test]
async fn a_rolling_restart_without_graceful_shutdown_fails_requests() {
    let outcome = restart_with(Signal::SIGKILL).await;
    assert!(!outcome.failed.is_empty(), "no request failed");
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

async fn restart_with(signal: Signal) -> RollingRestart {
    let _turn = crate::exclusive().await;
    let stack = Stack::start_replicas("rolling", REPLICAS, &chaos::SETTINGS);
    let outcome = chaos::rolling_restart(&stack, REPLICAS, 2026, signal).await.unwrap();
    println!(
        "{signal}: {} requests completed, {} processes restarted, {} kinds of failures",
        outcome.completed,
        outcome.restarted,
        outcome.failed.len()
    );
    let processes = workspace::services().len() * usize::from(REPLICAS);
    assert_eq!(outcome.restarted, processes);
    outcome
}
