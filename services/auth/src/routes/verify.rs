//! `POST /api/users/verification/confirm`: the link was opened that confirms an address, or a change of it.

use axum::extract::State;
use common::events::LinkPurpose;
use common::problem;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use store::Change;

use super::errors::{email_in_use, link_invalid};
use super::{LinkCode, opened_by};
use crate::domain::{EmailAddress, User};
use crate::state::App;

const PURPOSES: [LinkPurpose; 2] = [LinkPurpose::Verification, LinkPurpose::EmailChange];

pub async fn handle(State(app): State<App>, Body(input): Body<LinkCode>) -> Result<StatusCode> {
    let code = input.parse()?;
    let now = app.clock.now();
    let user = app.store.user(code.user()).await?.ok_or_else(link_invalid)?;
    if opened_by(&app, &code, &user, &PURPOSES, now)? == LinkPurpose::EmailChange {
        is_free(&app, &user).await?;
    }
    let open = |user: &User| {
        let change = match opened_by(&app, &code, user, &PURPOSES, now)? {
            LinkPurpose::EmailChange => change_email(user)?,
            LinkPurpose::Verification
            | LinkPurpose::Recovery
            | LinkPurpose::Disown
            | LinkPurpose::Unknown => user.verify_email(),
        };
        Ok(change)
    };
    let changed = app.store.change_email(user.id, open).await?;
    changed.ok_or_else(email_in_use)?.ok_or_else(link_invalid)?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::post("verify", "/api/users/verification/confirm", "Confirm an address")
        .body::<LinkCode>()
        .no_content("It is confirmed.")
        .refused(&[&problem::LINK_INVALID, &problem::EMAIL_IN_USE])
}

fn change_email(user: &User) -> Result<Change<User>> {
    Ok(user.change_email(new_email(user)?))
}

/// The address that the link was mailed to.
fn new_email(user: &User) -> Result<EmailAddress> {
    let link = user.links.iter().find(|link| link.purpose == LinkPurpose::EmailChange);
    link.and_then(|link| EmailAddress::parse(&link.email).ok()).ok_or_else(link_invalid)
}

/// Whether no older account has the address in another spelling: the unique index knows only the present one.
async fn is_free(app: &App, user: &User) -> Result<()> {
    let email = new_email(user)?;
    let other = app.store.user_by_email(&email.stored_spellings(email.as_str())).await?;
    if other.is_some_and(|other| other.id != user.id) { Err(email_in_use()) } else { Ok(()) }
}
