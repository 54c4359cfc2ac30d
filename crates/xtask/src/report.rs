//! The progress of a command: on standard output, and with timestamps in a log file.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};

#[derive(Clone)]
pub struct Report {
    file: Arc<File>,
}

impl Report {
    pub fn to(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Logs one line. Errors (a closed terminal, a full disk) are ignored: they must not stop the command.
    pub fn log(&self, line: &str) {
        _ = writeln!(std::io::stdout(), "{line}");
        _ = writeln!(&*self.file, "{} {line}", now());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the timestamp of a log line; no decision depends on it"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default()
}
