//! A double with a folder of its own, and a client of each kind.

use std::time::Duration;

use lettre::message::{MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::{
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    extension::ClientId,
};
use lettre::{Message, message::Mailbox};
use mail_double::{Config, MailDouble};
use serde_json::Value;
use tempfile::TempDir;

pub struct Double {
    pub server: MailDouble,
    pub folder: TempDir,
    http: reqwest::Client,
}

impl Double {
    pub async fn start() -> Double {
        let folder = tempfile::tempdir().unwrap();
        Self::start_with(Config::in_dir(folder.path()), folder).await
    }

    pub async fn start_with(config: Config, folder: TempDir) -> Double {
        let server = MailDouble::start(config).await.unwrap();
        Double { server, folder, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// A connection without encryption.
    pub async fn connect(&self) -> AsyncSmtpConnection {
        self.try_connect().await.unwrap()
    }

    pub async fn try_connect(&self) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
        let address = ("127.0.0.1", self.server.smtp_port());
        let (timeout, hello) = (Some(Duration::from_secs(5)), ClientId::default());
        AsyncSmtpConnection::connect_tokio1(address, timeout, &hello, None, None).await
    }

    /// A connection that was encrypted by STARTTLS, with the certificate verified.
    pub async fn connect_encrypted(&self) -> AsyncSmtpConnection {
        let certificate = self.get_text("/certificate.pem").await;
        assert_eq!(certificate, self.server.certificate());
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
        let tls = TlsParameters::builder("localhost".to_owned()).add_root_certificate(certificate);
        let mut connection = self.connect().await;
        connection.starttls(tls.build().unwrap(), &ClientId::default()).await.unwrap();
        connection
    }

    pub async fn get_text(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.server.url());
        self.http.get(url).send().await.unwrap().error_for_status().unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get_text(path).await).unwrap()
    }

    /// The mails that it has accepted.
    pub async fn mails(&self) -> Vec<Value> {
        self.get_json("/api/mails").await["mails"].as_array().unwrap().clone()
    }

    pub async fn arm(&self, fault: Value) {
        let request = self.http.post(format!("{}/_faults", self.server.url()));
        let request = request.header("content-type", "application/json").body(fault.to_string());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    pub async fn delete(&self, path: &str) {
        let request = self.http.delete(format!("{}{path}", self.server.url()));
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// A mail in text and HTML.
pub fn mail(to: &str, text: &str) -> Message {
    let mailbox = |address: &str| address.parse::<Mailbox>().unwrap();
    Message::builder()
        .from(mailbox("Ticketing <tickets@example.com>"))
        .to(mailbox(to))
        .subject("Tosca – row 7")
        .message_id(Some("<1@example.com>".to_owned()))
        .multipart(
            MultiPart::alternative()
                .singlepart(
                    SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text.to_owned()),
                )
                .singlepart(
                    SinglePart::builder()
                        .header(ContentType::TEXT_HTML)
                        .body("<p onclick=x()>Hello</p>".to_owned()),
                ),
        )
        .unwrap()
}

pub async fn send(
    connection: &mut AsyncSmtpConnection,
    mail: &Message,
) -> Result<(), lettre::transport::smtp::Error> {
    connection.send(mail.envelope(), &mail.formatted()).await.map(drop)
}
