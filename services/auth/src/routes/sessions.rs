//! `GET /api/users/sessions`: where the user is signed in.

use axum::Json;
use axum::extract::State;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::App;
use crate::view::SessionView;

/// How many are listed, those that were used last.
const LIMIT: i64 = 100;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sessions)]
pub struct SessionsView {
    sessions: Vec<SessionView>,
}

pub async fn handle(State(app): State<App>, signed_in: CurrentUser) -> Result<Json<SessionsView>> {
    let user = app.store.user(signed_in.id).await?.ok_or_else(Error::not_signed_in)?;
    let sessions = app.store.live_sessions(&user, app.clock.now(), LIMIT).await?;
    let view = |session| SessionView::of(session, signed_in.session);
    Ok(Json(SessionsView { sessions: sessions.into_iter().map(view).collect() }))
}

pub fn call() -> Call {
    Call::get("sessions", "/api/users/sessions", "List one's sessions")
        .text("Up to 100; those that were used last first.")
        .signed_in()
        .ok::<SessionsView>("The sessions.")
}
