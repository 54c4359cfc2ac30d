//! `POST /api/users/signin`: begins a session of a user who knows their password.

use axum::Json;
use axum::extract::State;
use common::problem;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{Caller, ClientIp, Result};
use serde::Deserialize;
use tower_cookies::Cookies;
use utoipa::ToSchema;

use super::errors::{account_banned, invalid_credentials};
use crate::domain::{Device, EmailAddress, User, password};
use crate::limits::{Limit, Use};
use crate::sessions;
use crate::state::App;
use crate::view::UserView;

/// An omitted member counts as an empty one, so that its violation is reported with the others.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    #[serde(default)]
    #[schema(required = true, example = "ada@example.com")]
    email: String,
    #[serde(default)]
    #[schema(required = true, min_length = 1, example = "correct horse battery")]
    password: String,
}

impl SignIn {
    /// The address, the texts under which its account may be stored, and the password as it was typed.
    fn parse(self) -> Result<(EmailAddress, Vec<String>, String)> {
        let mut rules = Rules::default();
        let email = rules.check("email", EmailAddress::parse(&self.email));
        // The minimum length is a rule for new passwords only.
        let password = Some(self.password).filter(|password| !password.is_empty());
        let password = rules.check("password", password.ok_or("must not be empty"));
        let (email, password) = email.zip(password).ok_or_else(|| rules.into_error())?;
        let spellings = email.stored_spellings(&self.email);
        Ok((email, spellings, password))
    }
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    caller: Caller,
    device: Device,
    client: ClientIp,
    Body(body): Body<SignIn>,
) -> Result<Json<UserView>> {
    let outcome = sign_in(&app, &cookies, &caller, device, &client, body).await;
    metrics::counter!("sign_ins_total", "result" => result(&outcome)).increment(1);
    Ok(Json(outcome?.into()))
}

/// As the metric calls it.
fn result(outcome: &Result<User>) -> &'static str {
    match outcome {
        Ok(_) => "signed_in",
        Err(error) => match error.problem().status {
            StatusCode::UNAUTHORIZED => "wrong",
            StatusCode::FORBIDDEN => "banned",
            StatusCode::TOO_MANY_REQUESTS => "limited",
            status if status.is_server_error() => "failed",
            _ => "invalid",
        },
    }
}

async fn sign_in(
    app: &App,
    cookies: &Cookies,
    caller: &Caller,
    device: Device,
    client: &ClientIp,
    body: SignIn,
) -> Result<User> {
    let (email, spellings, typed) = body.parse()?;
    if password::is_too_long(&typed) {
        return Err(invalid_credentials());
    }
    let now = app.clock.now();
    let found = app.store.user_by_email(&spellings).await?;
    let known = found.as_ref().and_then(|user| app.known_devices.recognise(cookies, user.id, now));
    let limits = match known {
        Some(device) => vec![Use::of(Limit::SignInFromKnownDevice, &[&email.as_str(), &device.0])],
        None => vec![
            Use::of(Limit::SignIn, &[&email.as_str(), &client.network()]),
            Use::of(Limit::SignInFromAnywhere, &[&email.as_str()]),
        ],
    };
    let counted = app.limits.allow(&limits).await?;
    let is_correct = is_correct(app, caller, typed, found.as_ref()).await;
    // Only a guess counts: not a sign-in, nor what was refused because too many waited.
    if !matches!(is_correct, Ok(false)) {
        app.limits.give_back(counted).await;
    }
    let is_correct = is_correct?;
    let user = found.filter(|_| is_correct).ok_or_else(invalid_credentials)?;
    if let Some(ban) = &user.ban {
        return Err(account_banned(&ban.reason));
    }
    sessions::begin(app, &user, device, now, cookies).await?;
    Ok(user)
}

pub fn call() -> Call {
    Call::post("signIn", "/api/users/signin", "Sign in")
        .body::<SignIn>()
        .ok::<UserView>("The user, who is signed in.")
        .with_headers(&["Set-Cookie"])
        .refused(&[&problem::INVALID_CREDENTIALS, &problem::ACCOUNT_BANNED])
}

/// Whether the user has this password; false without a user.
async fn is_correct(
    app: &App,
    caller: &Caller,
    typed: String,
    user: Option<&User>,
) -> Result<bool> {
    let hash = user.map(|user| user.password_hash.as_str());
    let normal = password::normalise(&typed);
    let differs = normal != typed;
    // The version before hashed passwords as they were typed.
    Ok(app.passwords.verify(caller, normal, hash).await?
        || differs && app.passwords.verify(caller, typed, hash).await?)
}
