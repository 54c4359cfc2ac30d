//! Arms, lists and clears faults.

use std::sync::Arc;

use axum::{Json, extract::State as Shared, http::StatusCode};

use crate::{
    faults::{ArmedFault, Fault},
    state::State,
};

pub async fn add(Shared(state): Shared<Arc<State>>, Json(fault): Json<Fault>) -> StatusCode {
    state.faults.add(fault);
    StatusCode::NO_CONTENT
}

pub async fn list(Shared(state): Shared<Arc<State>>) -> Json<Vec<ArmedFault>> {
    Json(state.faults.list())
}

pub async fn clear(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.faults.clear();
    StatusCode::NO_CONTENT
}
