//! `/sitemap.xml` and `/robots.txt`: search engines index the tickets on sale and nothing else.
//! <https://www.sitemaps.org/protocol.html>

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use common::ids::TicketId;
use http::header;
use httpkit::{Error, Result};

use crate::state::App;

/// The maximum number of addresses per file.
const FILE_MAX_URLS: usize = 50_000;
/// All addresses, or an index of files if there are too many for one.
pub async fn index(State(app): State<App>) -> Result<Response> {
    let tickets = app.sitemap.tickets(&app.api, app.clock.now()).await?;
    if tickets.len() < FILE_MAX_URLS {
        return Ok(xml(addresses(&app, &tickets, true)));
    }
    let mut text =
        String::from(r#"<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">"#);
    for number in 1..=tickets.chunks(FILE_MAX_URLS).count() {
        let address = app.absolute(&format!("/sitemaps/{number}"));
        // Writing to a String never fails.
        _ = write!(text, "<sitemap><loc>{address}</loc></sitemap>");
    }
    text.push_str("</sitemapindex>");
    Ok(xml(text))
}

pub async fn file(State(app): State<App>, Path(number): Path<usize>) -> Result<Response> {
    let tickets = app.sitemap.tickets(&app.api, app.clock.now()).await?;
    let chunk = number.checked_sub(1).and_then(|at| tickets.chunks(FILE_MAX_URLS).nth(at));
    let chunk = chunk.ok_or_else(|| Error::not_found("file"))?;
    Ok(xml(addresses(&app, chunk, false)))
}

fn addresses(app: &App, tickets: &[TicketId], with_home: bool) -> String {
    let mut text = String::from(r#"<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">"#);
    if with_home {
        _ = write!(text, "<url><loc>{}</loc></url>", app.absolute("/"));
    }
    for ticket in tickets {
        _ = write!(text, "<url><loc>{}</loc></url>", app.absolute(&format!("/tickets/{ticket}")));
    }
    text.push_str("</urlset>");
    text
}

fn xml(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/xml"),
        (header::CACHE_CONTROL, "public, max-age=900"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n")).into_response()
}

pub async fn robots(State(app): State<App>) -> impl IntoResponse {
    let sitemap = app.absolute("/sitemap.xml");
    let text = format!(
        "User-agent: *\nDisallow: /auth/\nDisallow: /orders\nDisallow: /sales\nDisallow: /account\n\
         Disallow: /api/\nDisallow: /live\n\nSitemap: {sitemap}\n"
    );
    ([(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "public, max-age=900")], text)
}
