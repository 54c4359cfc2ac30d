//! The map: every route on one screen.

pub mod capture;
pub mod charges;
pub mod clock;
pub mod confirm;
pub mod faults;
pub mod ledger;
pub mod lookup;
pub mod payment_intents;
pub mod payment_methods;
pub mod refunds;

use std::sync::Arc;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    app::{App, read, write},
    errors::ApiError,
    ids,
    request::RequestId,
    response::ApiResponse,
};

pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/payment_methods", post(write::<payment_methods::Create>))
        .route("/v1/payment_methods/{id}", get(read::<payment_methods::Retrieve>))
        .route(
            "/v1/payment_intents",
            post(write::<payment_intents::Create>).get(read::<payment_intents::List>),
        )
        .route("/v1/payment_intents/{id}", get(read::<payment_intents::Retrieve>))
        .route("/v1/payment_intents/{id}/confirm", post(write::<confirm::Confirm>))
        .route("/v1/payment_intents/{id}/capture", post(write::<capture::CaptureIntent>))
        .route("/v1/payment_intents/{id}/cancel", post(write::<payment_intents::Cancel>))
        .route("/v1/charges", get(read::<charges::List>))
        .route("/v1/charges/{id}", get(read::<charges::Retrieve>))
        .route("/v1/refunds", post(write::<refunds::Create>).get(read::<refunds::List>))
        .route("/v1/refunds/{id}", get(read::<refunds::Retrieve>))
        // Not part of Stripe's API: for tests.
        .route("/_authenticate/{id}", post(write::<confirm::Authenticate>))
        .route("/_clock", get(clock::show).post(clock::advance))
        .route("/_faults", post(faults::add).get(faults::list).delete(faults::clear))
        .route("/_ledger", get(ledger::ledger))
        .route("/_requests", get(ledger::requests))
        .route("/_health", get(ledger::health))
        .fallback(unknown_url)
        .method_not_allowed_fallback(unknown_url)
        .layer(middleware::from_fn_with_state(app.clone(), record))
        .with_state(app)
}

/// Adds the request id and the requested API version to every response, and counts it.
async fn record(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = ids::new("req");
    let version = request.headers().get("stripe-version").cloned();
    let route =
        request.extensions().get().map_or("unknown", |matched: &MatchedPath| matched.as_str());
    let endpoint = format!("{} {route}", request.method());
    request.extensions_mut().insert(RequestId(id.clone()));

    let mut response = next.run(request).await;
    let status = response.status();
    tracing::debug!(endpoint, request_id = id, status = status.as_u16(), "request completed");
    app.counters.count(endpoint, status.as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("request-id", id);
    }
    if let Some(version) = version {
        response.headers_mut().insert("stripe-version", version);
    }
    response
}

async fn unknown_url(method: Method, uri: Uri) -> Response {
    ApiResponse::error(ApiError::unknown_url(method.as_str(), uri.path())).into_response()
}
