//! A rolling restart.

use system_tests::Stack;
use system_tests::chaos;

#[tokio::test]
async fn a_rolling_restart_of_every_service_under_load_fails_no_request() {
    let _alone = crate::alone().await;
    let stack = Stack::start_replicas("rolling", 2, &chaos::SETTINGS);
    let rolled = chaos::roll(&stack, 2, 2026).await.unwrap();
    println!(
        "{} requests were answered, {} processes restarted",
        rolled.answered, rolled.restarted
    );
    assert_eq!(rolled.restarted, 12);
    assert!(rolled.answered > 1000, "{rolled:?}");
    assert!(rolled.failed.is_empty(), "{:#?}", rolled.failed);
    assert!(rolled.breaches.is_empty(), "{:#?}", rolled.breaches);
}
