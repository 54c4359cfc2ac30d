//! The edge of every service: what each request passes on its way in and each answer on its way out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderMap, HeaderValue, Method, header};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, field};
use uuid::Uuid;

use crate::error::{Carried, Error, problems};
use crate::{telemetry, visitor};

/// How long a route may take, by method and path, where it isn't the service's usual time.
pub(crate) type Deadline = (Method, &'static str, Duration);

/// How an error becomes an answer: the error, what else the answer carries, and the request's id, by
/// which a person can point at our log.
pub type Rendering = fn(&Error, &Extensions, &str) -> Response;

#[derive(Clone)]
pub(crate) struct Edge {
    pub origin: Arc<str>,
    pub requests: TaskTracker,
    pub stop: CancellationToken,
    pub deadline: Duration,
    pub deadlines: Arc<[Deadline]>,
    pub errors: Rendering,
    pub trusted_proxies: usize,
}

impl Edge {
    /// From where the request comes, as far as it can be believed.
    fn visitor(&self, request: &Request) -> IpAddr {
        let caller = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let caller = caller.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip());
        visitor::address(request.headers(), caller, self.trusted_proxies)
    }

    fn deadline(&self, method: &Method, route: &str) -> Duration {
        let mut own = self.deadlines.iter().filter(|(of, at, _)| of == method && *at == route);
        own.next().map_or(self.deadline, |(.., deadline)| *deadline)
    }
}

/// What every request passes: it gets an id and a span, is checked for another site's hand, runs to its
/// end whether or not the client waits, and is answered, counted and logged once.
pub(crate) async fn edge(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let id = request_id(request.headers());
    let visitor = edge.visitor(&request);
    visitor::tell(request.headers_mut(), visitor);
    let span = tracing::info_span!(
        "request",
        request_id = id,
        %visitor,
        %method,
        path = request.uri().path(),
        trace_id = field::Empty,
    );
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    telemetry::continue_trace(&span, traceparent);
    let named = HeaderValue::from_str(&id).ok();
    if let Some(id) = named.clone() {
        // So that who asks another service on the visitor's behalf can hand it on.
        request.headers_mut().insert("x-request-id", id);
    }

    async {
        let response = if is_cross_site(&method, request.headers(), &edge.origin) {
            Error::refused(&problems::CROSS_SITE, "Writes are only taken from our own pages.")
                .into_response()
        } else {
            let deadline = edge.deadline(&method, &route);
            run_to_its_end(&edge.requests, deadline, next.run(request)).await
        };
        let mut response = finish(response, edge.errors, &id);
        if let Some(id) = named {
            response.headers_mut().insert("x-request-id", id);
        }
        if edge.stop.is_cancelled() {
            // The next request is for another replica.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let status = response.status().as_u16();
        let elapsed = started.elapsed();
        tracing::info!(status, milliseconds = elapsed.as_secs_f64() * 1e3, "answered");
        let labels =
            [("method", method.to_string()), ("route", route), ("status", status.to_string())];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed);
        response
    }
    .instrument(span)
    .await
}

/// A handler is a task of its own: a client that hangs up doesn't stop it between two writes (nor drop
/// a driver's future in the middle), a panic is a 500, and one that hangs is a 503.
async fn run_to_its_end(
    requests: &TaskTracker,
    deadline: Duration,
    response: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let response = requests.spawn(response.in_current_span());
    waited_for(deadline, response).await.unwrap_or_else(Error::into_response)
}

/// A part of a handler that has to be done sooner than the whole: run to its end like that, and waited
/// for so long. 503 says that something it needs is down, and not that it won't be done.
pub async fn within<T: Send + 'static>(
    limit: Duration,
    part: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    waited_for(limit, tokio::spawn(part.in_current_span())).await?
}

async fn waited_for<T>(limit: Duration, task: JoinHandle<T>) -> Result<T, Error> {
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => Err(Error::Internal(anyhow::anyhow!("the handler panicked: {panic}"))),
        Err(_) => Err(Error::Unavailable(anyhow::anyhow!("no answer within {limit:?}"))),
    }
}

/// Logs an error and writes its body, here and nowhere else.
fn finish(response: Response, render: Rendering, request_id: &str) -> Response {
    let Some(Carried(error)) = response.extensions().get::<Carried>().cloned() else {
        return response;
    };
    error.log();
    let mut rendered = render(&error, response.extensions(), request_id);
    for (name, value) in response.headers() {
        // `Allow`, cookies that are cleared: what came with the error stays with it.
        if name != header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}

/// The id that the gateway gave the request (which takes the same ones from outside), or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain)
    };
    given.filter(fits).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Whether a browser says that a write came from another site's page. Programs send neither header.
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Headers/Sec-Fetch-Site>
fn is_cross_site(method: &Method, headers: &HeaderMap, our_origin: &str) -> bool {
    if method.is_safe() {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    headers.get(header::ORIGIN).is_some_and(|origin| origin != our_origin)
}
