//! Why a store could not do what was asked of it, and what that means to a client and to a consumer.

use mongodb::error::{ErrorKind, WriteFailure};

/// The unique index on the keys of stored requests: it decides a race of equal requests.
pub const REQUESTS: &str = "requests";

/// MongoDB's code of a write that a unique index has refused (E11000).
pub(crate) const DUPLICATE_KEY: i32 = 11000;

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
    /// The document contains a value that this version doesn't know. It is not changed, and nothing is decided on it.
    #[error("the document {0} was written by a later version")]
    LaterVersion(String),
}

impl Error {
    /// Whether waiting helps: MongoDB doesn't respond, or refuses whatever is asked.
    pub(crate) fn is_of_dependency(&self) -> bool {
        match self {
            Error::Database(error) => Fault::of(error) == Fault::Dependency,
            Error::Conflict(_) | Error::LaterVersion(_) => false,
        }
    }

    /// The name of the unique index that refused a write, if that is what the error says.
    pub fn duplicate_of(&self) -> Option<String> {
        match self {
            Error::Database(error) => duplicate_of(error),
            Error::Conflict(_) | Error::LaterVersion(_) => None,
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
            Error::Database(error) => match Fault::of(&error) {
                Fault::Dependency => httpkit::Error::Unavailable(error.into()),
                // Another document has the key. Whether for the same request, `Documents::run_once` finds out.
                Fault::Operation if duplicate_of(&error).as_deref() == Some(REQUESTS) => {
                    httpkit::idempotency::key_reused()
                }
                Fault::Operation | Fault::Unreadable => httpkit::Error::Internal(error.into()),
            },
            Error::Conflict(_) => httpkit::Error::conflict(),
            // Another replica can answer.
            Error::LaterVersion(_) => httpkit::Error::Unavailable(error.into()),
        }
    }
}

impl From<Error> for bus::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => match Fault::of(&error) {
                Fault::Dependency => bus::Failure::DependencyDown(error.into()),
                Fault::Operation => bus::Failure::Transient(error.into()),
                Fault::Unreadable => bus::Failure::Unknown(error.into()),
            },
            Error::Conflict(error) => bus::Failure::Transient(error.into()),
            Error::LaterVersion(_) => bus::Failure::Unknown(error.into()),
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

/// Where the fault of a MongoDB error lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// In MongoDB, on the way there, or in its configuration: the same operation succeeds once that is repaired.
    Dependency,
    /// In what was to be written or asked: MongoDB will refuse it again.
    Operation,
    /// In a document that this version can't read: a later one has written it, or nobody should have.
    Unreadable,
}

impl Fault {
    /// Named are the errors by which MongoDB refuses *this* operation; everything else, now or in a version to come, is a
    /// fault of the dependency: a wrong password, a revoked role, a quota, a lost primary, a full disk.
    fn of(error: &mongodb::error::Error) -> Fault {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
        match error.kind.as_ref() {
            ErrorKind::Bson(_) => Fault::Unreadable,
            ErrorKind::InvalidArgument { .. } => Fault::Operation,
            ErrorKind::Command(command) => Fault::of_code(command.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Fault::of_code(error.code),
            _ => Fault::Dependency,
        }
    }

    /// <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>
    fn of_code(code: i32) -> Fault {
        match code {
            // BadValue, FailedToParse, TypeMismatch, InvalidLength, InvalidBSON
            2 | 9 | 14 | 16 | 22
            // PathNotViable, ConflictingUpdateOperators, DollarPrefixedFieldName, EmptyFieldName, DottedFieldName
            | 28 | 40 | 52 | 56 | 57
            // ImmutableField, DocumentValidationFailure, CannotIndexParallelArrays
            | 66 | 121 | 171
            // BSONObjectTooLarge, DuplicateKey, and a key or a document that is too large
            | 10334 | 11000 | 17280 | 17419 | 17420 => Fault::Operation,
            _ => Fault::Dependency,
        }
    }
}

/// The name of the unique index that refused a write (E11000), if that is what the error says.
pub(crate) fn duplicate_of(error: &mongodb::error::Error) -> Option<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver's enum is open and long")]
    let message = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY => {
            &error.message
        }
        ErrorKind::Command(error) if error.code == DUPLICATE_KEY => &error.message,
        _ => return None,
    };
    let (_, index) = message.split_once("index: ")?;
    Some(index.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use bus::Failure;

    use super::*;

    fn command_error(code: i32) -> Error {
        let response = doc! { "code": code, "codeName": "Name", "errmsg": "refused" };
        let error: mongodb::error::CommandError =
            bson::deserialize_from_document(response).expect("a command error");
        Error::Database(ErrorKind::Command(error).into())
    }

    #[test]
    fn whatever_isnt_the_fault_of_the_operation_is_one_of_the_dependency() {
        // Unauthorized, AuthenticationFailed, too many cursors, NotPrimary, disk full, a quota, one that nobody knows.
        for code in [13, 18, 100, 189, 14031, 8000, 999_999] {
            let failure = Failure::from(command_error(code));
            assert!(matches!(failure, Failure::DependencyDown(_)), "{code}: {failure:?}");
            let error = httpkit::Error::from(command_error(code));
            assert!(matches!(error, httpkit::Error::Unavailable(_)), "{code}: {error:?}");
        }
        for code in [2, 121, 10334, 11000, 17419] {
            let failure = Failure::from(command_error(code));
            assert!(matches!(failure, Failure::Transient(_)), "{code}: {failure:?}");
        }
    }
}
