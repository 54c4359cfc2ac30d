//! The shapes of successful responses.

use axum::response::{IntoResponse, Response};
use headers::{CacheControl, ETag, HeaderMapExt};
use http::{HeaderValue, StatusCode, header};

use crate::conditional::etag;

/// 201, with the location and the version of what was created (RFC 9110 §15.3.2).
pub fn created(location: &str, version: i64, body: impl IntoResponse) -> Response {
    with_location(StatusCode::CREATED, location, personal(Some(version), body))
}

/// 202: in progress; the location shows how it proceeds (RFC 9110 §15.3.3).
pub fn accepted(location: &str, body: impl IntoResponse) -> Response {
    with_location(StatusCode::ACCEPTED, location, personal(None, body))
}

/// A response for one user alone, with the version of the one resource that it shows.
pub fn personal(version: Option<i64>, body: impl IntoResponse) -> Response {
    tagged(version.and_then(etag), body)
}

/// The same with any entity tag.
pub fn tagged(tag: Option<ETag>, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.typed_insert(CacheControl::new().with_no_store());
    if let Some(tag) = tag {
        headers.typed_insert(tag);
    }
    response
}

fn with_location(status: StatusCode, location: &str, mut response: Response) -> Response {
    *response.status_mut() = status;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
