//! Why a store could not do what was asked of it, and what that means to a client and to a consumer.

use crate::mongo;
use crate::stored_request::REQUESTS;

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
            Error::Database(error) => mongo::duplicate_of(error),
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
            Error::Database(error) if mongo::is_down(&error) => {
                httpkit::Error::Unavailable(error.into())
            }
            // Another document has the key. Whether for the same request, `Documents::run_once` finds out.
            Error::Database(error) if mongo::duplicate_of(&error).as_deref() == Some(REQUESTS) => {
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
            Error::Database(error) if mongo::is_down(&error) => {
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
