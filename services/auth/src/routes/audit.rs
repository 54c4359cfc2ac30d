//! `GET /api/users/audit`: what administrators have done to accounts, the latest act first.

use axum::Json;
use axum::extract::State;
use common::permissions::Action;
use common::problem;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::account_of;
use crate::state::App;
use crate::view::AuditView;

/// How many acts are listed. All of an account's are in its own view.
const LIMIT: i64 = 100;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub struct AuditLogView {
    entries: Vec<AuditView>,
}

pub async fn handle(State(app): State<App>, admin: CurrentUser) -> Result<Json<AuditLogView>> {
    admin.require(Action::ViewUsers, account_of(admin.id))?;
    let entries = app.store.latest_acts(LIMIT).await?;
    let view = |(user, entry)| AuditView::of(user, entry);
    Ok(Json(AuditLogView { entries: entries.into_iter().map(view).collect() }))
}

pub fn call() -> Call {
    Call::get("audit", "/api/users/audit", "List what administrators have done to accounts")
        .text("For administrators. The latest 100, of all accounts.")
        .signed_in()
        .ok::<AuditLogView>("The acts.")
        .refused(&[&problem::NOT_ALLOWED])
}
