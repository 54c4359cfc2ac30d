//! Start and graceful shutdown.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::Context;
use tokio::{net::TcpListener, sync::watch, task};

use crate::{
    app::App,
    clock::Time,
    config::Config,
    connection::{AbortableListener, ConnectionAbort},
    journal::Journal,
    routes, scheduler,
    transaction::Options,
    webhooks::dispatcher,
};

/// How long a shutdown waits for requests in flight.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running double. It stops when dropped; [`StripeDouble::stop`] also waits until its files are closed.
#[derive(Debug)]
pub struct StripeDouble {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: task::JoinHandle<()>,
    scheduler: task::JoinHandle<()>,
    dispatcher: task::JoinHandle<()>,
    journal: JoinHandle<()>,
}

impl StripeDouble {
    /// # Errors
    ///
    /// When the address can't be listened on, or the journal can't be read or belongs to another process.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let dir = config.data_dir.clone();
        let (journal, ledger, writer) = task::spawn_blocking(move || Journal::open(&dir)).await??;
        let wanted = SocketAddr::new(config.host, config.port);
        let listener =
            TcpListener::bind(wanted).await.with_context(|| format!("can't listen on {wanted}"))?;
        let address = listener.local_addr()?;

        let (stop, stopping) = watch::channel(false);
        let url = format!("http://{address}");
        let options = Options {
            refund_settles_after: config.refund_settles_after,
            public_url: config.public_url.unwrap_or(url),
            webhook_retry_after: config.webhook_retry_after,
            webhook_timeout: config.webhook_timeout,
        };
        let app = App::new(
            Time::new(config.clock, ledger.clock_offset_ms),
            options,
            (journal, ledger),
            stopping.clone(),
        );
        let app = Arc::new(app);
        if let Some(webhook) = config.webhook {
            app.set_webhook(webhook.url, webhook.secret).await?;
        }
        // As Stripe, which follows no redirects.
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let scheduler = task::spawn(scheduler::run(app.clone()));
        let dispatcher = task::spawn(dispatcher::run(app.clone(), http));
        let service = routes::router(app).into_make_service_with_connect_info::<ConnectionAbort>();
        let server = task::spawn(async move {
            let serving = axum::serve(AbortableListener(listener), service)
                .with_graceful_shutdown(stopped(stopping.clone()));
            let overdue = async {
                stopped(stopping).await;
                tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
            };
            tokio::select! {
                result = serving.into_future() => if let Err(error) = result { tracing::error!(%error, "serving failed") },
                () = overdue => tracing::warn!("shutdown timed out with requests in flight"),
            }
        });
        Ok(Self { address, stop, server, scheduler, dispatcher, journal: writer })
    }

    /// `http://127.0.0.1:12111`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets requests in flight finish, and returns when the journal is closed.
    ///
    /// # Errors
    ///
    /// When the server, a background task or the journal's thread panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.server.await.context("the server panicked")?;
        self.scheduler.await.context("the scheduler panicked")?;
        self.dispatcher.await.context("the dispatcher of webhooks panicked")?;
        let journal = self.journal;
        let joined =
            tokio::time::timeout(SHUTDOWN_TIMEOUT, task::spawn_blocking(move || journal.join()));
        match joined.await.context("the journal is still in use")?? {
            Ok(()) => Ok(()),
            Err(_) => anyhow::bail!("the journal's thread panicked"),
        }
    }
}

/// Resolves at shutdown, also if the handle was dropped.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
