//! `/sitemap.xml` and `/robots.txt`: search engines index the tickets on sale and nothing else.
//! <https://www.sitemaps.org/protocol.html>

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use common::Time;
use common::ids::TicketId;
use http::{HeaderMap, header};
use httpkit::{Error, Result};
use tokio::sync::Mutex;

use crate::api::Failure;
use crate::state::App;

/// The maximum number of addresses per file.
const FILE_MAX_URLS: usize = 50_000;
/// The maximum number of tickets: two files, and a thousand calls.
const MAX_TICKETS: usize = 100_000;
/// How long the list is cached. A ticket sold in the meantime still has its page.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// The cached list of tickets on sale. Concurrent requests wait for the same refresh.
#[derive(Clone, Default)]
pub struct Sitemap(Arc<Mutex<Option<Cached>>>);

/// When it was loaded, and its tickets.
type Cached = (Time, Arc<[TicketId]>);

impl Sitemap {
    async fn tickets(&self, app: &App) -> Result<Arc<[TicketId]>, Failure> {
        let mut cached = self.0.lock().await;
        let now = app.clock.now();
        if let Some((loaded_at, tickets)) = &*cached
            && now < *loaded_at + MAX_AGE
        {
            return Ok(Arc::clone(tickets));
        }
        let tickets: Arc<[TicketId]> = on_sale(app).await?.into();
        *cached = Some((now, Arc::clone(&tickets)));
        Ok(tickets)
    }
}

async fn on_sale(app: &App) -> Result<Vec<TicketId>, Failure> {
    let anonymous = app.api.caller(&HeaderMap::new(), None);
    let mut tickets = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "100")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let list = anonymous.tickets(&query).await?;
        tickets.extend(list.items.iter().map(|ticket| ticket.id));
        cursor = list.next;
        if cursor.is_none() || tickets.len() >= MAX_TICKETS {
            return Ok(tickets);
        }
    }
}

/// All addresses, or an index of files if there are too many for one.
pub async fn index(State(app): State<App>) -> Result<Response> {
    let tickets = app.sitemap.tickets(&app).await?;
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
    let tickets = app.sitemap.tickets(&app).await?;
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
