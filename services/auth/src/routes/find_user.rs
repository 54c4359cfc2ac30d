//! `GET /api/users?email=…`: the user of an address, as administrators see them.

use axum::Json;
use axum::extract::State;
use common::permissions::Action;
use httpkit::extract::Query;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Result};
use serde::{Deserialize, Serialize};

use super::account_of;
use crate::domain::EmailAddress;
use crate::state::App;
use crate::view::AccountView;

/// An omitted member counts as an empty one, so that its violation is reported.
#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    email: String,
}

#[derive(Debug, Serialize)]
pub struct UsersView {
    users: Vec<AccountView>,
}

pub async fn handle(
    State(app): State<App>,
    admin: CurrentUser,
    Query(input): Query<Input>,
) -> Result<Json<UsersView>> {
    admin.require(Action::ViewUsers, account_of(admin.id))?;
    let mut rules = Rules::default();
    let email = rules.check("email", EmailAddress::parse(&input.email));
    let email = email.ok_or_else(|| rules.into_error())?;
    let found = app.store.user_by_email(&email.stored_spellings(&input.email)).await?;
    Ok(Json(UsersView { users: found.into_iter().map(AccountView::from).collect() }))
}
