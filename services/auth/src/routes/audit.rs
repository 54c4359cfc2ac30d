//! `GET /api/users/audit`: what administrators have done to accounts, the latest act first.

use axum::Json;
use axum::extract::State;
use common::permissions::Action;
use httpkit::{CurrentUser, Result};
use serde::Serialize;

use super::account_of;
use crate::state::App;
use crate::view::AuditView;

/// How many acts are listed. All of an account's are in its own view.
const LIMIT: i64 = 100;

#[derive(Debug, Serialize)]
pub struct AuditLogView {
    entries: Vec<AuditView>,
}

pub async fn handle(State(app): State<App>, admin: CurrentUser) -> Result<Json<AuditLogView>> {
    admin.require(Action::ViewUsers, account_of(admin.id))?;
    let entries = app.store.latest_acts(LIMIT).await?;
    let view = |(user, entry)| AuditView::of(user, entry);
    Ok(Json(AuditLogView { entries: entries.into_iter().map(view).collect() }))
}
