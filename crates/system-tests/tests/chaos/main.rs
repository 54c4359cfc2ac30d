//! Fault injection. A test binary of its own: cargo runs these one after the other, so that no other test competes with it
//! for the machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checker;
mod late_payments;
mod rolling_restart;
mod sixty_kills;

use tokio::sync::{Mutex, MutexGuard};

/// These tests run one at a time.
async fn exclusive() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
