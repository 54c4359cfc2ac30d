//! How a call to a service can fail.

use std::fmt;

use common::problem::{self, Problem, Violation};
use httpkit::Error;
use httpkit::shared_reads::Unread;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a call failed.
#[derive(Debug)]
pub enum Failure {
    /// The service refused the request, and gave a reason.
    Refused(Box<Refusal>),
    /// The service is unreachable or failed. Whether a write took effect isn't known.
    Down(anyhow::Error),
}

/// A problem document (RFC 9457).
#[derive(Debug, Deserialize)]
pub struct Refusal {
    #[serde(rename = "type")]
    kind: String,
    pub status: u16,
    pub detail: String,
    #[serde(default)]
    pub errors: Vec<Violation>,
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl Refusal {
    pub fn is(&self, problem: &Problem) -> bool {
        self.slug() == problem.slug
    }

    /// Whether it reports a violation of this field.
    pub fn is_about(&self, field: &str) -> bool {
        self.errors.iter().any(|violation| violation.field.as_deref() == Some(field))
    }

    /// An extension member of the problem, such as `orderId`.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// An extension member that is a number, such as `available`.
    pub fn number(&self, name: &str) -> Option<u16> {
        self.members.get(name).and_then(Value::as_u64).and_then(|number| number.try_into().ok())
    }

    /// An extension member that is a list of names, such as `fields`.
    pub fn names(&self, name: &str) -> impl Iterator<Item = &str> {
        let list = self.members.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    fn slug(&self) -> &str {
        self.kind.strip_prefix("/problems/").unwrap_or(&self.kind)
    }
}

impl Failure {
    /// The refusal, if it is this problem.
    pub fn refusal(&self, problem: &Problem) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal) if refusal.is(problem) => Some(refusal),
            Failure::Refused(_) | Failure::Down(_) => None,
        }
    }

    /// Whether the service refused this field.
    pub fn is_about(&self, field: &str) -> bool {
        self.refusal(&problem::INVALID).is_some_and(|refusal| refusal.is_about(field))
    }

    /// Whether the service requires a session.
    pub fn is_not_signed_in(&self) -> bool {
        self.refusal(&problem::NOT_SIGNED_IN).is_some()
    }
}

/// A page that needs the response fails like the call.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Down(cause) => Error::Unavailable(cause),
            Failure::Refused(refusal) => {
                match problem::ALL.iter().find(|problem| refusal.is(problem)) {
                    Some(problem) => Error::refused(problem, refusal.detail.clone()),
                    None => Error::Internal(anyhow::anyhow!("unknown problem: {refusal}")),
                }
            }
        }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Failure {
        Failure::Down(unread.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.kind, self.detail)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(Box::new(refusal))
    }
}
