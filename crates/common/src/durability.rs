//! Whether a server is configured to keep what it acknowledges. Everything else relies on that, so each service
//! checks its own servers (`service::durability`).

/// Why a server can't be relied on.
#[derive(Debug, thiserror::Error)]
pub enum DurabilityError {
    /// It would lose acknowledged writes: which setting of which server, what it is and what it must be.
    #[error("{0}")]
    Misconfigured(String),
    /// It doesn't respond. Its settings may be right; the check is retried.
    #[error(transparent)]
    Unreachable(#[from] anyhow::Error),
}
