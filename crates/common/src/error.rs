//! One error for everything that a request can meet, and the one place that renders and logs it.
//!
//! A variant says what the *client* did, or that it isn't the client's fault. The answer is
//! `application/problem+json` (RFC 9457); `docs/problems.md` lists every `type`.

use std::fmt;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bus::{Contended, REQUESTS};
use crate::idempotency;

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A kind of refusal: a stable reference for programs, a status, a title for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub slug: &'static str,
    pub status: StatusCode,
    pub title: &'static str,
}

macro_rules! problems {
    ($($name:ident = $slug:literal $status:ident $title:literal;)+) => {
        /// Every problem that a service answers with.
        pub mod problems {
            use super::{Problem, StatusCode};
            $(pub const $name: Problem = Problem { slug: $slug, status: StatusCode::$status, title: $title };)+
            /// The whole table, as `docs/problems.md` lists it.
            pub const ALL: &[&Problem] = &[$(&$name),+];
        }
    };
}

problems! {
    MALFORMED = "malformed" BAD_REQUEST "The request is malformed";
    INVALID = "invalid" BAD_REQUEST "The request breaks a rule";
    NOT_SIGNED_IN = "not-signed-in" UNAUTHORIZED "You are not signed in";
    INVALID_CREDENTIALS = "invalid-credentials" UNAUTHORIZED "Invalid credentials";
    CARD_DECLINED = "card-declined" PAYMENT_REQUIRED "The card was declined";
    NOT_ALLOWED = "not-allowed" FORBIDDEN "You are not allowed to do this";
    CROSS_SITE = "cross-site" FORBIDDEN "The request came from another site";
    OWN_TICKET = "own-ticket" FORBIDDEN "You can't buy your own ticket";
    NOT_FOUND = "not-found" NOT_FOUND "There is no such thing";
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED "This can't be done here";
    EMAIL_IN_USE = "email-in-use" CONFLICT "The e-mail address is in use";
    TICKET_RESERVED = "ticket-reserved" CONFLICT "The ticket is reserved";
    TICKET_SOLD = "ticket-sold" CONFLICT "The ticket is sold";
    TICKET_PAST = "ticket-past" CONFLICT "The ticket's date has passed";
    PRICE_CHANGED = "price-changed" CONFLICT "The price has changed";
    ORDER_COMPLETE = "order-complete" CONFLICT "The order is complete";
    ORDER_CANCELLED = "order-cancelled" CONFLICT "The order is cancelled";
    ORDER_EXPIRED = "order-expired" CONFLICT "The order has expired";
    ALREADY_PAID = "already-paid" CONFLICT "The order is already paid";
    PAYMENT_IN_PROGRESS = "payment-in-progress" CONFLICT "A payment is in progress";
    PAYMENT_FAILED = "payment-failed" CONFLICT "The payment has failed for good";
    NOT_REFUNDABLE = "not-refundable" CONFLICT "The payment can't be refunded";
    REQUEST_IN_PROGRESS = "request-in-progress" CONFLICT "The same request is under way";
    CHANGED_MEANWHILE = "changed-meanwhile" CONFLICT "It changed meanwhile";
    PRECONDITION_FAILED = "precondition-failed" PRECONDITION_FAILED "It is not the version that you named";
    TOO_LARGE = "too-large" PAYLOAD_TOO_LARGE "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The body is not JSON";
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused" UNPROCESSABLE_ENTITY "The key was used for another request";
    INTERNAL = "internal" INTERNAL_SERVER_ERROR "Something went wrong on our side";
    UNAVAILABLE = "unavailable" SERVICE_UNAVAILABLE "Not available just now";
}

/// One broken rule: what is wrong, and with which field of the body or the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Violation {
    /// `message` goes on after the field's name: *price* — *must be at least 0.50*.
    pub fn of(field: impl Into<String>, message: impl Into<String>) -> Self {
        Violation { message: message.into(), field: Some(field.into()) }
    }
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the body or the query breaks these rules.
    #[error("{}", problems::INVALID.title)]
    Invalid(Vec<Violation>),
    /// The client asked for what can't be had; which problem it is says the rest.
    #[error("{detail}")]
    Refused {
        problem: &'static Problem,
        detail: String,
        /// More members of the problem document (RFC 9457 §3.2), such as `orderId`.
        extensions: Map<String, Value>,
    },
    /// 503: a dependency is down. Nothing is wrong with the request; it may be sent again.
    #[error("unavailable: {0:#}")]
    Unavailable(anyhow::Error),
    /// 500: our fault. Logged with its whole chain, never shown.
    #[error("internal: {0:#}")]
    Internal(anyhow::Error),
}

impl Error {
    pub fn invalid(violations: impl Into<Vec<Violation>>) -> Self {
        Error::Invalid(violations.into())
    }

    pub fn refused(problem: &'static Problem, detail: impl Into<String>) -> Self {
        Error::Refused { problem, detail: detail.into(), extensions: Map::new() }
    }

    /// A refusal with one more member in its problem document.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if let Error::Refused { extensions, .. } = &mut self {
            extensions.insert(member.to_owned(), value.into());
        }
        self
    }

    pub fn not_found(what: &str) -> Self {
        Error::refused(&problems::NOT_FOUND, format!("There is no such {what}."))
    }

    pub fn not_signed_in() -> Self {
        Error::refused(&problems::NOT_SIGNED_IN, "Sign in first.")
    }

    pub fn not_allowed(detail: impl Into<String>) -> Self {
        Error::refused(&problems::NOT_ALLOWED, detail)
    }

    /// What was decided on has changed under us too often in a row: the client may try again.
    pub fn contended() -> Self {
        Error::refused(&problems::CHANGED_MEANWHILE, "Someone else changed it just now. Try again.")
    }

    /// Which of the problems there are it is.
    pub fn problem(&self) -> &'static Problem {
        match self {
            Error::Invalid(_) => &problems::INVALID,
            Error::Refused { problem, .. } => problem,
            Error::Unavailable(_) => &problems::UNAVAILABLE,
            Error::Internal(_) => &problems::INTERNAL,
        }
    }

    /// Writes the failure to the log, once: ours as an error, the client's for those who look closely.
    pub(crate) fn log(&self) {
        match self {
            Error::Internal(cause) => {
                tracing::error!(error = format!("{cause:#}"), "request failed")
            }
            Error::Unavailable(cause) => {
                tracing::warn!(error = format!("{cause:#}"), "a dependency is down");
            }
            Error::Invalid(violations) => tracing::debug!(?violations, "request refused"),
            Error::Refused { problem, detail, .. } => {
                tracing::debug!(problem = problem.slug, detail, "request refused");
            }
        }
    }

    /// The answer that the client sees. `request_id` lets a person point at our log.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let problem = self.problem();
        let (detail, violations, extensions) = match self {
            Error::Invalid(violations) => {
                let named = violations.iter().map(Violation::to_string).collect::<Vec<_>>();
                (named.join("; "), violations.clone(), Map::new())
            }
            Error::Refused { detail, extensions, .. } => (
                detail.clone(),
                vec![Violation { message: detail.clone(), field: None }],
                extensions.clone(),
            ),
            Error::Unavailable(_) => {
                let detail = "A part of the system doesn't answer just now. Try again in a moment."
                    .to_owned();
                (detail.clone(), vec![Violation { message: detail, field: None }], Map::new())
            }
            Error::Internal(_) => {
                let detail =
                    format!("We have noted it. Name request {request_id} if you ask about it.");
                (
                    detail.clone(),
                    vec![Violation { message: problem.title.to_owned(), field: None }],
                    Map::new(),
                )
            }
        };
        let mut body = extensions;
        body.insert("type".into(), format!("/problems/{}", problem.slug).into());
        body.insert("status".into(), problem.status.as_u16().into());
        body.insert("title".into(), problem.title.into());
        body.insert("detail".into(), detail.into());
        body.insert("errors".into(), serde_json::to_value(violations).unwrap_or_default());

        let mut response = (problem.status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if problem.status == StatusCode::SERVICE_UNAVAILABLE
            || problem == &problems::REQUEST_IN_PROGRESS
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field} {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Self {
        if crate::mongo::is_down(&error) {
            Error::Unavailable(error.into())
        } else if crate::mongo::duplicate_of(&error).as_deref() == Some(REQUESTS) {
            // Another document has the key. Whether for the same request, `Aggregates::once` looks.
            idempotency::reused()
        } else {
            Error::Internal(error.into())
        }
    }
}

impl From<Contended> for Error {
    fn from(Contended: Contended) -> Self {
        Error::contended()
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Error::Internal(error)
    }
}

/// The error on its way to the edge (`server::edge`), which logs it and writes the body: only there is
/// the request's id known.
#[derive(Clone)]
pub(crate) struct Carried(pub(crate) Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.problem().status.into_response();
        response.extensions_mut().insert(Carried(Arc::new(self)));
        response
    }
}
