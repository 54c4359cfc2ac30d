//! `POST /api/users/signin`: begins a session of a user who knows their password.

use axum::Json;
use axum::extract::State;
use httpkit::Result;
use httpkit::extract::Body;
use httpkit::validation::Rules;
use serde::Deserialize;
use tower_cookies::Cookies;

use super::errors::invalid_credentials;
use crate::domain::EmailAddress;
use crate::sessions;
use crate::state::App;
use crate::view::UserView;

/// An omitted member counts as an empty one, so that its violation is reported with the others.
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
) -> Result<Json<UserView>> {
    let (email, password) = body.parse()?;
    let found = app.store.user_by_email(&email).await?;
    let hash = found.as_ref().map(|user| user.password_hash.as_str());
    let is_correct = app.passwords.verify(password, hash).await?;
    let user = found.filter(|_| is_correct).ok_or_else(invalid_credentials)?;
    sessions::begin(&app, &user, &cookies).await?;
    Ok(Json(user.into()))
}
