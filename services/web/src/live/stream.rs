//! `GET /live?since=RESUME_TOKEN&topic=ticket:ID&topic=order:ID&topic=me`: invalidations of these topics.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::BTreeSet;
use std::convert::Infallible;
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

use super::hub::{Pending, Subscription};
use super::places::Holder;
use super::topic::{ME, Topic};
use crate::state::App;
use crate::visitor::{Identity, Visitor};

/// How many topics a page may subscribe to: those of the longest list, and some more.
const MAX_TOPICS: usize = 110;
/// Keeps idle connections open at every proxy in between.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Invalidations within this time are sent together: one purchase publishes several events.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// The lifetime of a stream in seconds. Browsers reopen it, with the visitor's session as it is then.
const LIFETIME_SECONDS: std::ops::Range<u64> = 12 * 60..15 * 60;
/// After how many milliseconds a browser reconnects, with jitter.
const RETRY_MILLIS: std::ops::Range<u64> = 1_000..5_000;
const LATE_RETRY: Duration = Duration::from_secs(60);
/// How many orders are requested concurrently.
const CONCURRENT_REQUESTS: usize = 8;
/// `Retry-After`, in seconds, while all slots are taken.
const RETRY_AFTER_SECONDS: &str = "60";

#[derive(Deserialize)]
pub struct Params {
    #[serde(default)]
    topic: Vec<String>,
    since: Option<String>,
}

pub async fn open(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Response> {
    let topics = topics(&params.topic, &visitor)?;
    let Some(place) = app.live.places.take(holder(&visitor, &headers)) else {
        let later = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)];
        return Ok((StatusCode::SERVICE_UNAVAILABLE, later).into_response());
    };
    authorize(&visitor, &topics).await?;

    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let gives_way = place.gives_way();
    let subscription = app.live.hub.subscribe(topics, last.or(params.since.as_deref()));
    let events = futures::stream::unfold(
        (subscription, place, true),
        |(subscription, place, first)| async move {
            if !first {
                changed_or_heartbeat(&subscription).await;
            }
            let events = events(subscription.take_pending());
            Some((futures::stream::iter(events), (subscription, place, false)))
        },
    );
    let events = futures::stream::iter([retry()]).chain(events.flatten());
    let end = end(&app, &visitor);
    let ended = {
        let gives_way = gives_way.clone();
        async move {
            gives_way.run_until_cancelled(end).await;
        }
    };
    let last = async move { gives_way.is_cancelled().then(retry_late) };
    let last = futures::stream::once(last).filter_map(std::future::ready);
    Ok(respond(events.take_until(ended).chain(last)))
}

/// Whose limit the stream counts against. The middleware has replaced the header by the one trusted address.
fn holder(visitor: &Visitor, headers: &HeaderMap) -> Holder {
    match visitor.user() {
        Some(user) => Holder::User(user.id),
        None => {
            let address = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
            Holder::Address(address.and_then(|address| address.parse().ok()))
        }
    }
}

/// Parses the requested topics. `me` requires a session.
fn topics(names: &[String], visitor: &Visitor) -> Result<BTreeSet<Topic>> {
    let invalid = |message: &str| Error::invalid([Violation::of("topic", message)]);
    if names.is_empty() || names.len() > MAX_TOPICS {
        return Err(invalid(&format!("must be named 1 to {MAX_TOPICS} times")));
    }
    let me = match &visitor.identity {
        Identity::SignedIn(user) => Some(user.id),
        Identity::Anonymous if names.iter().any(|name| name == ME) => {
            return Err(Error::not_signed_in());
        }
        Identity::SessionUnknown if names.iter().any(|name| name == ME) => {
            return Err(Error::Unavailable(anyhow::anyhow!("session renewal failed")));
        }
        Identity::Anonymous | Identity::SessionUnknown => None,
    };
    let expected = "must be ticket:ID, order:ID or me";
    names.iter().map(|name| Topic::parse(name, me).ok_or_else(|| invalid(expected))).collect()
}

/// Checks with the API that the visitor may see the orders. Tickets are public.
async fn authorize(visitor: &Visitor, topics: &BTreeSet<Topic>) -> Result<()> {
    let orders = topics.iter().filter_map(|topic| match topic {
        Topic::Order(id) => Some(*id),
        Topic::Ticket(_) | Topic::User(_) => None,
    });
    let requests = orders.map(|id| {
        let api = visitor.api.clone();
        async move { api.order(id).await.map(drop) }
    });
    let requests =
        futures::stream::iter(requests.collect::<Vec<_>>()).buffer_unordered(CONCURRENT_REQUESTS);
    Ok(requests.try_collect::<()>().await?)
}

/// Waits for an invalidation, or for the next heartbeat.
async fn changed_or_heartbeat(subscription: &Subscription) {
    if tokio::time::timeout(HEARTBEAT, subscription.notified()).await.is_ok() {
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Waits until the stream has to end: the service stops, the session ends, or the lifetime is over.
fn end(app: &App, visitor: &Visitor) -> impl Future<Output = ()> + Send + 'static {
    let lifetime = Duration::from_secs(rand::random_range(LIFETIME_SECONDS));
    let session = visitor.session_until.map(|until| app.clock.now().until(until));
    let lifetime = session.map_or(lifetime, |session| session.min(lifetime));
    let stop = app.live.stop.clone();
    async move {
        stop.run_until_cancelled(tokio::time::sleep(lifetime)).await;
    }
}

/// A stream that gave way to a newer one of the same visitor comes back after a minute, not at once: it would take that
/// one's place.
fn retry_late() -> Event {
    Event::default().retry(LATE_RETRY)
}

fn retry() -> Event {
    Event::default().retry(Duration::from_millis(rand::random_range(RETRY_MILLIS)))
}

/// The invalidations, then the resume token. Without invalidations, it is the heartbeat: pages don't see it.
fn events((pending, resume_token): (Pending, String)) -> Vec<Event> {
    let changed =
        |data: serde_json::Value| Event::default().event("changed").data(data.to_string());
    let resync = pending.resync.then(|| changed(json!({})));
    let topics = pending.changed.into_iter().map(|(topic, version)| match version {
        Some(version) => changed(json!({ "topic": topic.to_string(), "version": version })),
        None => changed(json!({ "topic": topic.to_string() })),
    });
    let token = Event::default().id(resume_token).comment("");
    resync.into_iter().chain(topics).chain([token]).collect()
}

fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let mut response = Sse::new(events.map(Ok::<_, Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // nginx must not buffer events.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}
