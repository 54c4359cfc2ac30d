//! What is said to whoever runs a command: on standard output, and with the time in a log file.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};

#[derive(Clone)]
pub struct Report {
    log: Arc<File>,
}

impl Report {
    pub fn to(path: &Path) -> Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { log: Arc::new(log) })
    }

    /// Says one line. Nobody may be listening any more (a closed terminal, a full disk): that stops nothing.
    pub fn say(&self, line: &str) {
        _ = writeln!(std::io::stdout(), "{line}");
        _ = writeln!(&*self.log, "{} {line}", now());
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a log line; nothing is decided by it")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default()
}
