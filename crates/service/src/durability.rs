//! The durability checks: whether each server is configured to keep what it acknowledges. A server that is down is waited
//! for; one that is misconfigured stops the service, because it would lose what everything else relies on.

use std::future::Future;
use std::time::Duration;

use common::back_off::back_off;
use common::durability::DurabilityError;
use tokio_util::sync::CancellationToken;

/// Checks until the server responds, or until `stop` is cancelled. An error is a misconfiguration.
pub(crate) async fn check_until_reachable<F>(
    server: &'static str,
    check: impl Fn() -> F,
    stop: CancellationToken,
) -> Result<(), String>
where
    F: Future<Output = Result<(), DurabilityError>>,
{
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);
    let checked = metrics::gauge!("settings_checked", "server" => server);
    checked.set(0.0);
    let mut failures = 0;
    loop {
        match check().await {
            Ok(()) => {
                checked.set(1.0);
                return Ok(());
            }
            Err(DurabilityError::Misconfigured(wrong)) => return Err(wrong),
            Err(DurabilityError::Unreachable(error)) => {
                failures += 1;
                tracing::debug!(server, error = format!("{error:#}"), "durability not checked yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(back_off(failures, FIRST_PAUSE, LONGEST_PAUSE)) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
