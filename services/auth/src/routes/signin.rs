//! POST /api/users/signin: a session for someone who knows their password.

use axum::Json;
use axum::extract::State;
use common::problem;
use httpkit::extract::Body;
use httpkit::validation::Rules;
use httpkit::{Error, Result};
use serde::Deserialize;
use tower_cookies::Cookies;

use super::UserBody;
use crate::domain::EmailAddress;
use crate::state::App;

/// A missing member counts as an empty one, so that its rule is reported beside the others.
#[derive(Deserialize)]
pub struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

impl SignIn {
    fn parse(self) -> Result<(EmailAddress, String)> {
        let mut rules = Rules::default();
        let email = rules.check("email", EmailAddress::parse(&self.email));
        // The minimum length is a rule for new passwords only.
        let password = Some(self.password).filter(|password| !password.is_empty());
        let password = rules.check("password", password.ok_or("must not be empty"));
        email.zip(password).ok_or_else(|| rules.into_error())
    }
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    Body(body): Body<SignIn>,
) -> Result<Json<UserBody>> {
    let (email, password) = body.parse()?;
    let found = app.store.user_by_email(&email).await?;
    let hash = found.as_ref().map(|user| user.password_hash.as_str());
    let knows_it = app.passwords.verify(password, hash).await?;
    let user = found.filter(|_| knows_it).ok_or_else(invalid_credentials)?;
    app.begin_session(&user, &cookies).await?;
    Ok(Json(user.into()))
}

/// The same for an unknown address and a wrong password: which it was is nobody's business.
fn invalid_credentials() -> Error {
    Error::refused(&problem::INVALID_CREDENTIALS, "Invalid credentials")
}
