//! The stacks that the tests of this binary share: each test creates its own users and tickets.

use std::ops::Deref;
use std::sync::OnceLock;

use system_tests::{Stack, workspace};
use tokio::sync::{Mutex, MutexGuard};

type Settings = &'static [(&'static str, &'static str)];

static DEFAULT: OnceLock<Stack> = OnceLock::new();
static SHORT_RESERVATIONS: OnceLock<Stack> = OnceLock::new();
static VERIFIED_EMAILS: OnceLock<Stack> = OnceLock::new();
static EXCLUSIVE: Turns = Turns::new();
static EXCLUSIVE_WITH_SHORT_RESERVATIONS: Turns = Turns::new();
static EXCLUSIVE_WITH_TWO_STREAMS: Turns = Turns::new();
static EXCLUSIVE_FOR_DATA_LOSS: Turns = Turns::new();

/// With the default settings: reservations of 15 minutes.
pub async fn default() -> &'static Stack {
    start(&DEFAULT, "default", &[]).await
}

/// With reservations of five seconds.
pub async fn short_reservations() -> &'static Stack {
    start(&SHORT_RESERVATIONS, "short-reservations", &[("RESERVATION_SECONDS", "5")]).await
}

/// Buying and selling takes a confirmed email address.
pub async fn with_verified_emails() -> &'static Stack {
    start(&VERIFIED_EMAILS, "verified-emails", &[("REQUIRE_VERIFIED_EMAIL", "true")]).await
}

/// For one test at a time, which may inject faults and must leave the stack working.
pub async fn exclusive() -> Exclusive {
    EXCLUSIVE.take("exclusive", &[]).await
}

/// The same, with reservations of ten seconds.
pub async fn exclusive_with_short_reservations() -> Exclusive {
    let settings = &[("RESERVATION_SECONDS", "10")];
    EXCLUSIVE_WITH_SHORT_RESERVATIONS.take("exclusive-short-reservations", settings).await
}

/// The same, with at most two concurrent streams of server-sent events.
pub async fn exclusive_with_two_streams() -> Exclusive {
    EXCLUSIVE_WITH_TWO_STREAMS.take("exclusive-two-streams", &[("LIVE_STREAMS", "2")]).await
}

/// The same, for tests that wipe the broker or restore databases.
pub async fn exclusive_for_data_loss() -> Exclusive {
    EXCLUSIVE_FOR_DATA_LOSS.take("exclusive-data-loss", &[]).await
}

/// A stack that one test has for itself until this is dropped.
pub struct Exclusive {
    stack: &'static Stack,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Exclusive {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.stack
    }
}

/// A stack that tests use one after the other.
struct Turns {
    stack: OnceLock<Stack>,
    turn: Mutex<()>,
}

impl Turns {
    const fn new() -> Turns {
        Turns { stack: OnceLock::new(), turn: Mutex::const_new(()) }
    }

    async fn take(&'static self, name: &'static str, settings: Settings) -> Exclusive {
        let turn = self.turn.lock().await;
        let stack = start(&self.stack, name, settings).await;
        // The previous test may have failed before it restored the stack.
        stack.clear_stripe_faults().await;
        for service in workspace::services() {
            stack.is_ready(&service).await;
        }
        Exclusive { stack, _turn: turn }
    }
}

/// The first test that needs a stack starts it; `cargo xtask test` stops it after the tests.
async fn start(
    stack: &'static OnceLock<Stack>,
    name: &'static str,
    settings: Settings,
) -> &'static Stack {
    let start = move || stack.get_or_init(|| Stack::start(name, settings));
    tokio::task::spawn_blocking(start).await.expect("the stack starts")
}
