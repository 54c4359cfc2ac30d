//! A rolling restart.

use nix::sys::signal::Signal;
use system_tests::Stack;
use system_tests::chaos::{self, Rolled};

#[tokio::test]
async fn a_rolling_restart_of_every_service_under_load_fails_no_request() {
    let rolled = rolled_by(Signal::SIGTERM).await;
    assert!(rolled.failed.is_empty(), "{:#?}", rolled.failed);
    assert!(rolled.breaches.is_empty(), "{:#?}", rolled.breaches);
}

/// The control: without a service's own way of stopping, the same restart cuts requests off. No promise is broken by
/// that either.
#[tokio::test]
async fn services_that_do_not_stop_by_themselves_fail_requests() {
    let rolled = rolled_by(Signal::SIGKILL).await;
    assert!(!rolled.failed.is_empty(), "nobody noticed");
    assert!(rolled.breaches.is_empty(), "{:#?}", rolled.breaches);
}

async fn rolled_by(signal: Signal) -> Rolled {
    let _alone = crate::alone().await;
    let stack = Stack::start_replicas("rolling", 2, &chaos::SETTINGS);
    let rolled = chaos::roll(&stack, 2, 2026, signal).await.unwrap();
    println!(
        "{signal}: {} requests were answered, {} processes restarted, {} kinds of failures",
        rolled.answered,
        rolled.restarted,
        rolled.failed.len()
    );
    assert_eq!(rolled.restarted, 12);
    rolled
}
