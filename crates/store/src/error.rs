//! Why a store could not do what was asked of it, and what that means to a client and to a consumer.

use mongodb::error::{ErrorKind, WriteFailure};

/// The unique index on the keys of stored requests: it decides a race of equal requests.
pub const REQUESTS: &str = "requests";

/// What a store returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Other writers changed the document on every attempt (optimistic concurrency).
#[derive(Debug, thiserror::Error)]
#[error("the document was modified concurrently on every attempt")]
pub struct ConflictError;

/// The idempotency key was used for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct KeyReusedError;

/// Why a store could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MongoDB is down, or refused.
    #[error(transparent)]
    Database(#[from] mongodb::error::Error),
    /// Too many writers at once.
    #[error(transparent)]
    Conflict(#[from] ConflictError),
}

impl Error {
    /// The name of the unique index that refused a write, if that is what the error says.
    pub fn duplicate_of(&self) -> Option<String> {
        match self {
            Error::Database(error) => duplicate_of(error),
            Error::Conflict(_) => None,
        }
    }
}

impl From<bson::error::Error> for Error {
    fn from(error: bson::error::Error) -> Self {
        Error::Database(error.into())
    }
}

impl From<Error> for httpkit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) if is_unavailable(&error) => {
                httpkit::Error::Unavailable(error.into())
            }
            // Another document has the key. Whether for the same request, `Documents::run_once` finds out.
            Error::Database(error) if duplicate_of(&error).as_deref() == Some(REQUESTS) => {
                httpkit::idempotency::key_reused()
            }
            Error::Database(error) => httpkit::Error::Internal(error.into()),
            Error::Conflict(_) => httpkit::Error::conflict(),
        }
    }
}

impl From<Error> for bus::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) if is_unavailable(&error) => {
                bus::Failure::DependencyDown(error.into())
            }
            Error::Database(error) => bus::Failure::Transient(error.into()),
            Error::Conflict(error) => bus::Failure::Transient(error.into()),
        }
    }
}

impl From<ConflictError> for httpkit::Error {
    fn from(error: ConflictError) -> Self {
        Error::from(error).into()
    }
}

impl From<ConflictError> for bus::Failure {
    fn from(error: ConflictError) -> Self {
        Error::from(error).into()
    }
}

impl From<KeyReusedError> for httpkit::Error {
    fn from(_: KeyReusedError) -> Self {
        httpkit::idempotency::key_reused()
    }
}

/// Whether the error means that the database is unavailable, not that the operation is wrong.
fn is_unavailable(error: &mongodb::error::Error) -> bool {
    /// Not primary, shutting down, stepping down, unreachable, out of time: the server's own codes that
    /// the driver specification calls retryable, and `MaxTimeMSExpired`.
    const CODES: [i32; 15] =
        [6, 7, 50, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436];
    if error.contains_label("RetryableWriteError") {
        return true;
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. } => true,
        ErrorKind::Command(command) => CODES.contains(&command.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            CODES.contains(&error.code) || error.code == 64
        }
        _ => false,
    }
}

/// The name of the unique index that refused a write (E11000), if that is what the error says.
pub(crate) fn duplicate_of(error: &mongodb::error::Error) -> Option<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
    let message = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == 11000 => &error.message,
        ErrorKind::Command(error) if error.code == 11000 => &error.message,
        _ => return None,
    };
    let (_, index) = message.split_once("index: ")?;
    Some(index.split_whitespace().next()?.to_owned())
}
