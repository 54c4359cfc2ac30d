//! The pages of all that goes wrong: what happened, and a way on.

use askama::Template;
use axum::response::{IntoResponse, Response};
use common::problem;
use http::{Extensions, HeaderValue, Method, StatusCode, header};
use httpkit::Error;

use crate::page::{Cache, Frame, Page};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    text: String,
    /// Whether it helps to ask again.
    retry: bool,
    /// For whoever asks an operator.
    request_id: Option<String>,
}

impl Page for ErrorPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn not_found() -> Error {
    Error::not_found("page")
}

pub async fn method_not_allowed(method: Method) -> Error {
    Error::refused(&problem::METHOD_NOT_ALLOWED, format!("{method} is not taken here."))
}

/// How the edge shows an error (`httpkit::server`). Whom it met stands in the answer, if that is known.
pub fn render(error: &Error, met: &Extensions, request_id: &str) -> Response {
    let frame = met.get::<Frame>().cloned().unwrap_or_else(Frame::plain);
    let status = error.problem().status;
    let (title, text) = say(error);
    let page = ErrorPage {
        frame,
        status: status.as_u16(),
        title,
        text,
        retry: status == StatusCode::SERVICE_UNAVAILABLE,
        request_id: status.is_server_error().then(|| request_id.to_owned()),
    };
    // Without a page there is still a status.
    let mut response = page.show_as(status).unwrap_or_else(|_| status.into_response());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A headline, and a sentence or two.
fn say(error: &Error) -> (&'static str, String) {
    let (title, text) = match error.problem().status {
        StatusCode::NOT_FOUND => (
            "There is nothing here",
            "The page has moved, the ticket is off the market, or the address has a slip in it.",
        ),
        StatusCode::FORBIDDEN if *error.problem() == problem::CROSS_SITE => (
            "That came from another site",
            "A form is only taken from our own pages. Go to the page here, and send it again.",
        ),
        StatusCode::FORBIDDEN => (
            "That is someone else’s",
            "You are signed in, but this isn’t yours to see or to change.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "That can’t be done here",
            "The page is there, but it doesn’t take what your browser has sent.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("That is too much", "The form holds more than we take. Go back, and make it shorter.")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            ("That was too often", "Wait a little, and then try again.")
        }
        StatusCode::SERVICE_UNAVAILABLE => (
            "A part of Ticketing is down",
            "It should be back in a moment. What you hold stays yours, and nothing is charged twice.",
        ),
        status if status.is_server_error() => (
            "Something went wrong on our side",
            "We have noted it. Try again, and tell us the number below if it stays so.",
        ),
        _ => return ("That didn’t work", error.to_string()),
    };
    (title, text.to_owned())
}
