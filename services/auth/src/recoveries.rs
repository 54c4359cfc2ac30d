//! Issues the links to another password. A request is stored and answered before anybody has looked whether its address is known:
//! neither the response nor the time that it takes says so.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::User;
use crate::nonces::nonce;
use crate::state::App;
use crate::store::RecoveryRequest;

/// How often requests are looked for that another process has stored and then died.
const PERIOD: Duration = Duration::from_secs(2);
/// How many are read at once.
const BATCH: i64 = 64;

/// Until it is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match issue(&app).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "could not issue recovery links, will retry"),
        }
        tokio::select! {
            () = app.wake_recoveries.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Issues what is requested, and returns how much of it.
async fn issue(app: &App) -> store::Result<usize> {
    let mut issued = 0;
    for request in app.store.recovery_requests(BATCH).await? {
        match issue_one(app, &request).await {
            Ok(()) => issued += 1,
            // The others don't wait for this one.
            Err(error) => tracing::warn!(%error, "could not issue a recovery link, will retry"),
        }
    }
    Ok(issued)
}

/// The link first, then the request goes: a crash in between issues no second one, for the last is too recent.
async fn issue_one(
    app: &App,
    RecoveryRequest { id, spellings }: &RecoveryRequest,
) -> store::Result<()> {
    if let Some(user) = app.store.user_by_email(spellings).await? {
        let now = app.clock.now();
        let issue = |user: &User| Ok::<_, store::Error>(user.request_recovery(nonce(), now));
        app.store.change_user(user.id, issue).await?;
    }
    app.store.forget_recovery_request(id).await
}
