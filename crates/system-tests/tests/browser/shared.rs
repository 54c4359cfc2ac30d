//! Marketplaces that all tests of this program share: each test brings its own people and tickets.

use system_tests::{Browser, Stack};
use tokio::sync::OnceCell;

static USUAL: OnceCell<Stack> = OnceCell::const_new();
static HASTY: OnceCell<Stack> = OnceCell::const_new();

/// As a person starts it, but with two of each service behind the gateway.
pub async fn usual() -> &'static Stack {
    USUAL.get_or_init(|| start(|| Stack::start_replicas("browser", 2, &[]))).await
}

/// With holds of twelve seconds.
pub async fn hasty() -> &'static Stack {
    let hasty = || Stack::start("browser-hasty", &[("RESERVATION_SECONDS", "12")]);
    HASTY.get_or_init(|| start(hasty)).await
}

/// `cargo xtask test` ends it with the tests.
async fn start(stack: impl FnOnce() -> Stack + Send + 'static) -> Stack {
    tokio::task::spawn_blocking(stack).await.expect("the marketplace starts")
}

/// Whether a browser runs the pages' scripts. Whatever works without them is tested both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

impl Scripts {
    pub async fn browser(self, home: &str) -> Browser {
        match self {
            Scripts::On => Browser::open(home).await,
            Scripts::Off => Browser::open_without_scripts(home).await,
        }
    }
}
