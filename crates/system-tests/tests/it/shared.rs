//! Marketplaces that all tests of this program share: each test brings its own people and tickets.

use std::sync::OnceLock;

use system_tests::Stack;

static USUAL: OnceLock<Stack> = OnceLock::new();
static HASTY: OnceLock<Stack> = OnceLock::new();
static BATTERED: OnceLock<Stack> = OnceLock::new();

/// As a person starts it, with holds of 15 minutes.
pub async fn usual() -> &'static Stack {
    shared(&USUAL, "usual", &[]).await
}

/// With holds of five seconds.
pub async fn hasty() -> &'static Stack {
    shared(&HASTY, "hasty", &[("RESERVATION_SECONDS", "5")]).await
}

/// For tests that break what others would rely on.
pub async fn battered() -> &'static Stack {
    shared(&BATTERED, "battered", &[]).await
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
