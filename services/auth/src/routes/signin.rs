//! POST /api/users/signin: a session for someone who knows their password.

use axum::Json;
use axum::extract::State;
use common::problem;
use httpkit::extract::Body;
use httpkit::{Error, Result};
use serde::Deserialize;
use tower_cookies::Cookies;
use validator::Validate;

use super::UserBody;
use super::signup::is_email;
use crate::domain::EmailAddress;
use crate::state::App;

/// A member that is left out is taken for an empty one, so that its rule is told beside the others.
#[derive(Deserialize, Validate)]
pub struct SignIn {
    #[serde(default)]
    #[validate(custom(function = "is_email", message = "must be an e-mail address"))]
    email: String,
    /// Its length is a rule for new passwords only.
    #[serde(default)]
    #[validate(length(min = 1, message = "must not be empty"))]
    password: String,
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    Body(body): Body<SignIn>,
) -> Result<Json<UserBody>> {
    let found = app.store.user_by_email(&EmailAddress::parse(&body.email)?).await?;
    let hash = found.as_ref().map(|user| user.password_hash.as_str());
    let knows_it = app.passwords.verify(body.password, hash).await?;
    let user = found.filter(|_| knows_it).ok_or_else(invalid_credentials)?;
    app.begin_session(&user, &cookies).await?;
    Ok(Json(user.into()))
}

/// The same for an unknown address and a wrong password: which it was is nobody's business.
fn invalid_credentials() -> Error {
    Error::refused(&problem::INVALID_CREDENTIALS, "Invalid credentials")
}
