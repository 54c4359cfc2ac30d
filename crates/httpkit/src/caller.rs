//! Whether anyone still waits for a response.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Whoever waits for the response to a request. A handler runs to completion without them; what is expensive and changes
/// nothing need not begin when they are gone.
#[derive(Clone, Debug, Default)]
pub struct Caller(CancellationToken);

impl Caller {
    /// Waits until nobody waits for the response: the client has disconnected, or the request has exceeded its time limit.
    pub async fn gone(&self) {
        self.0.cancelled().await;
    }

    pub fn is_gone(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Until the guard is dropped, the caller waits.
    pub fn gone_when_dropped(&self) -> DropGuard {
        self.0.clone().drop_guard()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Outside of the middleware, the caller always waits.
        Ok(parts.extensions.get::<Caller>().cloned().unwrap_or_default())
    }
}
