//! What goes back: a body, or nothing at all.

use std::io;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;

use crate::{errors::ApiError, idempotency::Saved, wire::Scissors};

#[derive(Debug)]
pub enum Answer {
    Body {
        status: StatusCode,
        json: String,
        headers: Vec<(&'static str, String)>,
    },
    /// This much of a body comes; then the connection closes.
    Torn {
        status: StatusCode,
        half: String,
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
            torn @ Self::Torn { .. } => torn,
            Self::Cut(scissors) => Self::Cut(scissors),
        }
    }

    /// The first half of it, as if that were all.
    pub fn garbled(self) -> Self {
        match self {
            Self::Body { status, json, headers } => {
                Self::Body { status, json: first_half(&json), headers }
            }
            worse @ (Self::Torn { .. } | Self::Cut(_)) => worse,
        }
    }

    /// The first half of it, and then nothing.
    pub fn torn(self) -> Self {
        match self {
            Self::Body { status, json, .. } => Self::Torn { status, half: first_half(&json) },
            worse @ (Self::Torn { .. } | Self::Cut(_)) => worse,
        }
    }
}

fn first_half(json: &str) -> String {
    json.chars().take(json.chars().count() / 2).collect()
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
            Self::Torn { status, half } => {
                let broken = Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                (status, Body::from_stream(stream::iter([Ok(half), broken]))).into_response()
            }
            Self::Cut(scissors) => {
                scissors.cut();
                // Never seen: the connection is gone when this would be written.
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}
