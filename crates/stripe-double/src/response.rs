//! A response: complete, truncated, or none because the connection is closed.

use std::io;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;

use crate::{connection::ConnectionAbort, errors::ApiError, idempotency::SavedResponse};

#[derive(Debug)]
pub enum ApiResponse {
    Body {
        status: StatusCode,
        json: String,
        headers: Vec<(&'static str, String)>,
    },
    /// Half of a body; then the connection closes.
    Truncated {
        status: StatusCode,
        half: String,
    },
    /// The connection closes without a response.
    Aborted(ConnectionAbort),
}

impl ApiResponse {
    pub fn ok(body: &Value) -> Self {
        Self::Body { status: StatusCode::OK, json: body.to_string(), headers: Vec::new() }
    }

    pub fn error(error: ApiError) -> Self {
        Self::Body { status: error.status, json: error.body().to_string(), headers: Vec::new() }
    }

    /// The first response under a key.
    pub fn saved(saved: &SavedResponse) -> Self {
        let headers = vec![
            ("idempotency-key", saved.key.clone()),
            ("original-request", saved.request_id.clone()),
        ];
        Self::Body { status: saved.status(), json: saved.body.clone(), headers }
    }

    /// The replay of a saved response.
    pub fn replayed(saved: &SavedResponse) -> Self {
        match Self::saved(saved) {
            Self::Body { status, json, mut headers } => {
                headers.push(("idempotent-replayed", "true".to_owned()));
                Self::Body { status, json, headers }
            }
            truncated @ Self::Truncated { .. } => truncated,
            Self::Aborted(abort) => Self::Aborted(abort),
        }
    }

    /// The first half of the body, sent as if it were complete.
    pub fn garbled(self) -> Self {
        match self {
            Self::Body { status, json, headers } => {
                Self::Body { status, json: first_half(&json), headers }
            }
            incomplete @ (Self::Truncated { .. } | Self::Aborted(_)) => incomplete,
        }
    }

    /// The first half of the body; then the connection closes.
    pub fn truncated(self) -> Self {
        match self {
            Self::Body { status, json, .. } => Self::Truncated { status, half: first_half(&json) },
            incomplete @ (Self::Truncated { .. } | Self::Aborted(_)) => incomplete,
        }
    }
}

fn first_half(json: &str) -> String {
    json.chars().take(json.chars().count() / 2).collect()
}

impl IntoResponse for ApiResponse {
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
            Self::Truncated { status, half } => {
                let broken = Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                (status, Body::from_stream(stream::iter([Ok(half), broken]))).into_response()
            }
            Self::Aborted(abort) => {
                abort.abort();
                // Never sent: the connection is closed before this is written.
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}
