//! Extractors that refuse in the agreed shape: a JSON body, a path's id, a query.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use std::str::FromStr;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::error::{Error, Result, Violation, problems};

/// A JSON body that parses and whose `validator` rules hold.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(Error::refused(
                &problems::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as JSON, with Content-Type: application/json.",
            ));
        }
        let body: T = parse(&bytes(request, state).await?)?;
        body.validate().map_err(|errors| Error::Invalid(violations(&errors)))?;
        Ok(Body(body))
    }
}

/// The body of a request of which everything is said elsewhere: whatever it is, it isn't looked at.
pub struct AnyBody;

impl<S: Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = Error;

    async fn from_request(_: Request, _: &S) -> Result<Self> {
        Ok(AnyBody)
    }
}

/// The body as it was sent, up to the size that we take.
pub(crate) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Error::refused(&problems::TOO_LARGE, "The body is larger than we take.")
        } else {
            Error::refused(&problems::MALFORMED, "The body could not be read.")
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

/// Reads JSON; a wrong type is told with the path of the member that has it.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
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
            Error::refused(&problems::MALFORMED, format!("The body is not valid JSON: {cause}."))
        }
    })?;
    deserializer.end().map_err(|cause| {
        Error::refused(&problems::MALFORMED, format!("The body is not valid JSON: {cause}."))
    })?;
    Ok(value)
}

/// The member that the message is about; serde tells of one that is missing at its parent's path.
fn at(path: String, message: String) -> Violation {
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, path.as_str()) {
        (Some(name), ".") => Violation::of(name, "is missing"),
        (Some(name), parent) => Violation::of(format!("{parent}.{name}"), "is missing"),
        (None, ".") => Violation { message, field: None },
        (None, _) => Violation::of(path, message),
    }
}

/// Serde's message without its place in the text, which says nothing to a client.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// `validator`'s errors, one entry for every broken rule, in the order of the fields' names.
fn violations(errors: &ValidationErrors) -> Vec<Violation> {
    let mut found = Vec::new();
    for (field, kind) in errors.errors() {
        if let ValidationErrorsKind::Field(broken) = kind {
            for rule in broken {
                let message = rule.message.clone().unwrap_or_else(|| rule.code.clone());
                found.push(Violation::of(camel_case(field), message));
            }
        }
    }
    found.sort_by(|a, b| a.field.cmp(&b.field));
    found
}

/// `validator` names a field as Rust does; the API as JSON does.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// The one id in a route's path; what can't be an id is 404, as no such thing can exist.
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|axum::extract::Path(text)| text.parse().ok());
        id.map(PathId).ok_or_else(|| Error::not_found("thing"))
    }
}

/// The query string, with each broken parameter told by its name.
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

/// The version that the client has seen (`If-Match: "7"`), if it named one.
pub struct IfMatch(Option<Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::IF_MATCH);
        let tags = header.map(|value| {
            let text = value.to_str().unwrap_or_default();
            text.split(',').map(|tag| tag.trim().to_owned()).collect()
        });
        Ok(IfMatch(tags))
    }
}

impl IfMatch {
    /// Refuses (412) unless the client named no version, `*`, or this one (RFC 9110 §13.1.1).
    pub fn check(&self, version: i64) -> Result<()> {
        let held = self.0.as_ref().is_none_or(|tags| {
            tags.iter().any(|tag| tag == "*" || *tag == format!("\"{version}\""))
        });
        if held {
            Ok(())
        } else {
            Err(Error::refused(
                &problems::PRECONDITION_FAILED,
                format!("It is at version {version} now. Look at it again before you change it."),
            ))
        }
    }
}
