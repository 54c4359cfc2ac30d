//! `GET /api/users/.well-known/jwks.json`: the public keys of session tokens, for programs that verify them by themselves (RFC 7517).

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use serde_json::{Value, json};

use crate::state::App;

/// It changes when the keys are rotated: minutes before the new one signs.
const CACHE: &str = "public, max-age=300";

pub async fn handle(State(app): State<App>) -> impl IntoResponse {
    let keys = app.verifier.public_keys().iter().map(|key| {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": key.kid, "x": key.x,
        })
    });
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, CACHE)];
    (headers, Json(json!({ "keys": keys.collect::<Value>() })))
}
