//! What a call can end with instead of an answer.

use std::fmt;

use common::problem::{self, Problem, Violation};
use httpkit::Error;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The service has refused, and says why.
    Refused(Box<Refusal>),
    /// The service can't be reached, or doesn't do what it should. Whether a write has happened isn't
    /// known.
    Down(anyhow::Error),
}

/// A problem document (RFC 9457), as the services answer it.
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

    /// Whether a rule for this field is broken.
    pub fn is_about(&self, field: &str) -> bool {
        self.errors.iter().any(|violation| violation.field.as_deref() == Some(field))
    }

    /// One more member of this problem, such as `orderId`.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    fn slug(&self) -> &str {
        self.kind.strip_prefix("/problems/").unwrap_or(&self.kind)
    }
}

impl Failure {
    /// The refusal, if it is this one.
    pub fn refusal(&self, problem: &Problem) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal) if refusal.is(problem) => Some(refusal),
            Failure::Refused(_) | Failure::Down(_) => None,
        }
    }

    /// Whether the service doesn't know who is asking.
    pub fn is_not_signed_in(&self) -> bool {
        self.refusal(&problem::NOT_SIGNED_IN).is_some()
    }
}

/// A page that can't do without the answer fails as the call has.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Down(cause) => Error::Unavailable(cause),
            Failure::Refused(refusal) => {
                match problem::ALL.iter().find(|problem| refusal.is(problem)) {
                    Some(problem) => Error::refused(problem, refusal.detail.clone()),
                    None => {
                        Error::Internal(anyhow::anyhow!("a refusal that we don't know: {refusal}"))
                    }
                }
            }
        }
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
