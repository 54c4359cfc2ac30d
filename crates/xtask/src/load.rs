//! Clients that send one request after another, and notice when a service drops one while it shuts down.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

const CLIENTS: usize = 16;
/// Longer than any request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
    Over,
}

/// How the requests ended.
#[derive(Debug, Default)]
pub struct Outcome {
    pub completed: u64,
    /// Of these, completed after the service had received SIGTERM.
    pub completed_late: u64,
    /// Connections refused after SIGTERM: a gateway retries such a request with another replica.
    pub refused: u64,
    /// Accepted, and without a response or with a server error: why.
    pub dropped: Vec<String>,
}

pub struct Load {
    phase: watch::Sender<Phase>,
    clients: JoinSet<Outcome>,
}

impl Load {
    /// `GET` of the path; each request has a connection of its own.
    pub fn on(port: u16, path: &str) -> Self {
        let (phase, now) = watch::channel(Phase::Serving);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(port, request.clone(), now.clone()));
        }
        Self { phase, clients }
    }

    /// From here on the service may refuse connections, but must not drop requests.
    pub fn stopping(&self) {
        self.phase.send_replace(Phase::Stopping);
    }

    pub async fn end(self) -> Outcome {
        self.phase.send_replace(Phase::Over);
        let mut all = Outcome::default();
        for outcome in self.clients.join_all().await {
            all.completed += outcome.completed;
            all.completed_late += outcome.completed_late;
            all.refused += outcome.refused;
            all.dropped.extend(outcome.dropped);
        }
        all
    }
}

async fn client(port: u16, request: String, phase: watch::Receiver<Phase>) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        if *phase.borrow() == Phase::Over {
            return outcome;
        }
        let response = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            Ok(stream) => exchange(stream, &request).await,
            Err(_) if *phase.borrow() != Phase::Serving => {
                outcome.refused += 1;
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(error) => Err(error),
        };
        match response {
            Ok(()) => {
                outcome.completed += 1;
                outcome.completed_late += u64::from(*phase.borrow() != Phase::Serving);
            }
            Err(error) => {
                outcome.dropped.push(error.to_string());
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// A whole response, with any status but a server error.
async fn exchange(mut stream: TcpStream, text: &str) -> io::Result<()> {
    let request = async {
        stream.write_all(text.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        io::Result::Ok(response)
    };
    let response = timeout(TIMEOUT, request).await.map_err(io::Error::other)??;
    let response = String::from_utf8_lossy(&response);
    let status: Option<u16> = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    match status {
        Some(status) if status < 500 => Ok(()),
        Some(status) => Err(io::Error::other(format!("status {status}"))),
        None => Err(io::Error::other("the connection was closed without a response")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_request_that_is_dropped_is_noticed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let load = Load::on(port, "/");
        for _ in 0..100 {
            let (mut stream, _) = listener.accept().await.unwrap();
            _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
        load.stopping();
        let (mut stream, _) = listener.accept().await.unwrap();
        _ = stream.read(&mut [0; 1024]).await.unwrap();
        drop((stream, listener));
        let outcome = load.end().await;
        assert!(outcome.completed >= 90, "{outcome:?}");
        assert!(!outcome.dropped.is_empty(), "{outcome:?}");
    }
}
