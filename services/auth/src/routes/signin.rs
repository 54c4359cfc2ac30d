//! `POST /api/users/signin`: begins a session of a user who knows their password.

use axum::Json;
use axum::extract::State;
use httpkit::extract::Body;
use httpkit::validation::Rules;
use httpkit::{Caller, Result};
use serde::Deserialize;
use tower_cookies::Cookies;

use super::errors::{account_banned, invalid_credentials};
use crate::domain::{Device, EmailAddress, password};
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
    /// The texts under which the account may be stored, and the password as it was typed.
    fn parse(self) -> Result<(Vec<String>, String)> {
        let mut rules = Rules::default();
        let email = rules.check("email", EmailAddress::parse(&self.email));
        // The minimum length is a rule for new passwords only.
        let password = Some(self.password).filter(|password| !password.is_empty());
        let password = rules.check("password", password.ok_or("must not be empty"));
        let spellings = email.map(|email| email.stored_spellings(&self.email));
        spellings.zip(password).ok_or_else(|| rules.into_error())
    }
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    caller: Caller,
    device: Device,
    Body(body): Body<SignIn>,
) -> Result<Json<UserView>> {
    let (spellings, typed) = body.parse()?;
    if password::is_too_long(&typed) {
        return Err(invalid_credentials());
    }
    let now = app.clock.now();
    let found = app.store.user_by_email(&spellings).await?;
    let hash = found.as_ref().map(|user| user.password_hash.as_str());
    let normal = password::normalise(&typed);
    let differs = normal != typed;
    let mut is_correct = app.passwords.verify(&caller, normal, hash).await?;
    // The version before hashed passwords as they were typed.
    if !is_correct && differs {
        is_correct = app.passwords.verify(&caller, typed, hash).await?;
    }
    let user = found.filter(|_| is_correct).ok_or_else(invalid_credentials)?;
    if let Some(ban) = &user.ban {
        return Err(account_banned(&ban.reason));
    }
    sessions::begin(&app, &user, device, now, &cookies).await?;
    Ok(Json(user.into()))
}
