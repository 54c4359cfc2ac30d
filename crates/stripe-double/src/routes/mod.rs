//! The map: every route on one screen.

pub mod capture;
pub mod challenge;
pub mod charges;
pub mod clock;
pub mod confirm;
pub mod confirmation_tokens;
pub mod dashboard;
pub mod disputes;
pub mod events;
pub mod faults;
pub mod ledger;
pub mod lookup;
pub mod payment_intents;
pub mod payment_methods;
pub mod refunds;
pub mod stripe_js;
pub mod webhook_endpoints;

use std::sync::Arc;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
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
        .route("/v1/confirmation_tokens", post(write::<confirmation_tokens::Create>))
        .route("/v1/confirmation_tokens/{id}", get(read::<confirmation_tokens::Retrieve>))
        .route(
            "/v1/test_helpers/confirmation_tokens",
            post(write::<confirmation_tokens::CreateForTest>),
        )
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
        .route("/v1/disputes", get(read::<disputes::List>))
        .route("/v1/disputes/{id}", post(write::<disputes::Update>).get(read::<disputes::Retrieve>))
        .route("/v1/disputes/{id}/close", post(write::<disputes::Close>))
        .route("/v1/events", get(read::<events::List>))
        .route("/v1/events/{id}", get(read::<events::Retrieve>))
        .route(
            "/v1/webhook_endpoints",
            post(write::<webhook_endpoints::Create>).get(read::<webhook_endpoints::List>),
        )
        .route(
            "/v1/webhook_endpoints/{id}",
            post(write::<webhook_endpoints::Update>)
                .get(read::<webhook_endpoints::Retrieve>)
                .delete(write::<webhook_endpoints::Delete>),
        )
        // What Stripe serves to browsers from js.stripe.com and hooks.stripe.com.
        .route("/v3/", get(stripe_js::script))
        .route("/v3/payment-element.html", get(stripe_js::payment_element))
        .route("/v3/payment-element.js", get(stripe_js::payment_element_script))
        .route("/v3/challenge-done.js", get(stripe_js::challenge_script))
        .route("/v3/pages.css", get(stripe_js::style))
        .route("/3d_secure/{id}", get(challenge::show).post(challenge::answer))
        // Not part of Stripe's API: for tests.
        .route("/_authenticate/{id}", post(write::<challenge::Authenticate>))
        .route("/_clock", get(clock::show).post(clock::advance))
        .route("/_deliveries", get(events::deliveries))
        // What people and banks do at Stripe.
        .route("/_dashboard/payment_intents/{id}/capture", post(write::<capture::CaptureIntent>))
        .route("/_dashboard/payment_intents/{id}/cancel", post(write::<payment_intents::Cancel>))
        .route("/_dashboard/payment_intents/{id}/refund", post(write::<refunds::CreateInDashboard>))
        .route("/_dashboard/payment_intents/{id}/expire", post(write::<dashboard::Expire>))
        .route("/_dashboard/payment_intents/{id}/dispute", post(write::<dashboard::OpenDispute>))
        .route("/_dashboard/disputes/{id}/decide", post(write::<dashboard::DecideDispute>))
        .route("/_dashboard/refunds/{id}/settle", post(write::<dashboard::SettleRefund>))
        .route("/_dashboard/events/{id}/resend", post(events::resend))
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
    let is_api = request.uri().path().starts_with("/v1/");
    let is_preflight = is_api && request.method() == Method::OPTIONS;

    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if is_api {
        allow_any_origin(response.headers_mut());
    }
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

/// Stripe.js runs on pages of other origins. The API has no cookies, so that any origin may call it.
fn allow_any_origin(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, stripe-version",
        ),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "request-id"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

async fn unknown_url(method: Method, uri: Uri) -> Response {
    ApiResponse::error(ApiError::unknown_url(method.as_str(), uri.path())).into_response()
}
