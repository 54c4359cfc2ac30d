//! Middleware: a signed-in user's writes are limited, whatever they change.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use httpkit::{CurrentUser, Result};

use crate::limits::{Limit, Use};
use crate::state::App;

/// These have limits of their own, or none: leaving must always be possible.
const EXEMPT: [&str; 5] = [
    "/api/users/signin",
    "/api/users/signup",
    "/api/users/signout",
    "/api/users/refresh",
    "/api/users/tokens/access",
];

pub async fn limit_writes(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let is_write = !request.method().is_safe() && !EXEMPT.contains(&request.uri().path());
    if !is_write {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    if let Ok(user) = CurrentUser::from_request_parts(&mut parts, &app).await {
        let _ = app.limits.allow(&[Use::of(Limit::Write, &[&user.id])]).await?;
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}
