//! The way out: SMTP. The only module that talks to a mail server.
//!
//! Connections are kept for a moment and reused. lettre's own pool isn't used: a send that is dropped when its time is up
//! would put its connection back in the middle of the conversation, and the next mail would read this one's replies.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use common::text::without_addresses;
use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::Noop;
use lettre::transport::smtp::extension::ClientId;
use telemetry::spans;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::settings::{Encryption, Relay};

/// A connection that was idle for longer isn't used again: servers close theirs after minutes, some after half of one.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// Why a mail was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server refuses it, and would again (5xx).
    #[error("{0}")]
    Refused(String),
    /// The server puts it off (4xx).
    #[error("{0}")]
    Deferred(String),
    /// No server was there to take it: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The conversation broke off, or took too long: the server may have accepted it.
    #[error("{0}")]
    Unknown(String),
}

impl SendError {
    /// Its kind, as a span has it.
    fn kind(&self) -> &'static str {
        match self {
            SendError::Refused(_) => "refused",
            SendError::Deferred(_) => "deferred",
            SendError::Unreachable(_) => "unreachable",
            SendError::Unknown(_) => "unknown",
        }
    }
}

/// Sends mails to one server. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    address: (String, u16),
    tls: Option<TlsParameters>,
    is_wrapped: bool,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Mailer {
    /// `domain` is what the client calls itself.
    pub fn new(relay: Relay, domain: &str) -> anyhow::Result<Self> {
        let tls = match relay.encryption {
            Encryption::Never => None,
            Encryption::Tls | Encryption::StartTls => {
                let mut tls = TlsParameters::builder(relay.host.clone());
                if let Some(pem) = &relay.certificate {
                    tls = tls.add_root_certificate(Certificate::from_pem(pem).context("SMTP_CA")?);
                }
                Some(tls.build().context("SMTP_URL")?)
            }
        };
        Ok(Mailer(Arc::new(Inner {
            address: (relay.host, relay.port),
            tls,
            is_wrapped: relay.encryption == Encryption::Tls,
            credentials: relay.credentials,
            hello: ClientId::Domain(domain.to_owned()),
            timeout: relay.timeout,
            idle: Mutex::default(),
        })))
    }

    /// Sends a mail of this kind, within the time limit. (lettre has one for the connection alone.)
    pub async fn send(&self, message: &Message, kind: &str) -> Result<(), SendError> {
        let (host, port) = &self.0.address;
        let span = spans::mail(kind, host, *port);
        let sent = self.deliver(message).instrument(span.clone()).await;
        if let Err(error) = &sent {
            spans::fail(&span, error.kind());
        }
        sent
    }

    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let limit = self.0.timeout;
        let mut connection = match timeout(limit, self.connection()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(SendError::Unreachable(described(&error))),
            Err(_) => return Err(SendError::Unreachable(format!("no server within {limit:?}"))),
        };
        // Dropped when the time is up, and so is the connection.
        let formatted = message.formatted();
        let sending = connection.send(message.envelope(), &formatted);
        match timeout(limit, sending).await {
            Ok(Ok(_)) => {
                self.keep(connection);
                Ok(())
            }
            Ok(Err(error)) if error.is_permanent() || error.is_client() => {
                Err(SendError::Refused(described(&error)))
            }
            Ok(Err(error)) if error.is_transient() => Err(SendError::Deferred(described(&error))),
            Ok(Err(error)) => Err(SendError::Unknown(described(&error))),
            Err(_) => Err(SendError::Unknown(format!("no reply within {limit:?}"))),
        }
    }

    /// One that is still good, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some((mut connection, since)) = self.take() {
            // A server that is about to close the connection says so in reply (221, 421).
            if since.elapsed() < MAX_IDLE
                && connection.command(Noop).await.is_ok_and(|reply| reply.has_code(250))
            {
                return Ok(connection);
            }
        }
        let Inner { address, tls, hello, timeout, .. } = &*self.0;
        let wrapped = tls.clone().filter(|_| self.0.is_wrapped);
        let address = (address.0.as_str(), address.1);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(*timeout), hello, wrapped, None);
        let mut connection = connecting.await?;
        if let Some(tls) = tls.clone().filter(|_| !self.0.is_wrapped) {
            connection.starttls(tls, hello).await?;
        }
        if let Some(credentials) = &self.0.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    fn take(&self) -> Option<(AsyncSmtpConnection, Instant)> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE);
        idle.push((connection, Instant::now()));
    }
}

/// With its causes, in one line, without the addresses that a server repeats.
fn described(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let text = without_addresses(&text);
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(500).collect()
}
