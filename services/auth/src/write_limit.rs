//! Middleware: a signed-in user's writes are limited, whatever they change.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use httpkit::{CurrentUser, Result};

use crate::limits::{Limit, Use};
use crate::state::App;

/// These have limits of their own, or none: leaving must always be possible.
const EXEMPT: [&str; 4] =
    ["/api/users/signin", "/api/users/signup", "/api/users/signout", "/api/users/refresh"];

pub async fn limit_writes(
    State(app): State<App>,
    user: Option<CurrentUser>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let is_write = !request.method().is_safe() && !EXEMPT.contains(&request.uri().path());
    if let (true, Some(user)) = (is_write, user) {
        let _ = app.limits.allow(&[Use::of(Limit::Write, &[&user.id])]).await?;
    }
    Ok(next.run(request).await)
}
