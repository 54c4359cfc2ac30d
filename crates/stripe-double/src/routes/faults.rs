//! Fault injection.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    errors::ApiError,
    faults::{ArmedFault, Fault},
    response::ApiResponse,
};

pub async fn add(
    State(app): State<Arc<App>>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Response {
    match fault {
        Ok(Json(fault)) => {
            tracing::info!(?fault, "fault armed");
            app.faults.add(fault);
            (StatusCode::CREATED, Json(app.faults.list())).into_response()
        }
        Err(rejection) => {
            ApiResponse::error(ApiError::invalid(rejection.body_text())).into_response()
        }
    }
}

pub async fn list(State(app): State<Arc<App>>) -> Json<Vec<ArmedFault>> {
    Json(app.faults.list())
}

pub async fn clear(State(app): State<Arc<App>>) -> Json<Vec<ArmedFault>> {
    app.faults.clear();
    list(State(app)).await
}
