//! The marketplaces that the tests of this program share: each test brings its own people and tickets.

use std::sync::OnceLock;

use system_tests::Stack;
use tokio::sync::{Mutex, MutexGuard};

static USUAL: OnceLock<Stack> = OnceLock::new();
static HASTY: OnceLock<Stack> = OnceLock::new();
static BREAKABLE: OnceLock<Stack> = OnceLock::new();
static ONE_AFTER_THE_OTHER: Mutex<()> = Mutex::const_new(());

/// As a person starts it, with holds of 15 minutes.
pub async fn usual() -> &'static Stack {
    shared(&USUAL, "usual", &[]).await
}

/// With holds of five seconds.
pub async fn hasty() -> &'static Stack {
    shared(&HASTY, "hasty", &[("RESERVATION_SECONDS", "5")]).await
}

/// For tests that break something, one after the other: they have it for themselves. Two pages at once are live.
pub async fn breakable() -> (&'static Stack, MutexGuard<'static, ()>) {
    let turn = ONE_AFTER_THE_OTHER.lock().await;
    (shared(&BREAKABLE, "breakable", &[("LIVE_STREAMS", "2")]).await, turn)
}

/// Whichever test comes first starts it; `cargo xtask test` ends it with the tests.
async fn shared(
    stack: &'static OnceLock<Stack>,
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
) -> &'static Stack {
    let start = move || stack.get_or_init(|| Stack::start(name, settings));
    tokio::task::spawn_blocking(start).await.expect("the marketplace starts")
}
