//! Whether the servers are set to keep what they acknowledge. A server that is down is waited for; one
//! that is set wrongly stops the service, because it would lose what all else relies on.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Why a server can't be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is set wrongly: which setting of which server, what it is and what it must be.
    #[error("{0}")]
    Wrong(String),
    /// It doesn't answer. It may yet turn out to be right.
    #[error(transparent)]
    Silent(#[from] anyhow::Error),
}

/// Asks until there is an answer, or until it is told to stop. An error is a wrong setting.
pub(crate) async fn ask_until_answered<F>(
    server: &'static str,
    check: impl Fn() -> F,
    stop: CancellationToken,
) -> Result<(), String>
where
    F: Future<Output = Result<(), Unfit>>,
{
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);
    let checked = metrics::gauge!("settings_checked", "server" => server);
    checked.set(0.0);
    let mut pause = Duration::from_millis(500);
    loop {
        match check().await {
            Ok(()) => {
                checked.set(1.0);
                return Ok(());
            }
            Err(Unfit::Wrong(wrong)) => return Err(wrong),
            Err(Unfit::Silent(error)) => {
                tracing::debug!(server, error = format!("{error:#}"), "not checked yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return Ok(()),
        }
    }
}
