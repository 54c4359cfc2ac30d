//! `PATCH /api/users/me`: users change their own account (RFC 7396: what is absent stays, null takes away what is optional).
//! Another password ends all other sessions; another address takes effect once the link is opened that is mailed there.

use axum::Json;
use axum::extract::State;
use common::problem::Violation;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{Caller, ClientIp, CurrentUser, Error, Result};
use serde::{Deserialize, Deserializer};
use tower_cookies::Cookies;
use utoipa::ToSchema;

use crate::domain::{Device, EmailAddress, ProfileChange, User, password, profile};
use crate::limits::{Limit, Use};
use crate::nonces::nonce;
use crate::sessions;
use crate::state::App;
use crate::view::UserView;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserChange)]
pub struct Input {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "Ada")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 8, max_length = 128)]
    password: Option<Option<String>>,
    /// Asked for with another password or address.
    #[serde(default)]
    current_password: Option<String>,
}

/// What is there, though it be null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What the body asks for.
struct Wanted {
    change: ProfileChange,
    password: Option<String>,
    /// As it was typed, if it is needed.
    current_password: Option<String>,
}

impl Input {
    fn parse(self) -> Result<Wanted> {
        let mut rules = Rules::default();
        let name = self.name.map(|name| {
            let name = name.unwrap_or_default();
            let length = rules.check("name", profile::name_length(&name));
            rules.check("name", profile::name(&name)).filter(|_| length.is_some())
        });
        let phone = self.phone.map(|phone| rules.check("phone", profile::phone(phone)));
        let email = self
            .email
            .map(|email| rules.check("email", EmailAddress::parse(&email.unwrap_or_default())));
        let password = self.password.map(|typed| {
            let password = profile::password(password::normalise(&typed.unwrap_or_default()));
            rules.check("password", password)
        });
        let needs_password = email.is_some() || password.is_some();
        let current = self.current_password.filter(|password| !password.is_empty());
        let current = if needs_password {
            rules.check("currentPassword", current.ok_or("must not be empty")).map(Some)
        } else {
            Some(None)
        };
        // Absent, or satisfying its rule.
        let (name, phone) = (all(name), all(phone));
        match (name, phone, all(email), all(password), current) {
            (Some(name), Some(phone), Some(email), Some(password), Some(current_password)) => {
                let change = ProfileChange { name, phone, email, password_hash: None };
                Ok(Wanted { change, password, current_password })
            }
            (..) => Err(rules.into_error()),
        }
    }
}

/// None if it is there and breaks its rule.
fn all<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    checked.map_or(Some(None), |checked| checked.map(Some))
}

pub async fn handle(
    State(app): State<App>,
    signed_in: CurrentUser,
    caller: Caller,
    client: ClientIp,
    cookies: Cookies,
    device: Device,
    Body(input): Body<Input>,
) -> Result<Json<UserView>> {
    let Wanted { mut change, password, current_password } = input.parse()?;
    // Before the user is read: see `sessions::begin`.
    let now = app.clock.now();
    let before = app.store.user(signed_in.id).await?.ok_or_else(Error::not_signed_in)?;
    if let Some(typed) = current_password {
        // Whoever has the session may not guess the password.
        let limit = Use::of(Limit::SignIn, &[&before.id]);
        let counted = app.limits.allow(&[limit]).await?;
        check(&app, &caller, typed, &before).await?;
        app.limits.give_back(counted).await;
    }
    if let Some(email) = &change.email {
        let limits = [
            Use::of(Limit::Mail, &[&client.network()]),
            Use::of(Limit::MailTo, &[&email.as_str()]),
        ];
        let _ = app.limits.allow(&limits).await?;
    }
    if let Some(password) = password {
        change.password_hash = Some(app.passwords.hash(&caller, password).await?);
    }
    let is_checked = change.password_hash.is_some() || change.email.is_some();
    let decide = |user: &User| {
        // The password that was checked isn't theirs any more.
        if is_checked && user.password_hash != before.password_hash {
            return Err(Error::conflict());
        }
        Ok(user.change(change.clone(), nonce(), now)?)
    };
    let user = app.store.change_user(signed_in.id, decide).await?;
    let user = user.ok_or_else(Error::not_signed_in)?;
    if change.password_hash.is_some() {
        sessions::ended_all(&app, &user);
        sessions::begin(&app, &user, device, now, &cookies).await?;
    }
    Ok(Json(user.into()))
}

pub fn call() -> Call {
    Call::patch("change", "/api/users/me", "Change one's own account")
        .text(
            "What is absent stays; null takes away the name or the phone number. Another password or address takes `currentPassword`; \
             another password ends all other sessions, another address takes effect once it is confirmed.",
        )
        .signed_in()
        .body::<Input>()
        .max_chars(&[("name", profile::MAX_NAME_CHARS), ("phone", profile::MAX_PHONE_CHARS)])
        .ok::<UserView>("The user.")
        .with_headers(&["Set-Cookie"])
}

async fn check(app: &App, caller: &Caller, typed: String, user: &User) -> Result<()> {
    const WRONG: &str = "is not your password";
    let hash = Some(user.password_hash.as_str());
    let normal = password::normalise(&typed);
    let differs = normal != typed;
    let is_correct = !password::is_too_long(&typed)
        && (app.passwords.verify(caller, normal, hash).await?
            // The version before hashed passwords as they were typed.
            || (differs && app.passwords.verify(caller, typed, hash).await?));
    is_correct
        .then_some(())
        .ok_or_else(|| Error::invalid([Violation::of("currentPassword", WRONG)]))
}
