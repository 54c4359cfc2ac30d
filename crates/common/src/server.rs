//! The one function that serves any of our services: the HTTP API behind the same edge everywhere, the
//! admin port, the background work, and a graceful stop.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Parser;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use mongodb::Database;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_cookies::CookieManagerLayer;
use url::Url;

use crate::config::{DEFAULT_TRUSTED_PROXIES, ServerSettings};
use crate::edge::{Deadline, Edge, Rendering};
use crate::error::{Error, problems};
use crate::settings::{Unfit, ask_until_answered};
use crate::{connections, edge, mongo, telemetry};

/// The largest body that a service reads: a description of 5,000 characters fits many times.
const BODY_LIMIT: usize = 64 * 1024;
/// A request that isn't answered within this time is told that something is down.
const DEADLINE: Duration = Duration::from_secs(6);
/// What is under way when a service is told to stop may take so long to end.
const GRACE: Duration = Duration::from_secs(20);

type Deadlines = Vec<Deadline>;
type Background = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Check = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, Result<(), String>> + Send>;

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
    trusted_proxies: usize,
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
            trusted_proxies: DEFAULT_TRUSTED_PROXIES,
        }
    }

    /// How many proxies are believed when they say from where a request comes.
    pub fn trusted_proxies(mut self, count: usize) -> Self {
        self.trusted_proxies = count;
        self
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

    /// For a service whose requests may rightly take longer than six seconds.
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
        let stop = stop.child_token();
        let requests = TaskTracker::new();
        let edge = Edge {
            origin: public_url.origin().ascii_serialization().into(),
            requests: requests.clone(),
            stop: stop.clone(),
            deadline: self.deadline,
            deadlines: self.deadlines.into(),
            errors: self.errors,
            trusted_proxies: self.trusted_proxies,
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
            .layer(middleware::from_fn_with_state(edge, edge::edge));

        let background_stop = CancellationToken::new();
        let background = TaskTracker::new();
        for work in self.background {
            background.spawn(work(background_stop.clone()));
        }
        background.close();
        let wrong = watch(self.checks, &stop);

        let admin_app = admin_routes(self.readiness);
        let admin_server = tokio::spawn(axum::serve(admin, admin_app).into_future());
        tracing::info!(service = self.name, address = %api.local_addr()?, "serving");
        let server = tokio::spawn(connections::serve(api, app, stop.clone()));

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
        let service = build.await?.trusted_proxies(server.trusted_proxies);
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
