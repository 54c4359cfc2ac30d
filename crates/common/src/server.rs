//! The one function that serves any of our services: the HTTP API behind the same edge everywhere, the
//! admin port, the background work, and a graceful stop.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use clap::Parser;
use futures::future::BoxFuture;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use mongodb::Database;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_cookies::CookieManagerLayer;
use tracing::{Instrument, field};
use url::Url;
use uuid::Uuid;

use crate::config::ServerSettings;
use crate::door::Door;
use crate::error::{Carried, Error, problems};
use crate::settings::{Unfit, ask_until_answered};
use crate::{mongo, telemetry};

/// The largest body that a service reads: a description of 5,000 characters fits many times.
const BODY_LIMIT: usize = 64 * 1024;
/// A request that isn't answered within this time is told that something is down.
const DEADLINE: Duration = Duration::from_secs(6);
/// What is under way when a service is told to stop may take so long to end.
const GRACE: Duration = Duration::from_secs(20);

/// By method and route, where it isn't the service's usual one.
type Deadlines = Vec<(Method, &'static str, Duration)>;
type Background = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Check = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, Result<(), String>> + Send>;

/// How an error becomes an answer: the error, what else the answer carries, and the request's id, by
/// which a person can point at our log.
pub type Rendering = fn(&Error, &Extensions, &str) -> Response;

/// A service, ready to be served: its routes, what it takes to serve them, and what it does in the
/// background.
pub struct Service {
    name: &'static str,
    routes: Router,
    readiness: Readiness,
    background: VecDeque<Background>,
    checks: Vec<Check>,
    deadline: Duration,
    deadlines: Deadlines,
    errors: Rendering,
    on_stop: CancellationToken,
}

impl Service {
    /// `readiness` says when it can answer requests: a database, while it answers; or
    /// [`Readiness::Always`].
    pub fn new(name: &'static str, routes: Router, readiness: impl Into<Readiness>) -> Self {
        Service {
            name,
            routes,
            readiness: readiness.into(),
            background: VecDeque::new(),
            checks: Vec::new(),
            deadline: DEADLINE,
            deadlines: Deadlines::new(),
            errors: |error, _, request_id| error.render(request_id),
            on_stop: CancellationToken::new(),
        }
    }

    /// For a service whose clients are people: how it shows an error, instead of by a problem document.
    pub fn errors(mut self, errors: Rendering) -> Self {
        self.errors = errors;
        self
    }

    /// Work that runs as long as the service does, until its token is cancelled.
    pub fn background<F, Fut>(mut self, work: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.background.push_back(Box::new(|stop| Box::pin(work(stop))));
        self
    }

    /// Cancels the token as soon as the service is told to stop, before it waits for what is under way: for
    /// answers that go on for as long as somebody listens.
    pub fn on_stop(mut self, token: CancellationToken) -> Self {
        self.on_stop = token;
        self
    }

    /// Asks a server, until it answers, whether it is set to keep what it acknowledges. Meanwhile the
    /// service serves; a wrong setting stops it.
    pub fn checked<F>(
        mut self,
        server: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Unfit>> + Send + 'static,
    {
        self.checks.push(Box::new(move |stop| Box::pin(ask_until_answered(server, check, stop))));
        self
    }

    /// For a service whose requests may rightly take longer than [`DEADLINE`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// For a route whose requests may rightly take longer than others'.
    pub fn deadline_of(mut self, method: Method, route: &'static str, deadline: Duration) -> Self {
        self.deadlines.push((method, route, deadline));
        self
    }

    /// Serves until `stop` is cancelled; then takes nothing new, ends what is under way, and returns. A
    /// server that turns out to be set wrongly ends it in the same way, with an error.
    pub async fn serve(
        self,
        api: TcpListener,
        admin: TcpListener,
        public_url: &Url,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        // From here on everything counts.
        telemetry::metrics();
        let requests = TaskTracker::new();
        let edge = Edge {
            origin: public_url.origin().ascii_serialization().into(),
            requests: requests.clone(),
            deadline: self.deadline,
            deadlines: self.deadlines.into(),
            errors: self.errors,
        };
        let app = self
            .routes
            .fallback(|| async { Error::not_found("page") })
            .method_not_allowed_fallback(|method: Method| async move {
                Error::refused(
                    &problems::METHOD_NOT_ALLOWED,
                    format!("{method} is not taken here."),
                )
            })
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(CookieManagerLayer::new())
            .layer(middleware::from_fn_with_state(edge, self::edge));

        let background_stop = CancellationToken::new();
        let background = TaskTracker::new();
        for work in self.background {
            background.spawn(work(background_stop.clone()));
        }
        background.close();
        let stop = stop.child_token();
        let wrong = watch(self.checks, &stop);

        let admin_app = admin_routes(self.readiness);
        let admin_server = tokio::spawn(axum::serve(admin, admin_app).into_future());
        tracing::info!(service = self.name, address = %api.local_addr()?, "serving");
        let api = Door::new(api, stop.clone())?;
        let closed = api.closed();
        // Else an answer on a kept connection waits up to 40 ms for the client's delayed acknowledgement.
        let api = api.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY");
            }
        });
        let server =
            tokio::spawn(axum::serve(api, app).with_graceful_shutdown(closed).into_future());

        stop.cancelled().await;
        self.on_stop.cancel();
        let rest = async {
            // First the requests, whose events the relay then still publishes.
            server.await??;
            requests.close();
            requests.wait().await;
            background_stop.cancel();
            background.wait().await;
            anyhow::Ok(())
        };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!("stopped before all work had ended; it goes on at the next start");
        }
        admin_server.abort();
        wrong.await?.map_err(anyhow::Error::msg)
    }
}

/// Makes the checks. The first one that finds a wrong setting stops the service; the task ends with it.
fn watch(checks: Vec<Check>, stop: &CancellationToken) -> JoinHandle<Result<(), String>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let checks = checks.into_iter().map(|check| check(stop.clone()));
        let outcome = futures::future::try_join_all(checks).await;
        if outcome.is_err() {
            stop.cancel();
        }
        outcome.map(drop)
    })
}

/// 201, with where the new thing is and the version it has (RFC 9110 §15.3.2).
pub fn created(location: &str, version: i64, body: impl IntoResponse) -> Response {
    let mut response = (StatusCode::CREATED, personal(Some(version), body)).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// 202: it is under way, and will be seen there (RFC 9110 §15.3.3).
pub fn accepted(location: &str, body: impl IntoResponse) -> Response {
    let mut response = created(location, 0, body);
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().remove(header::ETAG);
    response
}

/// An answer that is for one person alone, and the version of the one thing that it shows.
pub fn personal(version: Option<i64>, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(tag) =
        version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok())
    {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// What the `main` of a service without operator's commands calls: settings from the environment, telemetry, build, serve until SIGTERM.
pub async fn main<S, F>(
    name: &'static str,
    server: impl Fn(&S) -> &ServerSettings,
    build: impl FnOnce(S) -> F,
) -> ExitCode
where
    S: Parser,
    F: Future<Output = anyhow::Result<Service>>,
{
    let settings = S::parse();
    run(name, server(&settings).clone(), build(settings)).await
}

/// Builds a service and serves it until SIGTERM.
pub(crate) async fn run(
    name: &'static str,
    server: ServerSettings,
    build: impl Future<Output = anyhow::Result<Service>>,
) -> ExitCode {
    let result = async {
        telemetry::init(name, &server.log).context("LOG")?;
        let api = bind("PORT", SocketAddr::new(server.host, server.port)).await?;
        let admin = bind("ADMIN_PORT", SocketAddr::new(server.host, server.admin_port)).await?;
        let service = build.await?;
        service.serve(api, admin, &server.public_url, on_signal()?).await
    };
    match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{name} stops");
            ExitCode::FAILURE
        }
    }
}

async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{setting}: can't listen on {address}"))
}

/// A token that SIGTERM or SIGINT cancels.
fn on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    Ok(stop)
}

/// What it takes to answer a request.
#[derive(Clone)]
pub enum Readiness {
    /// To serve.
    Always,
    /// That MongoDB answers. A broker that is down stops no sale.
    Mongo(Database),
}

impl From<Database> for Readiness {
    fn from(database: Database) -> Self {
        Readiness::Mongo(database)
    }
}

fn admin_routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(|| async { telemetry::metrics().render() }))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let ready = match readiness {
        Readiness::Always => true,
        Readiness::Mongo(database) => {
            let ping = tokio::spawn(async move { mongo::ping(&database).await });
            matches!(tokio::time::timeout(Duration::from_secs(2), ping).await, Ok(Ok(Ok(()))))
        }
    };
    if ready {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "MongoDB doesn't answer\n").into_response()
    }
}

#[derive(Clone)]
struct Edge {
    origin: Arc<str>,
    requests: TaskTracker,
    deadline: Duration,
    deadlines: Arc<[(Method, &'static str, Duration)]>,
    errors: Rendering,
}

impl Edge {
    fn deadline(&self, method: &Method, route: &str) -> Duration {
        let mut own = self.deadlines.iter().filter(|(of, at, _)| of == method && *at == route);
        own.next().map_or(self.deadline, |(.., deadline)| *deadline)
    }
}

/// What every request passes: it gets an id and a span, is checked for another site's hand, runs to its
/// end whether or not the client waits, and is answered, counted and logged once.
async fn edge(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let id = request_id(request.headers());
    let span = tracing::info_span!(
        "request",
        request_id = id,
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
