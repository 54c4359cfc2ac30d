//! Stripe's errors: <https://docs.stripe.com/api/errors>.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub struct ApiError {
    pub status: StatusCode,
    /// The fields of `error`, without those that are absent.
    pub fields: Map<String, Value>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("message".to_owned(), json!(message.into()));
        Self { status, fields }
    }

    /// Most refusals: the request is invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    pub fn code(self, code: &str) -> Self {
        self.with(
            "doc_url",
            format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")),
        )
        .with("code", code)
    }

    pub fn param(self, param: &str) -> Self {
        self.with("param", param)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::invalid(message).with_status(StatusCode::UNAUTHORIZED)
    }

    pub fn card(code: &str, message: &str) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", message).code(code)
    }

    pub fn missing_param(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// A valid request that the double doesn't support.
    pub fn not_covered(what: &str, param: &str) -> Self {
        Self::invalid(format!("{what} is not covered by the double.")).param(param)
    }

    /// An id in a parameter.
    pub fn no_such(kind: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {kind}: '{id}'")).code("resource_missing").param(param)
    }

    /// An id in the path.
    pub fn not_found(kind: &str, id: &str, param: &str) -> Self {
        Self::no_such(kind, id, param).with_status(StatusCode::NOT_FOUND)
    }

    pub fn unknown_url(method: &str, path: &str) -> Self {
        Self::invalid(format!("Unrecognized request URL ({method}: {path})."))
            .with_status(StatusCode::NOT_FOUND)
    }

    pub fn rate_limit() -> Self {
        Self::invalid("Request rate limit exceeded.")
            .code("rate_limit")
            .with_status(StatusCode::TOO_MANY_REQUESTS)
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "An unknown error occurred.")
    }

    pub fn key_too_long(length: usize) -> Self {
        Self::invalid(format!(
            "Idempotency keys can be at most 255 characters long; yours has {length}."
        ))
    }

    pub fn key_in_use(key: &str) -> Self {
        Self::invalid(format!(
            "There is currently another in-progress request using this Stripe-Idempotency-Key: {key}. Please try again shortly."
        ))
        .code("idempotency_key_in_use")
        .with_status(StatusCode::CONFLICT)
    }

    pub fn key_reused_with_other_parameters(key: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            ),
        )
    }

    pub fn key_reused_for_other_endpoint(key: &str, now: &str, first: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                 ('{now}' vs '{first}'). Try using a key other than '{key}' if you meant to execute a different request."
            ),
        )
    }

    pub fn body(&self) -> Value {
        json!({ "error": self.fields })
    }
}
