//! `GET /api/users/tokens`: the user's API tokens.

use axum::Json;
use axum::extract::State;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::App;
use crate::view::ApiTokenView;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiTokens)]
pub struct ApiTokensView {
    tokens: Vec<ApiTokenView>,
}

pub async fn handle(State(app): State<App>, user: CurrentUser) -> Result<Json<ApiTokensView>> {
    let user = app.store.user(user.id).await?.ok_or_else(Error::not_signed_in)?;
    let tokens = app.store.live_api_tokens(&user, app.clock.now()).await?;
    Ok(Json(ApiTokensView { tokens: tokens.into_iter().map(ApiTokenView::from).collect() }))
}

pub fn call() -> Call {
    Call::get("tokens", "/api/users/tokens", "List one's API tokens")
        .text("The newest first.")
        .signed_in()
        .ok::<ApiTokensView>("The tokens.")
}
