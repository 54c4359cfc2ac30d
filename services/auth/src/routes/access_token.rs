//! `POST /api/users/tokens/access`: exchanges an API token for an access token, which every service accepts for a quarter of an hour.

use axum::Json;
use axum::extract::State;
use common::Time;
use common::scopes::Scope;
use http::HeaderMap;
use httpkit::auth::bearer;
use httpkit::openapi::Call;
use httpkit::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::errors::invalid_api_token;
use crate::limits::{Limit, Use};
use crate::state::App;
use crate::tokens::api_token_hash;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessToken)]
pub struct AccessView {
    #[schema(example = "eyJhbGciOiJFZERTQSIsImtpZCI6…")]
    access_token: String,
    expires_at: Time,
    #[schema(value_type = Vec<Scope>)]
    scopes: Vec<&'static str>,
}

pub async fn handle(State(app): State<App>, headers: HeaderMap) -> Result<Json<AccessView>> {
    let hash = api_token_hash(bearer(&headers).ok_or_else(invalid_api_token)?);
    // Before the user is read: see `sessions::begin`.
    let now = app.clock.now();
    let token = app.store.api_token_by_hash(&hash).await?.ok_or_else(invalid_api_token)?;
    let _ = app.limits.allow(&[Use::of(Limit::AccessToken, &[&token.id])]).await?;
    let user = app.store.user(token.user_id).await?.ok_or_else(Error::not_signed_in)?;
    if !token.is_live(&user, now) {
        return Err(invalid_api_token());
    }
    if !token.is_use_recorded(now) {
        app.store.record_use(&token, now).await?;
    }
    let (access_token, expires_at) = app.token_issuer.issue_access(&token, &user, now)?;
    let scopes = token.scopes.iter().map(Scope::as_str).collect();
    Ok(Json(AccessView { access_token, expires_at, scopes }))
}

pub fn call() -> Call {
    Call::post("accessToken", "/api/users/tokens/access", "Exchange an API token for an access token")
        .text("For programs: at their start, and every quarter of an hour. Sixty at once, then one in ten seconds.")
        .with("apiToken")
        .ok::<AccessView>("The access token.")
}
