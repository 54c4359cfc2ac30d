//! Everything breaks, and the promises hold. A program of its own, since cargo runs these one after the
//! other: while this one takes what it needs of the machine, nobody else is hurried by it.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod late;
mod planted;
mod rolling;
mod sixty_kills;

use tokio::sync::{Mutex, MutexGuard};

/// And of these tests one at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
