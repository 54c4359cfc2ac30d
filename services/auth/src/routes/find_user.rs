//! `GET /api/users?email=…`: the user of an address, as administrators see them.

use axum::Json;
use axum::extract::State;
use common::permissions::Action;
use common::problem;
use httpkit::extract::Query;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::account_of;
use crate::domain::EmailAddress;
use crate::state::App;
use crate::view::AccountView;

/// An omitted member counts as an empty one, so that its violation is reported.
#[derive(Deserialize, IntoParams)]
pub struct Input {
    #[serde(default)]
    #[param(required = true, example = "ada@example.com")]
    email: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accounts)]
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

pub fn call() -> Call {
    Call::get("find", "/api/users", "Find an account by its address")
        .text("For administrators.")
        .signed_in()
        .query::<Input>()
        .ok::<UsersView>("One or none.")
        .refused(&[&problem::NOT_ALLOWED])
}
