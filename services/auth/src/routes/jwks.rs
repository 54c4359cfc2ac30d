//! `GET /api/users/.well-known/jwks.json`: the public keys of session tokens, for programs that verify them by themselves (RFC 7517).

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use httpkit::openapi::Call;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::state::App;

/// It changes when the keys are rotated: minutes before the new one signs.
const CACHE: &str = "public, max-age=300";

/// What the document says of the body (RFC 7517, RFC 8037).
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is written below")]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A public key.
#[derive(ToSchema)]
#[schema(as = PublicKey)]
#[expect(dead_code, reason = "the schema of what is written below")]
struct Key {
    #[schema(example = "OKP")]
    kty: String,
    #[schema(example = "Ed25519")]
    crv: String,
    #[schema(example = "EdDSA")]
    alg: String,
    #[schema(example = "sig")]
    r#use: String,
    kid: String,
    x: String,
}

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

pub fn call() -> Call {
    Call::get(
        "jwks",
        "/api/users/.well-known/jwks.json",
        "List the public keys of session and access tokens",
    )
    .text("RFC 7517. They change minutes before another one signs.")
    .ok::<KeySet>("The keys.")
    .of_type("application/jwk-set+json")
}
