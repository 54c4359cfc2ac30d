//! `POST /api/users/signup`: creates a user and signs them in.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::problem;
use http::{StatusCode, header};
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{Caller, ClientIp, Result};
use serde::Deserialize;
use tower_cookies::Cookies;
use utoipa::ToSchema;

use super::errors::email_in_use;
use crate::domain::password;
use crate::domain::profile::{self, Profile};
use crate::domain::{Device, EmailAddress, User};
use crate::limits::{Limit, Use};
use crate::nonces::nonces;
use crate::sessions;
use crate::state::App;
use crate::store::InsertOutcome;
use crate::view::UserView;

/// An omitted member counts as an empty one, so that its violation is reported with the others.
#[derive(Deserialize, ToSchema)]
#[schema(description = "A new account.")]
pub struct SignUp {
    #[serde(default)]
    #[schema(required = true, example = "ada@example.com")]
    email: String,
    #[serde(default)]
    /// 8 to 128 characters.
    #[schema(required = true, min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
    /// One line.
    #[schema(example = "Ada")]
    name: Option<String>,
    /// 3 to 15 digits, as people write them.
    phone: Option<String>,
}

impl SignUp {
    /// The profile and the password, or every violation.
    /// Also the texts under which an older account of the address may be stored.
    fn parse(self) -> Result<(Profile, String, Vec<String>)> {
        let mut rules = Rules::default();
        let email = rules.check("email", EmailAddress::parse(&self.email));
        let password =
            rules.check("password", profile::password(password::normalise(&self.password)));
        let name = self.name.unwrap_or_default();
        let length = rules.check("name", profile::name_length(&name));
        let name = rules.check("name", profile::name(&name));
        let phone = rules.check("phone", profile::phone(self.phone));
        match (email, password, length, name, phone) {
            (Some(email), Some(password), Some(()), Some(name), Some(phone)) => {
                let spellings = email.stored_spellings(&self.email);
                Ok((Profile { email, name, phone }, password, spellings))
            }
            (..) => Err(rules.into_error()),
        }
    }
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    caller: Caller,
    device: Device,
    client: ClientIp,
    Body(body): Body<SignUp>,
) -> Result<impl IntoResponse> {
    let (profile, password, spellings) = body.parse()?;
    // Also if the address has an account: who asks for many learns which ones do.
    let _ = app.limits.allow(&[Use::of(Limit::SignUp, &[&client.network()])]).await?;
    // The unique index knows only the present spelling.
    if app.store.user_by_email(&spellings).await?.is_some() {
        return Err(email_in_use());
    }
    let password_hash = app.passwords.hash(&caller, password).await?;
    let now = app.clock.now();
    let created = User::sign_up(profile, password_hash, nonces(), now);
    match app.store.insert_user(&created).await? {
        InsertOutcome::Inserted => {}
        InsertOutcome::EmailInUse => return Err(email_in_use()),
    }
    let user = created.thing;
    sessions::begin(&app, &user, device, now, &cookies).await?;
    let location = [(header::LOCATION, "/api/users/currentuser")];
    Ok((StatusCode::CREATED, location, Json(UserView::from(user))))
}

pub fn call() -> Call {
    Call::post("signUp", "/api/users/signup", "Create an account")
        .text("Signing up signs in. `SIGN_UPS_PER_HOUR` limits the accounts from one IP address.")
        .body::<SignUp>()
        .max_chars(&[("name", profile::MAX_NAME_CHARS), ("phone", profile::MAX_PHONE_CHARS)])
        .returns::<UserView>(StatusCode::CREATED, "The user, who is signed in.")
        .with_headers(&["Location", "Set-Cookie"])
        .refused(&[&problem::EMAIL_IN_USE])
}
