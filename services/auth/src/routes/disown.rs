//! `POST /api/users/disown`: the owner of an address says that they haven't signed up. The account is closed, as long as the address
//! isn't confirmed.

use axum::extract::State;
use common::events::LinkPurpose;
use common::problem;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::{Error, Result};

use super::errors::link_invalid;
use super::{LinkCode, opened_by};
use crate::domain::User;
use crate::sessions;
use crate::state::App;

pub async fn handle(State(app): State<App>, Body(input): Body<LinkCode>) -> Result<StatusCode> {
    let code = input.parse()?;
    let now = app.clock.now();
    let disown = |user: &User| {
        opened_by(&app, &code, user, &[LinkPurpose::Disown], now)?;
        Ok::<_, Error>(Some(user.disown(now)))
    };
    let user = app.store.change_user(code.user(), disown).await?.ok_or_else(link_invalid)?;
    sessions::ended_all(&app, &user);
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::post(
        "disown",
        "/api/users/disown",
        "Close an account that somebody else has opened with one's address",
    )
    .body::<LinkCode>()
    .no_content("It is closed.")
    .refused(&[&problem::LINK_INVALID])
}
