//! `POST /api/users/tokens`: creates an API token, and shows it this once.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};

use super::errors::too_many_tokens;
use crate::domain::api_token::{self, MAX_TOKENS};
use crate::domain::{ApiToken, NewToken};
use crate::state::App;
use crate::tokens::{api_token_hash, random_api_token};
use crate::view::ApiTokenView;

const DEFAULT_LIFE_DAYS: i64 = 90;

/// An omitted member counts as an empty one, so that its violation is reported with the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    #[serde(default)]
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    expires_in_days: Option<i64>,
}

impl Input {
    fn parse(self) -> Result<NewToken> {
        let mut rules = Rules::default();
        let name = rules.check("name", api_token::name(&self.name));
        let scopes = rules.check("scopes", api_token::scopes(&self.scopes));
        let days = self.expires_in_days.unwrap_or(DEFAULT_LIFE_DAYS);
        let life = rules.check("expiresInDays", api_token::life(days));
        match (name, scopes, life) {
            (Some(name), Some(scopes), Some(life)) => Ok(NewToken { name, scopes, life }),
            (..) => Err(rules.into_error()),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct CreatedView {
    #[serde(flatten)]
    view: ApiTokenView,
    token: String,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Body(input): Body<Input>,
) -> Result<(StatusCode, Json<CreatedView>)> {
    let new = input.parse()?;
    let now = app.clock.now();
    let user = app.store.user(user.id).await?.ok_or_else(Error::not_signed_in)?;
    if app.store.live_api_tokens(&user, now).await?.len() >= MAX_TOKENS {
        return Err(too_many_tokens());
    }
    let token = random_api_token();
    let stored = ApiToken::create(&user, new, api_token_hash(&token), now);
    app.store.insert_api_token(&stored).await?;
    Ok((StatusCode::CREATED, Json(CreatedView { view: stored.into(), token })))
}
