//! The double's time.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{app::App, errors::ApiError, response::ApiResponse};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    advance_ms: u64,
}

pub async fn show(State(app): State<Arc<App>>) -> Response {
    Json(json!({ "now_ms": app.time.now_ms() })).into_response()
}

/// Sets the clock ahead. What has become due by then is done before the response.
pub async fn advance(
    State(app): State<Arc<App>>,
    body: Result<Json<Advance>, JsonRejection>,
) -> Response {
    let advanced = match body {
        Ok(Json(Advance { advance_ms })) => app.advance(Duration::from_millis(advance_ms)).await,
        Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
    };
    match advanced {
        Ok(now_ms) => Json(json!({ "now_ms": now_ms })).into_response(),
        Err(error) => ApiResponse::error(error).into_response(),
    }
}
