//! The middleware of every service: request id, tracing, cross-site protection, time limit, errors, metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use common::problem;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use metrics::SharedString;
use telemetry::spans;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, field};
use url::Url;
use uuid::Uuid;

use crate::auth::bearer;
use crate::caller::Caller;
use crate::client_ip;
use crate::error::{Error, ErrorExtension};
use crate::rate_limit::RateLimiter;
use crate::unread_body;

/// The time limit of a route, by method and path, where it differs from the service's.
pub(crate) type RouteTimeout = (Method, &'static str, Duration);

/// The largest body that a service reads: a description of 5,000 characters fits many times.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// How an error becomes a response: the error, the response's other extensions, and the request's id.
pub type RenderError = fn(&Error, &Extensions, &str) -> Response;

/// What browsers send as the origin of a sandboxed or local page. It equals nothing, not even itself.
const OPAQUE_ORIGIN: &str = "null";
/// For a year, browsers reach the site over https only, whatever a link says (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

#[derive(Clone)]
pub(crate) struct Middleware {
    pub is_https: bool,
    pub origin: Arc<str>,
    pub requests: TaskTracker,
    pub in_flight: Arc<Semaphore>,
    /// Of these, the requests that are shed first.
    pub dispensable: Arc<Semaphore>,
    pub shed_first: Arc<[(Method, &'static str)]>,
    pub stop: CancellationToken,
    pub timeout: Duration,
    pub route_timeouts: Arc<[RouteTimeout]>,
    pub render_error: RenderError,
    pub trusted_proxies: usize,
    pub rate_limiter: Option<Arc<RateLimiter>>,
}

impl Middleware {
    fn client_ip(&self, request: &Request) -> IpAddr {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip());
        client_ip::address(request.headers(), peer, self.trusted_proxies)
    }

    fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        self.rate_limiter.as_ref().map_or(Ok(()), |it| it.admit(client, Instant::now()))
    }

    /// Permission to work on a request; none if there are too many.
    fn place(&self, method: &Method, route: &str) -> Option<InFlight> {
        let place = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let is_dispensable = self.shed_first.iter().any(|(of, at)| of == method && *at == route);
        let dispensable = if is_dispensable { Some(place(&self.dispensable)?) } else { None };
        Some(InFlight { _of_all: place(&self.in_flight)?, _dispensable: dispensable })
    }

    fn timeout(&self, method: &Method, route: &str) -> Duration {
        let mut own = self.route_timeouts.iter().filter(|(of, at, _)| of == method && *at == route);
        own.next().map_or(self.timeout, |(.., timeout)| *timeout)
    }
}

/// A request is worked on until it is dropped.
struct InFlight {
    _of_all: OwnedSemaphorePermit,
    _dispensable: Option<OwnedSemaphorePermit>,
}

/// Every request gets an id and a span, is refused if it comes from another site's page, runs to completion whether or not
/// the client waits, and is counted and logged once. Of too many at once, some are refused.
pub(crate) async fn handle(
    State(middleware): State<Middleware>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let mut request = request.map(|body| unread_body::discard_when_dropped(body, BODY_LIMIT));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let route: Arc<str> = route.into();
    let id = request_id(request.headers());
    let client_ip = middleware.client_ip(&request);
    client_ip::rewrite_forwarded_for(request.headers_mut(), client_ip);
    let path = request.uri().path();
    let span = tracing::info_span!(
        "request",
        request_id = id,
        client_net = %client_ip::anonymised(client_ip),
        %method,
        path,
        trace_id = field::Empty,
    );
    let traceparent =
        request.headers().get(telemetry::TRACEPARENT).and_then(|value| value.to_str().ok());
    let asked = spans::HttpRequest { method: method_label(&method), route: &route, path };
    let span = spans::http_server(span, &asked, traceparent);
    let id_header = HeaderValue::from_str(&id).ok();
    if let Some(id) = id_header.clone() {
        // A handler that calls another service forwards it.
        request.headers_mut().insert("x-request-id", id);
    }

    // Until there is a response, or this future is dropped because the client has disconnected.
    let caller = Caller::default();
    let _gone = caller.gone_when_dropped();
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(client_ip::ClientIp(client_ip));

    async {
        let response = if is_cross_site(&method, request.headers(), &middleware.origin) {
            Error::refused(&problem::CROSS_SITE, "Writes are only accepted from our own pages.")
                .into_response()
        } else if let Err(wait) = middleware.admit(client_ip) {
            too_many_requests(wait)
        } else {
            match middleware.place(&method, &route) {
                Some(permit) => {
                    let timeout = middleware.timeout(&method, &route);
                    let response = next.run(request);
                    run_to_completion(&middleware.requests, permit, timeout, response).await
                }
                None => {
                    metrics::counter!("http_requests_shed_total").increment(1);
                    let error = anyhow::anyhow!("too many requests are in flight");
                    Error::Unavailable(error).into_response()
                }
            }
        };
        let mut response = render_error(response, middleware.render_error, &id);
        if middleware.is_https {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Some(id) = id_header {
            response.headers_mut().insert("x-request-id", id);
        }
        if middleware.stop.is_cancelled() {
            // The next request should go to another replica.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let status = response.status();
        let elapsed = started.elapsed();
        let milliseconds = elapsed.as_secs_f64() * 1e3;
        tracing::info!(status = status.as_u16(), milliseconds, "request completed");
        spans::http_served(&Span::current(), status.as_u16());
        record(&method, route, status, elapsed);
        response
    }
    .instrument(span)
    .await
}

/// Counts a request. Every label has few values, whatever clients send: a method by its [`method_label`], and the route's
/// pattern, not the path.
fn record(method: &Method, route: Arc<str>, status: StatusCode, elapsed: Duration) {
    let labels: [(_, SharedString); 3] = [
        ("method", method_label(method).into()),
        ("route", route.into()),
        ("status", Arc::<str>::from(status.as_str()).into()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed);
}

/// The method, if HTTP defines it. A client may send any token as one, and each value of a label is a series that is
/// kept indefinitely.
fn method_label(method: &Method) -> &'static str {
    const DEFINED: [(Method, &str); 9] = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::CONNECT, "CONNECT"),
        (Method::TRACE, "TRACE"),
    ];
    DEFINED.iter().find(|(defined, _)| defined == method).map_or("other", |(_, label)| label)
}

/// In whole seconds, as the header has it (RFC 9110 §10.2.3).
fn too_many_requests(wait: Duration) -> Response {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    let detail = format!("Too many requests from your address. Try again in {seconds} s.");
    let mut response = Error::refused(&problem::TOO_MANY_REQUESTS, detail).into_response();
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// A handler is a task of its own: a client that disconnects doesn't stop it between two writes (or drop a driver's
/// future half-way), a panic is a 500, and a handler that exceeds its time limit is a 503. It is in flight until it
/// completes; the body of its response, which may be a stream, is not counted.
async fn run_to_completion(
    requests: &TaskTracker,
    permit: InFlight,
    timeout: Duration,
    response: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let work = async move {
        let _permit = permit;
        response.await
    };
    let response = requests.spawn(work.in_current_span());
    wait_for(timeout, response).await.unwrap_or_else(Error::into_response)
}

/// Runs a part of a handler that has a shorter time limit than the whole, to completion likewise. 503 means that a
/// dependency is slow, not that the part won't complete.
pub async fn with_timeout<T: Send + 'static>(
    timeout: Duration,
    part: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    wait_for(timeout, tokio::spawn(part.in_current_span())).await?
}

async fn wait_for<T>(timeout: Duration, task: JoinHandle<T>) -> Result<T, Error> {
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => Err(Error::Internal(anyhow::anyhow!("the handler panicked: {panic}"))),
        Err(_) => Err(Error::Unavailable(anyhow::anyhow!("not completed within {timeout:?}"))),
    }
}

/// Logs an error and writes its body; nothing else does.
fn render_error(response: Response, render: RenderError, request_id: &str) -> Response {
    let Some(ErrorExtension(error)) = response.extensions().get::<ErrorExtension>().cloned() else {
        return response;
    };
    error.log();
    let mut rendered = render(&error, response.extensions(), request_id);
    for (name, value) in response.headers() {
        // `Allow`, cookies that are cleared: other headers of the error's response are kept.
        if name != header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}

/// The id that the gateway assigned (or accepted from the client, by the same rule), or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain)
    };
    given.filter(fits).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Whether a browser declares that a write comes from another site's page. Programs send neither header.
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Headers/Sec-Fetch-Site>
///
/// A page's origin is ours if it is that of `PUBLIC_URL`, or that of the very address that the request was sent to: a
/// site may be open under another name as well, such as 127.0.0.1 for localhost.
fn is_cross_site(method: &Method, headers: &HeaderMap, public_origin: &str) -> bool {
    // Browsers add a cookie to another site's request, but never this header.
    if method.is_safe() || bearer(headers).is_some() {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    headers.get(header::ORIGIN).is_some_and(|origin| {
        origin != public_origin
            && requested_origin(headers).is_none_or(|own| origin != own.as_str())
    })
}

/// The origin that the request was sent to: its Host, with the scheme that the gateway has seen. A page of another site
/// can set neither.
fn requested_origin(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    // Of several proxies, the first one has seen the client's scheme.
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let scheme = forwarded.and_then(|schemes| schemes.split(',').next()).map_or("http", str::trim);
    let url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    Some(url.origin().ascii_serialization()).filter(|origin| origin != OPAQUE_ORIGIN)
}
