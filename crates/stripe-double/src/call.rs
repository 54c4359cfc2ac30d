//! A request to the API, as every endpoint gets it: with a key that we know, and its parameters read.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request},
    http::{HeaderMap, Method, header::AUTHORIZATION},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;

use crate::{
    answer::Answer, app::App, errors::ApiError, idempotency, params::Params, wire::Scissors,
};

#[derive(Debug, Clone)]
pub struct RequestId(pub String);

#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub params: Params,
    pub idempotency_key: Option<String>,
    pub request_id: String,
    /// Of its connection.
    pub scissors: Scissors,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Answer;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Answer> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let extensions = request.extensions();
        let request_id = extensions.get().map(|RequestId(id)| id.clone()).unwrap_or_default();
        let scissors =
            extensions.get().map(|ConnectInfo(scissors): &ConnectInfo<Scissors>| scissors.clone());
        check_api_key(request.headers()).map_err(Answer::error)?;
        // Also a key that isn't text is one: to lose it would be to charge twice.
        let key = request
            .headers()
            .get("idempotency-key")
            .map(|key| String::from_utf8_lossy(key.as_bytes()));
        let idempotency_key = idempotency::checked(key.as_deref()).map_err(Answer::error)?;
        let params = if method == Method::GET {
            Params::parse(uri.query().unwrap_or_default().as_bytes())
        } else {
            let body = Bytes::from_request(request, app)
                .await
                .map_err(|error| Answer::error(ApiError::invalid(error.body_text())))?;
            Params::parse(&body)
        };
        Ok(Self {
            idempotency_key: idempotency_key.filter(|_| method == Method::POST),
            path: uri.path().to_owned(),
            method,
            params,
            request_id,
            scissors: scissors.unwrap_or_default(),
        })
    }
}

/// Any test key will do: there is one account. A live key is refused, lest someone believe that money moves here.
fn check_api_key(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(api_key);
    let Some(key) = given else {
        return Err(ApiError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth \
             (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    };
    match key.split_once("_test_") {
        Some(("sk" | "rk", rest)) if !rest.is_empty() => Ok(()),
        Some(("pk", _)) => {
            let message = "This API call cannot be made with a publishable API key. Please use a secret API key.";
            Err(ApiError::invalid(message)
                .code("secret_key_required")
                .with_status(StatusCode::FORBIDDEN))
        }
        _ if key.contains("_live_") => {
            Err(ApiError::unauthorized("The double takes no live keys: no money moves here."))
        }
        _ => Err(ApiError::unauthorized(format!(
            "Invalid API Key provided: {}***",
            key.chars().take(8).collect::<String>()
        ))),
    }
}

/// `Bearer sk_…`, or `Basic` with the key as the user.
fn api_key(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    let decoded =
        scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(value.trim()).ok())??;
    let user_and_password = String::from_utf8(decoded).ok()?;
    Some(user_and_password.split(':').next().unwrap_or_default().to_owned())
        .filter(|key| !key.is_empty())
}
