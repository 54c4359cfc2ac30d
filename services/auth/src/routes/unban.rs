//! `DELETE /api/users/{id}/ban`: lifts a ban. The listings go back on sale; what has ended stays ended.

use axum::Json;
use axum::extract::State;
use common::ids::UserId;
use common::permissions::Action;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};

use super::{account_of, moderate};
use crate::state::App;
use crate::view::AccountView;

pub async fn handle(
    State(app): State<App>,
    admin: CurrentUser,
    PathId(id): PathId<UserId>,
) -> Result<Json<AccountView>> {
    admin.require(Action::ModerateUser, account_of(id))?;
    let now = app.clock.now();
    moderate(&app, id, |user| user.unban(admin.id, now)).await
}

pub fn call() -> Call {
    Call::delete("unban", "/api/users/{id}/ban", "Lift a ban")
        .text("For another administrator. The listings go back on sale.")
        .signed_in()
        .ok::<AccountView>("The account.")
        .refused(&[&problem::NOT_ALLOWED])
}
