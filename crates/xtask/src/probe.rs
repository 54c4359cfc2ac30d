//! Whether a started process is ready.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

#[derive(Clone, Copy)]
pub enum Probe {
    /// It accepts connections.
    Accepts(u16),
    /// A NATS server whose greeting says that JetStream is on.
    Nats(u16),
    /// It responds to `GET` of the path with 200.
    Http(u16, &'static str),
}

impl Probe {
    /// The error has the response of a process that isn't ready, if there was one.
    pub async fn check(self) -> Result<(), String> {
        match timeout(Duration::from_secs(2), self.try_check()).await {
            Ok(outcome) => outcome.map_err(|error| format!("{self}: {error}")),
            Err(_) => Err(format!("{self} does not respond")),
        }
    }

    async fn try_check(self) -> io::Result<()> {
        match self {
            Self::Accepts(port) => connect(port).await.map(drop),
            Self::Nats(port) => {
                let mut greeting = [0; 4096];
                let length = connect(port).await?.read(&mut greeting).await?;
                let greeting = String::from_utf8_lossy(&greeting[..length]);
                expect(greeting.contains("\"jetstream\":true"), "JetStream isn't on yet")
            }
            Self::Http(port, path) => {
                let mut stream = connect(port).await?;
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await?;
                let mut response = Vec::new();
                stream.take(16 * 1024).read_to_end(&mut response).await?;
                let response = String::from_utf8_lossy(&response);
                let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
                let status = head.lines().next().unwrap_or_default();
                expect(status.split(' ').nth(1) == Some("200"), &format!("{status} {body}"))
            }
        }
    }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Accepts(port) | Self::Nats(port) => write!(f, "127.0.0.1:{port}"),
            Self::Http(port, path) => write!(f, "http://127.0.0.1:{port}{path}"),
        }
    }
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
}

fn expect(condition: bool, otherwise: &str) -> io::Result<()> {
    if condition { Ok(()) } else { Err(io::Error::other(otherwise.trim())) }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn server_that_sends(response: &'static str) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(response.as_bytes()).await.unwrap();
            // Keeps reading, so that closing doesn't discard what was sent.
            _ = stream.read(&mut [0; 1024]).await;
        });
        port
    }

    #[tokio::test]
    async fn only_200_is_ready() {
        let port = server_that_sends("HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(Probe::Http(port, "/readyz").check().await, Ok(()));

        let port = server_that_sends("HTTP/1.1 503 Service Unavailable\r\n\r\nno MongoDB").await;
        let refusal = Probe::Http(port, "/readyz").check().await.unwrap_err();
        assert!(refusal.contains("503") && refusal.contains("no MongoDB"), "{refusal}");
    }

    #[tokio::test]
    async fn nats_is_ready_once_jetstream_is_on() {
        let port = server_that_sends("INFO {\"server_id\":\"A\",\"jetstream\":true}\r\n").await;
        assert_eq!(Probe::Nats(port).check().await, Ok(()));
        let port = server_that_sends("INFO {\"server_id\":\"A\"}\r\n").await;
        assert!(Probe::Nats(port).check().await.is_err());
    }
}
