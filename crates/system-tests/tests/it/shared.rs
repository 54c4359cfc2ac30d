//! The marketplaces that the tests of this program share: each test brings its own people and tickets.

use std::ops::Deref;
use std::sync::OnceLock;

use system_tests::Stack;
use tokio::sync::{Mutex, MutexGuard};

static USUAL: OnceLock<Stack> = OnceLock::new();
static HASTY: OnceLock<Stack> = OnceLock::new();
static FRAGILE: (OnceLock<Stack>, Mutex<()>) = (OnceLock::new(), Mutex::const_new(()));
static BRITTLE: (OnceLock<Stack>, Mutex<()>) = (OnceLock::new(), Mutex::const_new(()));
static BREAKABLE: OnceLock<Stack> = OnceLock::new();
static ONE_AFTER_THE_OTHER: Mutex<()> = Mutex::const_new(());
static BATTERED: OnceLock<Stack> = OnceLock::new();

/// As a person starts it, with holds of 15 minutes.
pub async fn usual() -> &'static Stack {
    shared(&USUAL, "usual", &[]).await
}

/// With holds of five seconds.
pub async fn hasty() -> &'static Stack {
    shared(&HASTY, "hasty", &[("RESERVATION_SECONDS", "5")]).await
}

/// One that a test has for itself for a while: it may break it, and leaves it whole.
pub struct Alone {
    stack: &'static Stack,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Alone {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.stack
    }
}

/// To be broken, with holds of 15 minutes.
pub async fn fragile() -> Alone {
    alone(&FRAGILE, "fragile", &[]).await
}

/// To be broken, with holds of ten seconds.
pub async fn brittle() -> Alone {
    alone(&BRITTLE, "brittle", &[("RESERVATION_SECONDS", "10")]).await
}

async fn alone(
    (stack, turn): &'static (OnceLock<Stack>, Mutex<()>),
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
) -> Alone {
    let turn = turn.lock().await;
    let stack = shared(stack, name, settings).await;
    // The test before may have failed half-way.
    stack.stripe_is_well().await;
    for service in SERVICES {
        stack.is_ready(service).await;
    }
    Alone { stack, _turn: turn }
}

pub const SERVICES: [&str; 5] = ["auth", "tickets", "orders", "expiration", "payments"];

/// For tests that break something, one after the other: they have it for themselves. Two pages at once are live.
pub async fn breakable() -> (&'static Stack, MutexGuard<'static, ()>) {
    let turn = ONE_AFTER_THE_OTHER.lock().await;
    (shared(&BREAKABLE, "breakable", &[("LIVE_STREAMS", "2")]).await, turn)
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
