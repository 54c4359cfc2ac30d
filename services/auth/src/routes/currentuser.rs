//! `GET /api/users/currentuser`: the signed-in user, or null.

use axum::Json;
use axum::extract::State;
use httpkit::{CurrentUser, Result};
use serde::Serialize;

use crate::domain::User;
use crate::state::App;
use crate::view::UserView;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentUserView {
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
