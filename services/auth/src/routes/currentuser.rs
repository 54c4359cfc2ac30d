//! `GET /api/users/currentuser`: the signed-in user, or null.

use axum::Json;
use axum::extract::State;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::User;
use crate::state::App;
use crate::view::UserView;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SignedIn)]
pub struct CurrentUserView {
    #[schema(required = true)]
    current_user: Option<UserView>,
}

pub async fn handle(
    State(app): State<App>,
    signed_in: Option<CurrentUser>,
) -> Result<Json<CurrentUserView>> {
    let user = match signed_in {
        Some(signed_in) => app.store.user(signed_in.id).await?,
        None => None,
    };
    let now = app.clock.now();
    let view = |user: User| UserView::from(user.without_ended_links(now));
    Ok(Json(CurrentUserView { current_user: user.map(view) }))
}

pub fn call() -> Call {
    Call::get("currentUser", "/api/users/currentuser", "Show who is signed in")
        .for_viewers()
        .ok::<CurrentUserView>("The user, or null.")
}

/// The same, as it is spelled elsewhere.
pub fn alias() -> Call {
    Call::get("currentUserAlias", "/api/users/currentUser", "Show who is signed in")
        .text("An alias of `/api/users/currentuser`.")
        .for_viewers()
        .ok::<CurrentUserView>("The user, or null.")
}
