//! Every route: the page, the API for tests, and fault injection.

mod api;
mod faults;
mod pages;

use std::sync::Arc;

use axum::{
    Json, Router, extract::State as Shared, http::header, response::IntoResponse, routing::get,
};

use crate::state::State;

pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(pages::list))
        .route("/mails/{id}", get(pages::show))
        .route("/api/mails", get(api::list).delete(api::clear))
        .route("/api/mails/{id}", get(api::show))
        .route("/api/mails/{id}/raw", get(api::raw))
        .route("/api/mails/{id}/html", get(api::html))
        .route("/api/mails/{id}/attachments/{number}", get(api::attachment))
        .route("/certificate.pem", get(certificate))
        .route("/_faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/_stats", get(stats))
        .route("/_health", get(async || "ok"))
        .with_state(state)
}

async fn certificate(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], state.identity.certificate.clone())
}

async fn stats(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    Json(state.stats.totals())
}
