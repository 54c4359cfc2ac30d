//! Whether spans are exported.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_EXPORTING: AtomicBool = AtomicBool::new(false);

/// Whether spans are sent to a collector. If not, those that only it would see aren't created, and nothing is stored or sent for
/// their sake.
pub fn is_exporting() -> bool {
    IS_EXPORTING.load(Ordering::Relaxed)
}

pub(crate) fn begin() {
    IS_EXPORTING.store(true, Ordering::Relaxed);
}
