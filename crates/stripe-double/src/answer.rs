//! What goes back: a body, or nothing at all.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{errors::ApiError, idempotency::Saved, wire::Scissors};

#[derive(Debug)]
pub enum Answer {
    Body {
        status: StatusCode,
        json: String,
        headers: Vec<(&'static str, String)>,
    },
    /// The connection closes without an answer.
    Cut(Scissors),
}

impl Answer {
    pub fn ok(body: &Value) -> Self {
        Self::Body { status: StatusCode::OK, json: body.to_string(), headers: Vec::new() }
    }

    pub fn error(error: ApiError) -> Self {
        Self::Body { status: error.status, json: error.body().to_string(), headers: Vec::new() }
    }

    /// The first answer under a key.
    pub fn first(saved: &Saved) -> Self {
        let headers = vec![
            ("idempotency-key", saved.key.clone()),
            ("original-request", saved.request_id.clone()),
        ];
        Self::Body { status: saved.status(), json: saved.body.clone(), headers }
    }

    /// The same once more.
    pub fn replayed(saved: &Saved) -> Self {
        match Self::first(saved) {
            Self::Body { status, json, mut headers } => {
                headers.push(("idempotent-replayed", "true".to_owned()));
                Self::Body { status, json, headers }
            }
            Self::Cut(scissors) => Self::Cut(scissors),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Body { status, json, headers } => {
                let mut response =
                    (status, [(header::CONTENT_TYPE, "application/json")], json).into_response();
                for (name, value) in headers {
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        response.headers_mut().insert(name, value);
                    }
                }
                if status == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(
                        header::WWW_AUTHENTICATE,
                        HeaderValue::from_static("Bearer realm=\"Stripe\""),
                    );
                }
                response
            }
            Self::Cut(scissors) => {
                scissors.cut();
                // Never seen: the connection is gone when this would be written.
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}
