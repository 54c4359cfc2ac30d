//! From `main` to a running service: settings, telemetry, sockets, signals.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::{AdminPort, Service};
use crate::settings::ServerSettings;

/// The `main` of a service without admin commands: reads its settings, and serves until SIGTERM.
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
pub async fn run(
    name: &'static str,
    server: ServerSettings,
    build: impl Future<Output = anyhow::Result<Service>>,
) -> ExitCode {
    let spans = match telemetry::init_with(name, &server.log, &server.tracing) {
        Ok(spans) => spans,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let result = async {
        raise_file_limit();
        let api = bind("PORT", SocketAddr::new(server.host, server.port)).await?;
        let admin = bind("ADMIN_PORT", SocketAddr::new(server.host, server.admin_port)).await?;
        let admin = AdminPort::from(admin);
        let service = build.await?;
        let service = service.trusted_proxies(server.trusted_proxies);
        let service = service.requests_per_second(server.requests_per_second);
        service.serve(api, admin, &server.public_url, on_signal()?).await
    };
    let code = match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{name} stopped");
            ExitCode::FAILURE
        }
    };
    // Waits for the thread that sends them, which needs no runtime.
    drop(tokio::task::spawn_blocking(|| spans.shut_down()).await);
    code
}

/// Permits as many open files as the system lets this process have: each visitor with a live page takes one, and the limit
/// that a process begins with is often 1,024. It is only a precaution: what can't be raised stays as it is.
fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, most)
    {
        tracing::warn!(%error, "the limit of open files isn't raised");
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
        tracing::info!("shutting down");
        token.cancel();
    });
    Ok(stop)
}
