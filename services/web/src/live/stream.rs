//! `GET /live?since=POSITION&topic=ticket:ID&topic=order:ID&topic=me`: what changes, as it changes.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use common::problem::Violation;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use httpkit::extract::Query;
use httpkit::{Error, Result};
use serde::Deserialize;
use serde_json::json;

use super::hub::{Listener, News};
use super::topic::{ME, Topic};
use crate::app::App;
use crate::session::{Visitor, Who};

/// How many topics a page may follow: those of its longest list, and some more.
const TOPICS: usize = 110;
/// Who hears nothing for longer than this is cut off. It keeps the connection open at all that is in between.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What changes within this time is told at once: one purchase makes several events.
const TOGETHER: Duration = Duration::from_millis(100);
/// A stream is opened anew now and then, with whatever is true then of the visitor.
const LIFETIME: std::ops::Range<u64> = 12 * 60..15 * 60;
/// After how many milliseconds a browser opens a broken stream again. Not all at once.
const RETRY: std::ops::Range<u64> = 1_000..5_000;
/// How many orders are asked for at once.
const AT_ONCE: usize = 8;
/// After how many seconds there may be room for one more stream.
const ROOM: &str = "60";

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    topic: Vec<String>,
    since: Option<String>,
}

pub async fn open(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let topics = topics(&asked.topic, &visitor)?;
    let Ok(slot) = Arc::clone(&app.live.slots).try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, ROOM)];
        return Ok((StatusCode::SERVICE_UNAVAILABLE, later).into_response());
    };
    may_see(&visitor, &topics).await?;

    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listener = app.live.hub.listen(topics, last.or(asked.since.as_deref()));
    let events =
        futures::stream::unfold((listener, slot, true), |(listener, slot, first)| async move {
            if !first {
                something_to_say(&listener).await;
            }
            let events = events(listener.news());
            Some((futures::stream::iter(events), (listener, slot, false)))
        });
    let events = futures::stream::iter([retry()]).chain(events.flatten());
    Ok(answer(events.take_until(end(&app, &visitor))))
}

/// The topics that a page has named. Their number is limited, and `me` is somebody.
fn topics(names: &[String], visitor: &Visitor) -> Result<BTreeSet<Topic>> {
    let wrong = |message: &str| Error::invalid([Violation::of("topic", message)]);
    if names.is_empty() || names.len() > TOPICS {
        return Err(wrong(&format!("must be named 1 to {TOPICS} times")));
    }
    let me = match &visitor.who {
        Who::SignedIn(user) => Some(user.id),
        Who::Anyone if names.iter().any(|name| name == ME) => return Err(Error::not_signed_in()),
        Who::Unsure if names.iter().any(|name| name == ME) => {
            return Err(Error::Unavailable(anyhow::anyhow!("a session can't be renewed")));
        }
        Who::Anyone | Who::Unsure => None,
    };
    let expected = "must be ticket:ID, order:ID or me";
    names.iter().map(|name| Topic::named(name, me).ok_or_else(|| wrong(expected))).collect()
}

/// Refuses as the API does who asks for an order that is none of theirs. Tickets are everybody's to see.
async fn may_see(visitor: &Visitor, topics: &BTreeSet<Topic>) -> Result<()> {
    let orders = topics.iter().filter_map(|topic| match topic {
        Topic::Order(id) => Some(*id),
        Topic::Ticket(_) | Topic::Person(_) => None,
    });
    let asked = orders.map(|id| {
        let api = visitor.api.clone();
        async move { api.order(id).await.map(drop) }
    });
    let asked = futures::stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    Ok(asked.try_collect::<()>().await?)
}

/// Until something has changed, or it is time to say that nothing has.
async fn something_to_say(listener: &Listener) {
    if tokio::time::timeout(HEARTBEAT, listener.woken()).await.is_ok() {
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Until the stream has to end: the service stops, the visitor's session is over, or it has lasted long enough.
fn end(app: &App, visitor: &Visitor) -> impl Future<Output = ()> + Send + 'static {
    let lifetime = Duration::from_secs(rand::random_range(LIFETIME));
    let session = visitor.until.map(|until| app.clock.now().until(until));
    let lifetime = session.map_or(lifetime, |session| session.min(lifetime));
    let stop = app.live.stop.clone();
    async move {
        stop.run_until_cancelled(tokio::time::sleep(lifetime)).await;
    }
}

fn retry() -> Event {
    Event::default().retry(Duration::from_millis(rand::random_range(RETRY)))
}

/// What has changed; then, in any case, how far the stream has got. Browsers keep that to themselves, so
/// without news it is the heartbeat.
fn events((news, position): (News, String)) -> Vec<Event> {
    let changed =
        |data: serde_json::Value| Event::default().event("changed").data(data.to_string());
    let anything = news.anything.then(|| changed(json!({})));
    let certain = news.changed.into_iter().map(|(topic, version)| match version {
        Some(version) => changed(json!({ "topic": topic.to_string(), "version": version })),
        None => changed(json!({ "topic": topic.to_string() })),
    });
    let reached = Event::default().id(position).comment("");
    anything.into_iter().chain(certain).chain([reached]).collect()
}

fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let mut response = Sse::new(events.map(Ok::<_, Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // To nginx: pass on each event at once.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}
