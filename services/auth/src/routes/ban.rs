//! `PUT /api/users/{id}/ban`: bans a user. Every service refuses their tokens as soon as it receives
//! the event; tickets takes their listings off sale, and orders ends their orders.

use axum::Json;
use axum::extract::State;
use common::ids::UserId;
use common::permissions::Action;
use common::problem;
use httpkit::extract::{Body, PathId};
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{account_of, moderate};
use crate::domain::moderation;
use crate::state::App;
use crate::view::AccountView;

/// An omitted reason counts as an empty one, so that its violation is reported.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewBan, description = "Why a user is banned.")]
pub struct Input {
    /// One line.
    #[serde(default)]
    #[schema(required = true, min_length = 1, example = "Sold one ticket twice")]
    reason: String,
    /// Whether paid orders are refunded; otherwise they are kept.
    #[serde(default)]
    refund: bool,
}

pub async fn handle(
    State(app): State<App>,
    admin: CurrentUser,
    PathId(id): PathId<UserId>,
    Body(Input { reason, refund }): Body<Input>,
) -> Result<Json<AccountView>> {
    admin.require(Action::ModerateUser, account_of(id))?;
    let mut rules = Rules::default();
    let reason = rules.check("reason", moderation::reason(&reason));
    let reason = reason.ok_or_else(|| rules.into_error())?;
    let now = app.clock.now();
    moderate(&app, id, |user| user.ban(&reason, refund, admin.id, now)).await
}

pub fn call() -> Call {
    Call::put("ban", "/api/users/{id}/ban", "Ban a user")
        .text("For another administrator. All sessions end, listings go off sale, and unpaid orders end.")
        .signed_in()
        .body::<Input>()
        .max_chars(&[("reason", moderation::MAX_REASON_CHARS)])
        .ok::<AccountView>("The account.")
        .refused(&[&problem::NOT_ALLOWED])
}
