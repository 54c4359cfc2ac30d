//! Requests, one after the other from several clients, that notice when a service drops one while it stops.

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
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
    Over,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Outcome {
    pub answered: u64,
    /// Of these, answered by a service that had been told to stop.
    pub answered_late: u64,
    /// Not taken by a service that had been told to stop: whoever sends it may send it elsewhere.
    pub refused: u64,
    /// Taken and not answered, or answered that something is wrong: why.
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

    /// From here on the service may refuse, and still must not drop.
    pub fn stopping(&self) {
        self.phase.send_replace(Phase::Stopping);
    }

    pub async fn end(self) -> Outcome {
        self.phase.send_replace(Phase::Over);
        let mut all = Outcome::default();
        for outcome in self.clients.join_all().await {
            all.answered += outcome.answered;
            all.answered_late += outcome.answered_late;
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
        let answer = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            Ok(stream) => answer(stream, &request).await,
            Err(_) if *phase.borrow() != Phase::Serving => {
                outcome.refused += 1;
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => {
                outcome.answered += 1;
                outcome.answered_late += u64::from(*phase.borrow() != Phase::Serving);
            }
            Err(error) => {
                outcome.dropped.push(error.to_string());
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// A whole answer, whatever it says, as long as nothing is wrong with the service.
async fn answer(mut stream: TcpStream, request: &str) -> io::Result<()> {
    let ask = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, ask).await.map_err(io::Error::other)??;
    let answer = String::from_utf8_lossy(&answer);
    let status: Option<u16> = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    match status {
        Some(status) if status < 500 => Ok(()),
        Some(status) => Err(io::Error::other(format!("status {status}"))),
        None => Err(io::Error::other("the connection ended without an answer")),
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
        assert!(outcome.answered >= 90, "{outcome:?}");
        assert!(!outcome.dropped.is_empty(), "{outcome:?}");
    }
}
