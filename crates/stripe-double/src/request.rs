//! A request to the API as every endpoint receives it: authenticated, and with its parameters parsed.

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request},
    http::{HeaderMap, Method, header::AUTHORIZATION},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;

use crate::{
    connection::ConnectionAbort, errors::ApiError, idempotency, model::EventRequest,
    params::Params, response::ApiResponse,
};

#[derive(Debug, Clone)]
pub struct RequestId(pub String);

#[derive(Debug)]
pub struct ApiRequest {
    pub method: Method,
    pub path: String,
    pub params: Params,
    pub idempotency_key: Option<String>,
    pub request_id: String,
    /// Closes its connection.
    pub abort: ConnectionAbort,
    pub access: Access,
}

/// What the API key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Secret,
    /// What a browser may do.
    Publishable,
}

impl Access {
    pub fn check(self, publishable: bool) -> Result<(), ApiError> {
        if self == Self::Secret || publishable {
            return Ok(());
        }
        let message =
            "This API call cannot be made with a publishable API key. Please use a secret API key.";
        Err(ApiError::invalid(message)
            .code("secret_key_required")
            .with_status(StatusCode::FORBIDDEN))
    }
}

impl ApiRequest {
    /// How the events name it, if it is one to the API.
    pub fn of_event(&self) -> Option<EventRequest> {
        self.path.starts_with("/v1/").then(|| EventRequest {
            id: self.request_id.clone(),
            idempotency_key: self.idempotency_key.clone(),
        })
    }

    /// Of the double itself.
    pub fn internal() -> Self {
        Self {
            method: Method::POST,
            path: String::new(),
            params: Params::default(),
            idempotency_key: None,
            request_id: String::new(),
            abort: ConnectionAbort::default(),
            access: Access::Secret,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for ApiRequest {
    type Rejection = ApiResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiResponse> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let extensions = request.extensions();
        let request_id = extensions.get().map(|RequestId(id)| id.clone()).unwrap_or_default();
        let abort =
            extensions.get().map(|ConnectInfo(abort): &ConnectInfo<ConnectionAbort>| abort.clone());
        let bearer = bearer_key(request.headers());
        // A key that isn't UTF-8 still counts: ignoring it could charge twice.
        let key = request
            .headers()
            .get("idempotency-key")
            .map(|key| String::from_utf8_lossy(key.as_bytes()));
        let idempotency_key = idempotency::checked(key.as_deref()).map_err(ApiResponse::error)?;
        let mut params = if method == Method::GET {
            Params::parse(uri.query().unwrap_or_default().as_bytes())
        } else {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|error| ApiResponse::error(ApiError::invalid(error.body_text())))?;
            Params::parse(&body)
        };
        // Stripe.js sends its key as a parameter, which needs no preflight request.
        let key = match bearer {
            Some(key) => Some(key),
            None => params.text("key").ok().flatten().filter(|key| key.starts_with("pk_")),
        };
        let access = access(key.as_deref()).map_err(ApiResponse::error)?;
        Ok(Self {
            access,
            idempotency_key: idempotency_key.filter(|_| method == Method::POST),
            path: uri.path().to_owned(),
            method,
            params,
            request_id,
            abort: abort.unwrap_or_default(),
        })
    }
}

/// Any test key is accepted: there is one account. A live key is refused, so that nobody believes that money moves here.
fn access(key: Option<&str>) -> Result<Access, ApiError> {
    let Some(key) = key else {
        return Err(ApiError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth \
             (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    };
    match key.split_once("_test_") {
        Some(("sk" | "rk", rest)) if !rest.is_empty() => Ok(Access::Secret),
        Some(("pk", _)) => Ok(Access::Publishable),
        _ if key.contains("_live_") => {
            Err(ApiError::unauthorized("The double takes no live keys: no money moves here."))
        }
        _ => Err(ApiError::unauthorized(format!(
            "Invalid API Key provided: {}***",
            key.chars().take(8).collect::<String>()
        ))),
    }
}

fn bearer_key(headers: &HeaderMap) -> Option<String> {
    headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(api_key)
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
