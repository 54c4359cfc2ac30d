//! Two marketplaces that all tests of this program share: each test brings its own people and tickets.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use system_tests::Stack;

static USUAL: Shared = Shared::new("usual", &[]);
static HASTY: Shared = Shared::new("hasty", &[("RESERVATION_SECONDS", "5")]);

/// As a person starts it, with holds of 15 minutes.
pub async fn usual() -> Arc<Stack> {
    USUAL.get().await
}

/// With holds of five seconds.
pub async fn hasty() -> Arc<Stack> {
    HASTY.get().await
}

struct Shared {
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// Stopped with the last test that uses it.
    running: Mutex<Weak<Stack>>,
}

impl Shared {
    const fn new(name: &'static str, settings: &'static [(&'static str, &'static str)]) -> Self {
        Shared { name, settings, running: Mutex::new(Weak::new()) }
    }

    async fn get(&'static self) -> Arc<Stack> {
        let start = || {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.upgrade().unwrap_or_else(|| {
                let stack = Arc::new(Stack::start(self.name, self.settings));
                *running = Arc::downgrade(&stack);
                stack
            })
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }
}
