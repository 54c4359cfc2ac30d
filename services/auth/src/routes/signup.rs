//! POST /api/users/signup: a new user, signed in at once.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use httpkit::Result;
use httpkit::extract::Body;
use serde::Deserialize;
use tower_cookies::Cookies;
use validator::{Validate, ValidationError};

use super::UserBody;
use crate::domain::{EmailAddress, Profile, User};
use crate::state::App;

/// A member that is left out is taken for an empty one, so that its rule is told beside the others.
#[derive(Deserialize, Validate)]
pub struct SignUp {
    #[serde(default)]
    #[validate(custom(function = "is_email", message = "must be an e-mail address"))]
    email: String,
    #[serde(default)]
    #[validate(length(min = 8, max = 128, message = "must have 8 to 128 characters"))]
    password: String,
    #[validate(
        length(max = 100, message = "must have at most 100 characters"),
        custom(function = "is_one_line", message = "must be one line of text")
    )]
    name: Option<String>,
    #[validate(custom(function = "is_phone", message = "must be a telephone number"))]
    phone: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    Body(body): Body<SignUp>,
) -> Result<impl IntoResponse> {
    let profile = Profile {
        email: EmailAddress::parse(&body.email)?,
        name: body.name.as_deref().and_then(filled_in),
        phone: body.phone.as_deref().and_then(filled_in),
    };
    let password_hash = app.passwords.hash(body.password).await?;
    let (user, created) = User::sign_up(profile, password_hash, app.clock.now());
    app.store.insert_user(&user, &created).await?;
    app.begin_session(&user, &cookies).await?;
    let location = [(header::LOCATION, "/api/users/currentuser")];
    Ok((StatusCode::CREATED, location, Json(UserBody::from(user))))
}

/// A form sends an empty text for what wasn't filled in.
fn filled_in(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub fn is_email(text: &str) -> Result<(), ValidationError> {
    EmailAddress::parse(text).map(|_| ()).map_err(|_| ValidationError::new("email"))
}

/// A name stands in mails' headers, where a line break would begin another header.
fn is_one_line(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(char::is_control) { Err(ValidationError::new("one line")) } else { Ok(()) }
}

/// As people write it: digits with an optional + in front, and what they group them with. The most
/// digits that a number has are 15 (ITU-T E.164).
fn is_phone(text: &str) -> Result<(), ValidationError> {
    let number = text.trim();
    let rest = number.strip_prefix('+').unwrap_or(number);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let is_known = |char: char| char.is_ascii_digit() || " -./()".contains(char);
    let is_number = (3..=15).contains(&digits) && number.len() <= 32 && rest.chars().all(is_known);
    if number.is_empty() || is_number { Ok(()) } else { Err(ValidationError::new("phone")) }
}
