//! From where a request comes, as its session's list shows it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};

use crate::domain::Device;

/// What is stored of a browser's description of itself.
const MAX_USER_AGENT_CHARS: usize = 300;

impl<S: Send + Sync> FromRequestParts<S> for Device {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(of_headers(&parts.headers))
    }
}

/// The middleware has replaced `X-Forwarded-For` by the one trusted address.
fn of_headers(headers: &HeaderMap) -> Device {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim).filter(|it| !it.is_empty());
    Device {
        address: text("x-forwarded-for").map(str::to_owned),
        user_agent: text(header::USER_AGENT.as_str())
            .map(|agent| agent.chars().take(MAX_USER_AGENT_CHARS).collect()),
    }
}
