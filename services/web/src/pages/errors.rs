//! The error pages: what happened, and where to go next.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::{Extensions, HeaderValue, Method, StatusCode, Uri, header};
use httpkit::Error;

use crate::page::{Cache, Frame, Page};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    text: String,
    /// Whether to offer *Try again*.
    retry: bool,
    /// Quoted to support.
    request_id: Option<String>,
}

impl Page for ErrorPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// An address with a slash at its end is that of the page without it.
pub async fn not_found(uri: Uri) -> Result<Redirect, Error> {
    let page = without_trailing_slash(&uri).ok_or_else(|| Error::not_found("page"))?;
    Ok(Redirect::permanent(&page))
}

/// None if there is no such slash, or if a browser could take the rest for another site.
fn without_trailing_slash(uri: &Uri) -> Option<String> {
    let path = uri.path().trim_end_matches('/');
    let is_ours = path.len() > 1 && !path.starts_with("//") && !path.contains('\\');
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (is_ours && path != uri.path()).then(|| format!("{path}{query}"))
}

pub async fn method_not_allowed(method: Method) -> Error {
    Error::refused(&problem::METHOD_NOT_ALLOWED, format!("This page doesn't accept {method}."))
}

/// Renders an error for the server's middleware. The response's extensions hold the visitor's [`Frame`], if
/// the session is known.
pub fn render(error: &Error, extensions: &Extensions, request_id: &str) -> Response {
    let frame = extensions.get::<Frame>().cloned().unwrap_or_else(Frame::plain);
    let status = error.problem().status;
    let (title, text) = copy(error);
    let page = ErrorPage {
        frame,
        status: status.as_u16(),
        title,
        text,
        retry: status == StatusCode::SERVICE_UNAVAILABLE,
        request_id: status.is_server_error().then(|| request_id.to_owned()),
    };
    // If even the error page fails to render, the status remains.
    let mut response = page.show_as(status).unwrap_or_else(|_| status.into_response());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A headline, and a sentence or two.
fn copy(error: &Error) -> (&'static str, String) {
    let (title, text) = match error.problem().status {
        StatusCode::NOT_FOUND => (
            "Page not found",
            "It may have moved or been removed, or there’s a typo in the address.",
        ),
        StatusCode::FORBIDDEN if *error.problem() == problem::CROSS_SITE => (
            "We couldn’t accept that form",
            "Please open the page on this site and submit it again.",
        ),
        StatusCode::FORBIDDEN => ("You can’t view this page", "It belongs to another account."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("This action isn’t available", "The page exists, but it doesn’t support this action.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("That’s too long", "Go back and shorten your text, then submit the form again.")
        }
        StatusCode::TOO_MANY_REQUESTS => ("Too many attempts", "Wait a minute and try again."),
        StatusCode::SERVICE_UNAVAILABLE => (
            "We’re having a problem",
            "It should be fixed shortly. Reserved tickets stay reserved, and you won’t be charged twice.",
        ),
        status if status.is_server_error() => (
            "Something went wrong",
            "We’ve logged the problem. If it keeps happening, contact support and quote the reference below.",
        ),
        _ => return ("We couldn’t process your request", error.to_string()),
    };
    (title, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_removed_but_leads_to_no_other_site() {
        for (address, page) in [
            ("/orders/", Some("/orders")),
            ("/auth/signin/?next=%2Forders", Some("/auth/signin?next=%2Forders")),
            ("/orders//", Some("/orders")),
            ("/orders", None),
            ("/", None),
            ("//", None),
            ("//evil.example/", None),
            ("/\\evil.example/", None),
        ] {
            let Ok(uri) = address.parse() else { continue };
            assert_eq!(without_trailing_slash(&uri).as_deref(), page, "{address}");
        }
    }
}
