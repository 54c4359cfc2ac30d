//! `POST /api/users/recovery/confirm`: the link to another password was opened. All of the user's sessions end, and one begins: who
//! has opened the link is the owner of the address, and has just chosen the password.

use axum::Json;
use axum::extract::State;
use common::events::LinkPurpose;
use common::problem;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{Caller, Error, Result};
use serde::Deserialize;
use tower_cookies::Cookies;
use utoipa::ToSchema;

use super::errors::{account_banned, link_invalid};
use super::{LinkCode, opened_by};
use crate::domain::{Device, User, password, profile};
use crate::sessions;
use crate::state::App;
use crate::view::UserView;

const PURPOSE: [LinkPurpose; 1] = [LinkPurpose::Recovery];

#[derive(Deserialize, ToSchema)]
#[schema(as = Recovery)]
pub struct Input {
    #[serde(flatten)]
    code: LinkCode,
    #[serde(default)]
    /// 8 to 128 characters.
    #[schema(required = true, min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
}

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    caller: Caller,
    device: Device,
    Body(input): Body<Input>,
) -> Result<Json<UserView>> {
    let mut rules = Rules::default();
    let password = rules.check("password", profile::password(password::normalise(&input.password)));
    let password = password.ok_or_else(|| rules.into_error())?;
    let code = input.code.parse()?;
    let now = app.clock.now();
    let user = app.store.user(code.user()).await?.ok_or_else(link_invalid)?;
    // Nobody has a password hashed without a link.
    opened_by(&app, &code, &user, &PURPOSE, now)?;
    if let Some(ban) = &user.ban {
        return Err(account_banned(&ban.reason));
    }
    let hash = app.passwords.hash(&caller, password).await?;
    let recover = |user: &User| {
        opened_by(&app, &code, user, &PURPOSE, now)?;
        Ok::<_, Error>(Some(user.recover(hash.clone(), now)))
    };
    let user = app.store.change_user(user.id, recover).await?.ok_or_else(link_invalid)?;
    sessions::ended_all(&app, &user);
    sessions::begin(&app, &user, device, now, &cookies).await?;
    Ok(Json(user.into()))
}

pub fn call() -> Call {
    Call::post("recover", "/api/users/recovery/confirm", "Replace a forgotten password")
        .text("All sessions end, the address counts as confirmed, and the user is signed in.")
        .body::<Input>()
        .ok::<UserView>("The user, who is signed in.")
        .with_headers(&["Set-Cookie"])
        .refused(&[&problem::LINK_INVALID, &problem::ACCOUNT_BANNED])
}
