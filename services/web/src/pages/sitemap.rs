//! `/sitemap.xml` and `/robots.txt`: so that what is on sale is found, and nothing else.
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
use crate::app::App;

/// The most addresses that one file may hold.
const IN_A_FILE: usize = 50_000;
/// Where the list is cut: two files' worth, and a thousand calls.
const MOST: usize = 100_000;
/// How old the list may be. A ticket that was sold since still has its page.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// The tickets on sale, as they were a moment ago. All that ask while it is made wait for the same one.
#[derive(Clone, Default)]
pub struct Sitemap(Arc<Mutex<Option<Made>>>);

/// When, and what it was.
type Made = (Time, Arc<[TicketId]>);

impl Sitemap {
    async fn tickets(&self, app: &App) -> Result<Arc<[TicketId]>, Failure> {
        let mut known = self.0.lock().await;
        let now = app.clock.now();
        if let Some((made, tickets)) = &*known
            && now < *made + FRESH
        {
            return Ok(Arc::clone(tickets));
        }
        let tickets: Arc<[TicketId]> = on_sale(app).await?.into();
        *known = Some((now, Arc::clone(&tickets)));
        Ok(tickets)
    }
}

async fn on_sale(app: &App) -> Result<Vec<TicketId>, Failure> {
    let nobody = app.api.caller(&HeaderMap::new(), None);
    let mut tickets = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "100")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let list = nobody.tickets(&query).await?;
        tickets.extend(list.items.iter().map(|ticket| ticket.id));
        cursor = list.next;
        if cursor.is_none() || tickets.len() >= MOST {
            return Ok(tickets);
        }
    }
}

/// All addresses, or, if they are too many for one file, the files that hold them.
pub async fn index(State(app): State<App>) -> Result<Response> {
    let tickets = app.sitemap.tickets(&app).await?;
    if tickets.len() < IN_A_FILE {
        return Ok(xml(addresses(&app, &tickets, true)));
    }
    let mut text =
        String::from(r#"<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">"#);
    for number in 1..=tickets.chunks(IN_A_FILE).count() {
        let address = app.absolute(&format!("/sitemaps/{number}"));
        // A String takes all that is written.
        _ = write!(text, "<sitemap><loc>{address}</loc></sitemap>");
    }
    text.push_str("</sitemapindex>");
    Ok(xml(text))
}

pub async fn file(State(app): State<App>, Path(number): Path<usize>) -> Result<Response> {
    let tickets = app.sitemap.tickets(&app).await?;
    let chunk = number.checked_sub(1).and_then(|at| tickets.chunks(IN_A_FILE).nth(at));
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
