//! One error for everything that can go wrong with a request, and the one place that renders and logs it.
//!
//! A variant says what the *client* did, or that it isn't the client's fault. The response is
//! `application/problem+json` (RFC 9457); `docs/problems.md` lists every `type`.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use common::problem::{self, Problem, Violation};
use common::scopes::Scope;
use common::text::without_addresses;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

/// The member of a problem document with the seconds to wait, which are a header, too.
const RETRY_AFTER: &str = "retryAfter";

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the body or the query breaks these rules.
    #[error("{}", problem::INVALID.title)]
    Invalid(Vec<Violation>),
    /// The request can't be served as it is; the problem says why.
    #[error("{detail}")]
    Refused {
        problem: &'static Problem,
        detail: String,
        /// More members of the problem document (RFC 9457 §3.2), such as `orderId`.
        extensions: Map<String, Value>,
    },
    /// 503: a dependency is down. Nothing is wrong with the request; the client may retry.
    #[error("unavailable: {0:#}")]
    Unavailable(anyhow::Error),
    /// 500: our fault. Logged with its whole chain, never disclosed.
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

    /// The same refusal, with one more member in its problem document.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if let Error::Refused { extensions, .. } = &mut self {
            extensions.insert(member.to_owned(), value.into());
        }
        self
    }

    /// 404: `what` doesn't exist, was removed, or can't be identified by what the client sent.
    pub fn not_found(what: &str) -> Self {
        Error::refused(&problem::NOT_FOUND, format!("This {what} doesn't exist or was removed."))
    }

    /// 401.
    pub fn not_signed_in() -> Self {
        Error::refused(&problem::NOT_SIGNED_IN, "Sign in first.")
    }

    /// 401, to a program.
    pub fn invalid_access_token(is_api_token: bool) -> Self {
        let detail = if is_api_token {
            "This is an API token. Exchange it for an access token first: POST /api/users/tokens/access."
        } else {
            "The access token is invalid, expired or revoked. Exchange the API token for another one."
        };
        Error::refused(&problem::NOT_SIGNED_IN, detail)
    }

    /// 403, to a program; none if no scope allows it.
    pub fn insufficient_scope(needed: Option<Scope>) -> Self {
        match needed {
            Some(scope) => {
                let detail = format!("This takes a token with the scope {scope}.");
                Error::refused(&problem::INSUFFICIENT_SCOPE, detail).with("scope", scope.as_str())
            }
            None => {
                let detail = "No token allows this: sign in, in a browser.";
                Error::refused(&problem::INSUFFICIENT_SCOPE, detail)
            }
        }
    }

    /// 403.
    pub fn not_allowed(detail: impl Into<String>) -> Self {
        Error::refused(&problem::NOT_ALLOWED, detail)
    }

    /// 409: others modified the resource too often in a row; the client may retry.
    pub fn conflict() -> Self {
        Error::refused(&problem::CONFLICT, "The resource was modified concurrently. Try again.")
    }

    /// 429: the client may do it again after that long; `Retry-After` says so too, in whole seconds (RFC 9110 §10.2.3).
    pub fn too_many_requests(detail: impl Into<String>, wait: Duration) -> Self {
        let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
        Error::refused(&problem::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, seconds)
    }

    /// The problem that the client gets.
    pub fn problem(&self) -> &'static Problem {
        match self {
            Error::Invalid(_) => &problem::INVALID,
            Error::Refused { problem, .. } => problem,
            Error::Unavailable(_) => &problem::UNAVAILABLE,
            Error::Internal(_) => &problem::INTERNAL,
        }
    }

    /// Logs the failure, once: ours as an error, the client's at debug level.
    pub(crate) fn log(&self) {
        match self {
            Error::Internal(cause) => {
                let error = format!("{cause:#}");
                tracing::error!(error = &*without_addresses(&error), "request failed");
            }
            Error::Unavailable(cause) => {
                let error = format!("{cause:#}");
                tracing::warn!(error = &*without_addresses(&error), "dependency down");
            }
            Error::Invalid(violations) => tracing::debug!(?violations, "request refused"),
            Error::Refused { problem, detail, .. } => {
                tracing::debug!(problem = problem.slug, detail, "request refused");
            }
        }
    }

    /// The response that the client gets. `request_id` identifies the log lines.
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
                let detail =
                    "A part of the system isn't responding. Try again in a moment.".to_owned();
                (detail.clone(), vec![Violation { message: detail, field: None }], Map::new())
            }
            Error::Internal(_) => {
                let detail = format!(
                    "The error has been logged. Quote request id {request_id} when you contact support."
                );
                (
                    detail.clone(),
                    vec![Violation { message: problem.title.to_owned(), field: None }],
                    Map::new(),
                )
            }
        };
        let wait = extensions.get(RETRY_AFTER).map(ToString::to_string);
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
            || problem == &problem::REQUEST_IN_PROGRESS
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if problem == &problem::NOT_SIGNED_IN {
            // RFC 9110 §11.6.1. Browsers don't ask for such a token.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = wait.and_then(|seconds| HeaderValue::from_str(&seconds).ok()) {
            headers.insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Error::Internal(error)
    }
}

/// The error on its way to the middleware, which logs it and writes the body: the request's id is known only there.
#[derive(Clone)]
pub(crate) struct ErrorExtension(pub(crate) Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.problem().status.into_response();
        response.extensions_mut().insert(ErrorExtension(Arc::new(self)));
        response
    }
}
