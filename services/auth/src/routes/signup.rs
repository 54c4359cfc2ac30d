//! POST /api/users/signup: a new user, signed in at once.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use httpkit::Result;
use httpkit::extract::Body;
use httpkit::validation::Rules;
use serde::Deserialize;
use tower_cookies::Cookies;

use super::UserBody;
use crate::domain::{EmailAddress, Profile, User};
use crate::state::App;

/// A missing member counts as an empty one, so that its rule is reported beside the others.
#[derive(Deserialize)]
pub struct SignUp {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    name: Option<String>,
    phone: Option<String>,
}

impl SignUp {
    /// The profile and the password, or every broken rule.
    fn parse(self) -> Result<(Profile, String)> {
        let mut rules = Rules::default();
        let email = rules.check("email", EmailAddress::parse(&self.email));
        let password = rules.check("password", password(self.password));
        let name = rules.check("name", name(self.name));
        let phone = rules.check("phone", phone(self.phone));
        match (email, password, name, phone) {
            (Some(email), Some(password), Some(name), Some(phone)) => {
                Ok((Profile { email, name, phone }, password))
            }
            (..) => Err(rules.into_error()),
        }
    }
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    Body(body): Body<SignUp>,
) -> Result<impl IntoResponse> {
    let (profile, password) = body.parse()?;
    let password_hash = app.passwords.hash(password).await?;
    let (user, created) = User::sign_up(profile, password_hash, app.clock.now());
    app.store.insert_user(&user, &created).await?;
    app.begin_session(&user, &cookies).await?;
    let location = [(header::LOCATION, "/api/users/currentuser")];
    Ok((StatusCode::CREATED, location, Json(UserBody::from(user))))
}

fn password(text: String) -> Result<String, &'static str> {
    let fits = (8..=128).contains(&text.chars().count());
    fits.then_some(text).ok_or("must be between 8 and 128 characters")
}

/// A name goes into mails' headers, where a line break would begin another header.
fn name(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(name) = text else { return Ok(None) };
    if name.chars().any(char::is_control) {
        return Err("can't contain line breaks or control characters");
    }
    if name.chars().count() > 100 {
        return Err("must have at most 100 characters");
    }
    Ok(filled_in(&name))
}

/// As people write it: digits with an optional + in front, and what they group them with. A number has at most 15
/// digits (ITU-T E.164).
fn phone(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(number) = text.as_deref().and_then(filled_in) else { return Ok(None) };
    let rest = number.strip_prefix('+').unwrap_or(&number);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let is_known = |char: char| char.is_ascii_digit() || " -./()".contains(char);
    let is_number = (3..=15).contains(&digits) && number.len() <= 32 && rest.chars().all(is_known);
    if is_number {
        Ok(Some(number))
    } else {
        Err("must be a phone number such as +420 777 123 456")
    }
}

/// A form sends an empty text for what wasn't filled in.
fn filled_in(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}
