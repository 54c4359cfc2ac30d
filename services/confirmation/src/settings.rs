//! How mails are sent. The settings come from environment variables; the doc comments are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use percent_encoding::percent_decode_str;
use url::Url;

/// SendGrid's relay, and the user of all of its accounts.
const SENDGRID: (&str, u16, &str) = ("smtp.sendgrid.net", 465, "apikey");

#[derive(Clone, Debug, Args)]
pub struct MailSettings {
    /// The mail server: smtps://user:password@host, or smtp://… with STARTTLS; with ?tls=never, unencrypted and without a
    /// password. Without a server, mails are queued and not sent
    #[arg(long, env = "SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// The key of a SendGrid account, instead of SMTP_URL
    #[arg(long, env = "SENDGRID_API_KEY", hide_env_values = true)]
    pub sendgrid_api_key: Option<String>,

    /// The sender, such as Ticketing <tickets@example.com>
    #[arg(long, env = "MAIL_FROM", default_value = "Ticketing <tickets@localhost>")]
    pub mail_from: Mailbox,

    /// File with a further certificate that the server's may be issued by (PEM)
    #[arg(long, env = "SMTP_CA")]
    pub smtp_ca: Option<PathBuf>,

    /// After how many seconds sending a mail is given up, and tried again later
    #[arg(long, env = "SMTP_TIMEOUT_SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=300))]
    pub smtp_timeout_seconds: u64,
}

/// A mail server, and how to talk to it.
#[derive(Clone)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub credentials: Option<Credentials>,
    /// PEM.
    pub certificate: Option<Vec<u8>>,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the beginning (RFC 8314).
    Tls,
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    Never,
}

impl MailSettings {
    /// The mail server; none if there isn't one.
    pub fn relay(&self) -> anyhow::Result<Option<Relay>> {
        // An empty variable is how a Secret says *none*.
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let mut relay = match (given(&self.smtp_url), given(&self.sendgrid_api_key)) {
            (Some(_), Some(_)) => anyhow::bail!("SMTP_URL and SENDGRID_API_KEY: set one of them"),
            (Some(url), None) => parse(&url).context("SMTP_URL")?,
            (None, Some(key)) => {
                let (host, port, user) = SENDGRID;
                let credentials = Some(Credentials::new(user.to_owned(), key));
                Relay::new(host, port, Encryption::Tls, credentials)
            }
            (None, None) => return Ok(None),
        };
        relay.timeout = Duration::from_secs(self.smtp_timeout_seconds);
        if let Some(file) = &self.smtp_ca {
            let pem = std::fs::read(file);
            relay.certificate = Some(pem.with_context(|| format!("SMTP_CA: {}", file.display()))?);
        }
        Ok(Some(relay))
    }
}

impl Relay {
    fn new(
        host: &str,
        port: u16,
        encryption: Encryption,
        credentials: Option<Credentials>,
    ) -> Relay {
        let (certificate, timeout) = (None, Duration::ZERO);
        Relay { host: host.to_owned(), port, encryption, credentials, certificate, timeout }
    }
}

fn parse(url: &str) -> anyhow::Result<Relay> {
    // The parser's error would not contain the URL; neither do ours, for it has a password.
    let url: Url = url.parse().context("expected smtps://user:password@host:port")?;
    let tls = url.query_pairs().find(|(name, _)| name == "tls");
    let (encryption, port) = match (url.scheme(), tls.as_ref().map(|(_, value)| value.as_ref())) {
        ("smtps", None) => (Encryption::Tls, 465),
        ("smtp", None | Some("required")) => (Encryption::StartTls, 587),
        ("smtp", Some("never")) => (Encryption::Never, 25),
        _ => anyhow::bail!("expected smtps://…, smtp://… or smtp://…?tls=never"),
    };
    let decode =
        |text: &str| Ok::<_, anyhow::Error>(percent_decode_str(text).decode_utf8()?.into_owned());
    let credentials = match url.password() {
        Some(password) => Some(Credentials::new(decode(url.username())?, decode(password)?)),
        None => None,
    };
    ensure!(
        encryption != Encryption::Never || credentials.is_none(),
        "a password is only sent encrypted: leave out ?tls=never"
    );
    let host = url.host_str().context("it has no host")?;
    Ok(Relay::new(host, url.port().unwrap_or(port), encryption, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(smtp_url: Option<&str>, key: Option<&str>) -> MailSettings {
        MailSettings {
            smtp_url: smtp_url.map(str::to_owned),
            sendgrid_api_key: key.map(str::to_owned),
            mail_from: "Ticketing <tickets@example.com>".parse().unwrap(),
            smtp_ca: None,
            smtp_timeout_seconds: 30,
        }
    }

    #[test]
    fn a_url_or_a_key_names_the_server_and_neither_means_none() {
        let relay = |url| settings(Some(url), None).relay().unwrap().unwrap();
        let of = |relay: Relay| (relay.host, relay.port, relay.encryption);
        for (url, host, port, encryption) in [
            ("smtps://u:p@mail.example", "mail.example", 465, Encryption::Tls),
            ("smtp://u:p%40@mail.example", "mail.example", 587, Encryption::StartTls),
            ("smtp://mail.example:2500?tls=required", "mail.example", 2500, Encryption::StartTls),
            ("smtp://127.0.0.1:25?tls=never", "127.0.0.1", 25, Encryption::Never),
        ] {
            assert_eq!(of(relay(url)), (host.to_owned(), port, encryption), "{url}");
        }
        let expected = Credentials::new("u".to_owned(), "p@".to_owned());
        assert_eq!(relay("smtp://u:p%40@mail.example").credentials, Some(expected));
        let sendgrid = settings(Some(""), Some("SG.x")).relay().unwrap().unwrap();
        assert_eq!(sendgrid.host, "smtp.sendgrid.net");
        assert!(settings(None, Some("")).relay().unwrap().is_none());
    }

    #[test]
    fn what_would_send_a_password_in_the_clear_is_refused_without_showing_it() {
        for url in ["smtp://u:hidden@host?tls=never", "http://u:hidden@host", "u:hidden@host"] {
            let error = settings(Some(url), None).relay().err().unwrap();
            assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
        }
        assert!(settings(Some("smtp://host"), Some("SG.x")).relay().is_err());
    }
}
