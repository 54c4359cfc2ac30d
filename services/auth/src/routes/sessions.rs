//! `GET /api/users/sessions`: where the user is signed in.

use axum::Json;
use axum::extract::State;
use httpkit::{CurrentUser, Error, Result};
use serde::Serialize;

use crate::state::App;
use crate::view::SessionView;

/// How many are listed, those that were used last.
const LIMIT: i64 = 100;

#[derive(Debug, Serialize)]
pub struct SessionsView {
    sessions: Vec<SessionView>,
}

pub async fn handle(State(app): State<App>, signed_in: CurrentUser) -> Result<Json<SessionsView>> {
    let user = app.store.user(signed_in.id).await?.ok_or_else(Error::not_signed_in)?;
    let sessions = app.store.live_sessions(&user, app.clock.now(), LIMIT).await?;
    let view = |session| SessionView::of(session, signed_in.session);
    Ok(Json(SessionsView { sessions: sessions.into_iter().map(view).collect() }))
}
