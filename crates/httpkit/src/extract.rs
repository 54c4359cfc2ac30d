//! Extractors that respond with problems: a JSON body, an id in the path, a query.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use common::ids::Id;
use common::problem::{self, Violation};
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// A JSON body of the right types. Its rules are checked by the handler ([`crate::validation`]).
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(Error::refused(
                &problem::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as JSON, with Content-Type: application/json.",
            ));
        }
        if is_encoded(request.headers()) {
            return Err(Error::refused(
                &problem::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as it is: a Content-Encoding such as gzip is not supported.",
            ));
        }
        Ok(Body(parse(&bytes(request, state).await?)?))
    }
}

/// As [`Body`], of a request that needs none: an empty one stands for the default.
pub struct OptionalBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(Request::from_parts(parts.clone(), body), state).await?;
        if bytes.is_empty() {
            return Ok(OptionalBody(T::default()));
        }
        let request = Request::from_parts(parts, bytes.into());
        let Body(body) = Body::from_request(request, state).await?;
        Ok(OptionalBody(body))
    }
}

/// The body as it was sent, up to the limit.
pub(crate) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Error::refused(&problem::TOO_LARGE, "Request body too large (limit 64 KiB).")
        } else {
            Error::refused(&problem::MALFORMED, "The body could not be read.")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| {
        essence.eq_ignore_ascii_case("application/json")
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

/// Whether the body is compressed, or encoded otherwise (RFC 9110 §8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
        let encoding = value.as_bytes().trim_ascii();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
    })
}

/// Parses JSON; a wrong type is reported with the path of the member. A byte order mark is skipped (RFC 8259 §8.1).
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
    // Serde would read an array into a struct as well, member by member.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        let message = "must be an object, not an array".to_owned();
        return Err(Error::invalid([Violation { message, field: None }]));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() {
            Error::invalid([at(path, plain(&cause))])
        } else {
            Error::refused(&problem::MALFORMED, format!("The body is not valid JSON: {cause}."))
        }
    })?;
    deserializer.end().map_err(|cause| {
        Error::refused(&problem::MALFORMED, format!("The body is not valid JSON: {cause}."))
    })?;
    Ok(value)
}

/// The member that the message is about; serde reports a missing one at its parent's path.
fn at(path: String, message: String) -> Violation {
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, path.as_str()) {
        (Some(name), ".") => Violation::of(name, "is missing"),
        (Some(name), parent) => Violation::of(format!("{parent}.{name}"), "is missing"),
        (None, ".") => Violation { message, field: None },
        (None, _) => Violation::of(path, message),
    }
}

/// Serde's message without the position in the text, which doesn't help a client.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The one id in a route's path. A text that can't be an id is 404: nothing can exist under it.
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: Id> FromRequestParts<S> for PathId<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let text = path.map_err(|_| Error::not_found(T::NAMES))?.0;
        parse_id(&text).map(PathId)
    }
}

/// An id in a path, a body or a query. A text that can't be an id is 404: nothing can exist under it.
pub fn parse_id<T: Id>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::not_found(T::NAMES))
}

/// The query string; a violation names the parameter.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let deserializer =
            serde_html_form::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer).map(Query).map_err(|error| {
            let path = error.path().to_string();
            Error::invalid([at(path, error.into_inner().to_string())])
        })
    }
}
