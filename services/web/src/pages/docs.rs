//! `/docs`: the HTTP API for people; for programs `/docs/openapi.json`, and `/docs/asyncapi.json` of the events.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use httpkit::Result;

use crate::page::{Cache, Frame, Page, not_modified};
use crate::reference::{DOCUMENT, REFERENCE, Reference};
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    frame: Frame,
    reference: &'static Reference,
}

impl Page for DocsPage {
    const CACHE: Cache = Cache::Anyone;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response> {
    let frame = Frame::of(&app, &visitor).await;
    Ok(not_modified(&headers, DocsPage { frame, reference: &REFERENCE }.show()?))
}

pub async fn openapi() -> impl IntoResponse {
    document(DOCUMENT)
}

pub async fn asyncapi() -> impl IntoResponse {
    document(bus::asyncapi::COMMITTED)
}

fn document(text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}
