//! `POST /api/users/tokens`: creates an API token, and shows it this once.

use axum::Json;
use axum::extract::State;
use common::problem;
use common::scopes::Scope;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::errors::too_many_tokens;
use crate::domain::api_token::{self, MAX_TOKENS};
use crate::domain::{ApiToken, NewToken};
use crate::state::App;
use crate::tokens::{api_token_hash, random_api_token};
use crate::view::ApiTokenView;

const DEFAULT_LIFE_DAYS: i64 = 90;

/// An omitted member counts as an empty one, so that its violation is reported with the others.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewApiToken, description = "An API token to be created.")]
pub struct Input {
    /// One line.
    #[serde(default)]
    #[schema(required = true, min_length = 1, example = "Ledger")]
    name: String,
    #[serde(default)]
    #[schema(required = true, min_items = 1, value_type = Vec<Scope>, example = json!(["orders:read"]))]
    scopes: Vec<String>,
    /// 90 if it is omitted.
    #[schema(minimum = 1, maximum = 365, example = 30)]
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

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedApiToken)]
pub struct CreatedView {
    #[serde(flatten)]
    view: ApiTokenView,
    #[schema(example = "tkt_4rHk…")]
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

pub fn call() -> Call {
    Call::post("createToken", "/api/users/tokens", "Create an API token")
        .signed_in()
        .body::<Input>()
        .max_chars(&[("name", api_token::MAX_NAME_CHARS)])
        .returns::<CreatedView>(StatusCode::CREATED, "The token, which is shown this once.")
        .refused(&[&problem::TOO_MANY_TOKENS])
}
