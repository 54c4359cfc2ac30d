//! The server of every service: its routes behind the same middleware, the admin port, background tasks, and graceful
//! shutdown.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::problem;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_cookies::CookieManagerLayer;
use url::Url;

use crate::error::Error;
use crate::middleware::{BODY_LIMIT, Middleware, RenderError, RouteTimeout};
use crate::rate_limit::RateLimiter;
use crate::settings::DEFAULT_TRUSTED_PROXIES;
use crate::{auth, graceful_shutdown, middleware};

/// A request that isn't answered within this time is answered 503.
const TIMEOUT: Duration = Duration::from_secs(6);
/// How many requests a service works on at once. More are answered 503: a request that waits for a turn behind so many
/// would exceed its time limit, and each takes memory while it waits.
const MAX_IN_FLIGHT: usize = 512;
/// How long requests and background tasks may take to end when a service is stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

type Task = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Check = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, Result<(), String>> + Send>;
type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A service, ready to be served: its routes, what it takes to serve them, and its background tasks.
pub struct Service {
    name: &'static str,
    routes: Router,
    readiness: Option<Probe>,
    background: VecDeque<(&'static str, Task)>,
    checks: Vec<Check>,
    timeout: Duration,
    route_timeouts: Vec<RouteTimeout>,
    render_error: RenderError,
    on_stop: CancellationToken,
    trusted_proxies: usize,
    rate_limiter: Option<RateLimiter>,
    max_in_flight: usize,
    shed_first: Vec<(Method, &'static str)>,
}

impl Service {
    /// Ready as soon as it serves, unless [`Service::ready_when`] says more.
    pub fn new(name: &'static str, routes: Router) -> Self {
        Service {
            name,
            routes,
            readiness: None,
            background: VecDeque::new(),
            checks: Vec::new(),
            timeout: TIMEOUT,
            route_timeouts: Vec::new(),
            render_error: |error, _, request_id| error.render(request_id),
            on_stop: CancellationToken::new(),
            trusted_proxies: DEFAULT_TRUSTED_PROXIES,
            rate_limiter: None,
            max_in_flight: MAX_IN_FLIGHT,
            shed_first: Vec::new(),
        }
    }

    /// What it takes to answer requests: `/readyz` calls it, and responds 503 with its error.
    pub fn ready_when<F>(mut self, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.readiness = Some(Arc::new(move || Box::pin(probe())));
        self
    }

    /// The number of proxies in front, whose entries in `X-Forwarded-For` are trusted.
    pub fn trusted_proxies(mut self, count: usize) -> Self {
        self.trusted_proxies = count;
        self
    }

    /// The number of requests per second that are accepted from one client, with bursts of five times as many.
    pub fn requests_per_second(mut self, limit: Option<NonZeroU32>) -> Self {
        self.rate_limiter = limit.map(RateLimiter::new);
        self
    }

    /// How many requests are worked on at once, where it isn't 512.
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = count;
        self
    }

    /// Requests that people can do without for a moment, such as looking at a list: they leave a quarter of what is in flight
    /// to all others, so that in a rush buyers with a reservation can pay it or give it back.
    pub fn shed_first(mut self, requests: &[(Method, &'static str)]) -> Self {
        self.shed_first.extend_from_slice(requests);
        self
    }

    /// Renders errors as pages, for a service whose clients are browsers, instead of as problem documents.
    pub fn render_errors(mut self, render: RenderError) -> Self {
        self.render_error = render;
        self
    }

    /// A task that runs as long as the service does, until its token is cancelled. If it ends earlier, or panics, the
    /// service stops with an error that names it: without it, work would be left undone silently.
    pub fn background<F, Fut>(mut self, name: &'static str, work: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.background.push_back((name, Box::new(|stop| Box::pin(work(stop)))));
        self
    }

    /// The same service without this background task: to try whether its absence is noticed.
    pub fn without(mut self, background: &str) -> Self {
        self.background.retain(|(name, _)| *name != background);
        self
    }

    /// A token to cancel at the beginning of the shutdown, before requests in flight are waited for: for responses
    /// that stream for as long as the client stays.
    pub fn on_stop(mut self, token: CancellationToken) -> Self {
        self.on_stop = token;
        self
    }

    /// A check that runs beside the service until it succeeds; if it fails, the service stops.
    pub fn check<F, Fut>(mut self, check: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Box::new(|stop| Box::pin(check(stop))));
        self
    }

    /// The time limit of all routes, where it isn't six seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time limit of one route.
    pub fn route_timeout(mut self, method: Method, route: &'static str, timeout: Duration) -> Self {
        self.route_timeouts.push((method, route, timeout));
        self
    }

    /// Serves until `stop` is cancelled; then accepts nothing new, completes what is in flight, and returns. A failed
    /// check ends it in the same way, with an error.
    pub async fn serve(
        self,
        api: TcpListener,
        admin: impl Into<AdminPort>,
        public_url: &Url,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let admin = admin.into();
        let stop = stop.child_token();
        let requests = TaskTracker::new();
        let layer = Middleware {
            is_https: auth::is_https(public_url),
            origin: public_url.origin().ascii_serialization().into(),
            requests: requests.clone(),
            in_flight: Arc::new(Semaphore::new(self.max_in_flight)),
            dispensable: Arc::new(Semaphore::new(self.max_in_flight / 4 * 3)),
            shed_first: self.shed_first.into(),
            stop: stop.clone(),
            timeout: self.timeout,
            route_timeouts: self.route_timeouts.into(),
            render_error: self.render_error,
            trusted_proxies: self.trusted_proxies,
            rate_limiter: self.rate_limiter.map(Arc::new),
        };
        let app = self
            .routes
            .fallback(|| async { Error::not_found("page") })
            .method_not_allowed_fallback(|method: Method| async move {
                let detail = format!("{method} is not allowed here; see Allow.");
                Error::refused(&problem::METHOD_NOT_ALLOWED, detail)
            })
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(CookieManagerLayer::new())
            .layer(from_fn_with_state(layer, middleware::handle));

        let background_stop = CancellationToken::new();
        let background = TaskTracker::new();
        let ended_early = Arc::new(OnceLock::new());
        for (name, work) in self.background {
            let (ended_early, stop) = (Arc::clone(&ended_early), stop.clone());
            let background_stop = background_stop.clone();
            background.spawn(async move {
                let ended = tokio::spawn(work(background_stop)).await;
                if !stop.is_cancelled() {
                    let why =
                        ended.map_or_else(|panic| panic.to_string(), |()| "it returned".to_owned());
                    // Only the first matters.
                    let _ =
                        ended_early.set(format!("the background task {name} ended early: {why}"));
                    stop.cancel();
                }
            });
        }
        background.close();
        let checks = run_checks(self.checks, &stop);

        // It is set once: the port is this service's alone.
        let _ = admin.readiness.set(self.readiness);
        tracing::info!(service = self.name, address = %api.local_addr()?, "serving");
        let server = tokio::spawn(graceful_shutdown::serve(api, app, stop.clone()));

        stop.cancelled().await;
        self.on_stop.cancel();
        let rest = async {
            // Requests first: the relay then still publishes their events.
            server.await??;
            requests.close();
            requests.wait().await;
            background_stop.cancel();
            background.wait().await;
            anyhow::Ok(())
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, rest).await.is_err() {
            tracing::warn!("shutdown timed out, remaining work continues at the next start");
        }
        admin.server.abort();
        if let Some(early) = ended_early.get() {
            anyhow::bail!("{early}");
        }
        checks.await?.map_err(anyhow::Error::msg)
    }
}

/// Runs the checks. The first that fails stops the service, and is the task's result.
fn run_checks(checks: Vec<Check>, stop: &CancellationToken) -> JoinHandle<Result<(), String>> {
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

/// The admin port. It responds before the service does: while a dependency is waited for at the start, the process is
/// alive and not ready.
pub struct AdminPort {
    readiness: Readiness,
    server: JoinHandle<std::io::Result<()>>,
}

/// Not set until the service serves.
type Readiness = Arc<OnceLock<Option<Probe>>>;

impl From<TcpListener> for AdminPort {
    fn from(listener: TcpListener) -> Self {
        // Before the first metric is recorded.
        telemetry::metrics();
        let readiness = Readiness::default();
        let routes = admin_routes(Arc::clone(&readiness));
        let server = tokio::spawn(axum::serve(listener, routes).into_future());
        AdminPort { readiness, server }
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
    let ready = match readiness.get() {
        None => Err("starting".to_owned()),
        Some(None) => Ok(()),
        Some(Some(probe)) => probe().await,
    };
    match ready {
        Ok(()) => "ready\n".into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")).into_response(),
    }
}
