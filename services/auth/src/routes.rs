//! One endpoint per file; `app::routes` maps the paths to them.

use account_links::Code;
use axum::Json;
use common::Time;
use common::events::LinkPurpose;
use common::ids::{Id as _, UserId};
use common::permissions::{Action, Owners};
use httpkit::auth::ADMIN;
use httpkit::extract::parse_id;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use store::Change;
use utoipa::ToSchema;

use crate::domain::User;
use crate::state::App;
use crate::view::AccountView;

pub mod access_token;
pub mod add_to_group;
pub mod audit;
pub mod ban;
pub mod change;
pub mod create_token;
pub mod currentuser;
pub mod disown;
pub mod end_all_sessions;
pub mod end_session;
mod errors;
pub mod find_user;
pub mod jwks;
pub mod recover;
pub mod refresh;
pub mod remove_from_group;
pub mod request_recovery;
pub mod request_verification;
pub mod revoke_token;
pub mod sessions;
pub mod show_user;
pub mod signin;
pub mod signout;
pub mod signup;
pub mod tokens;
pub mod unban;
pub mod verify;

/// An account belongs to its user.
fn account_of(id: UserId) -> Owners {
    Owners { seller: id, buyer: None }
}

/// Changes an account, if there is something to change. Sessions that this ends are refused here at once.
async fn moderate(
    app: &App,
    id: UserId,
    mut decide: impl FnMut(&User) -> Option<Change<User>>,
) -> Result<Json<AccountView>> {
    let changed = app.store.change_user(id, |user| Ok::<_, Error>(decide(user))).await?;
    let user = changed.ok_or_else(|| Error::not_found(UserId::NAMES))?;
    crate::sessions::ended_all(app, &user);
    Ok(Json(user.into()))
}

/// The code of a link, as a page sends it; one that can't be a code opens nothing, too.
#[derive(Deserialize, ToSchema)]
#[schema(description = "What the address of a mailed link has.")]
pub struct LinkCode {
    #[serde(default)]
    #[schema(required = true, example = "01968d38…")]
    code: String,
}

impl LinkCode {
    fn parse(&self) -> Result<Code> {
        self.code.trim().parse().map_err(|_| errors::link_invalid())
    }
}

/// The purpose, among these, of the user's outstanding link that the code opens.
fn opened_by(
    app: &App,
    code: &Code,
    user: &User,
    purposes: &[LinkPurpose],
    now: Time,
) -> Result<LinkPurpose> {
    let opens = |purpose: &LinkPurpose| {
        let link = user.link(*purpose, now);
        link.is_some_and(|link| app.link_keys.verify(code, *purpose, &link.nonce))
    };
    purposes.iter().copied().find(opens).ok_or_else(errors::link_invalid)
}

/// The groups that mean something.
const GROUPS: [&str; 1] = [ADMIN];

/// The user and the group that a path names, if the administrator may change that.
fn membership(admin: &CurrentUser, id: &str, group: &str) -> Result<(UserId, &'static str)> {
    let id: UserId = parse_id(id)?;
    admin.require(Action::ModerateUser, account_of(id))?;
    let known = GROUPS.into_iter().find(|known| *known == group);
    Ok((id, known.ok_or_else(|| Error::not_found("group"))?))
}
