//! Start and shutdown.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch, task};

use crate::{
    config::Config,
    faults::Faults,
    mailbox::Mailbox,
    routes,
    session::{self, Rules},
    state::State,
    stats::Stats,
    tls::Identity,
};

/// How long a shutdown waits for requests in flight.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running double. It stops when dropped.
#[derive(Debug)]
pub struct MailDouble {
    page: SocketAddr,
    smtp: SocketAddr,
    certificate: String,
    stop: watch::Sender<bool>,
    tasks: Vec<task::JoinHandle<()>>,
}

impl MailDouble {
    /// # Errors
    ///
    /// When an address can't be listened on, or the mails of an earlier process can't be read.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let directory = config.data_dir.clone();
        let mailbox = task::spawn_blocking(move || Mailbox::open(&directory)).await??;
        let (http, page) = bind(SocketAddr::new(config.host, config.port)).await?;
        let (smtp_listener, smtp) = bind(SocketAddr::new(config.host, config.smtp_port)).await?;
        let identity = Identity::generate()?;
        let certificate = identity.certificate.clone();
        let (faults, stats) = (Faults::default(), Stats::default());
        let state = Arc::new(State { mailbox, faults, stats, identity });
        let rules = Arc::new(Rules { credentials: config.credentials, idle: config.idle });

        let (stop, stopping) = watch::channel(false);
        let router = routes::router(Arc::clone(&state));
        let mut until = stopping.clone();
        let serving = task::spawn(async move {
            let mut stopped = until.clone();
            let served = axum::serve(http, router).with_graceful_shutdown(async move {
                // Resolves also if the handle was dropped.
                _ = stopped.wait_for(|stopping| *stopping).await;
            });
            let overdue = async {
                _ = until.wait_for(|stopping| *stopping).await;
                tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
            };
            tokio::select! {
                result = served.into_future() => if let Err(error) = result { tracing::error!(%error, "serving failed") },
                () = overdue => tracing::warn!("shutdown timed out with requests in flight"),
            }
        });
        let listening = task::spawn(session::listen(smtp_listener, state, rules, stopping));
        Ok(Self { page, smtp, certificate, stop, tasks: vec![serving, listening] })
    }

    /// The page's and the API's: `http://127.0.0.1:8025`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.page)
    }

    /// `smtp://127.0.0.1:2525`
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp)
    }

    /// The SMTP server's port.
    pub fn smtp_port(&self) -> u16 {
        self.smtp.port()
    }

    /// The certificate of STARTTLS, in PEM: valid for `localhost`, `127.0.0.1` and `mail-double`, and its own issuer.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Closes its connections, and returns when it no longer listens.
    ///
    /// # Errors
    ///
    /// When one of its servers panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.context("a server panicked")?;
        }
        Ok(())
    }
}

async fn bind(wanted: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(wanted).await.with_context(|| format!("can't listen on {wanted}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
