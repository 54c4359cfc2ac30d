//! The door of a service. It takes connections until it is told to close, and then drops none that had been made by then.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A connection that was made just before the door was closed brings its request within this time. hyper closes one that
/// has brought none when it is told to stop.
const LAST_REQUESTS: Duration = Duration::from_millis(250);

type Connection = (TcpStream, SocketAddr);

pub(crate) struct Door {
    address: SocketAddr,
    listener: Option<TcpListener>,
    close: CancellationToken,
    closed: CancellationToken,
    /// The last ones.
    made: VecDeque<Connection>,
}

impl Door {
    pub fn new(listener: TcpListener, close: CancellationToken) -> io::Result<Self> {
        let (address, closed) = (listener.local_addr()?, CancellationToken::new());
        Ok(Door { address, listener: Some(listener), close, closed, made: VecDeque::new() })
    }

    /// Until nobody can come in any more, and who is in has asked for what they came for.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let closed = self.closed.clone();
        async move {
            closed.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        }
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                connection = Listener::accept(listener) => return connection,
                () = self.close.cancelled() => {}
            }
        }
        if let Some(listener) = self.listener.take() {
            self.made = already_made(listener);
            self.closed.cancel();
        }
        match self.made.pop_front() {
            Some(connection) => connection,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The connections that the kernel has made in our name and that we haven't taken yet: closing the listener would cut them.
fn already_made(listener: TcpListener) -> VecDeque<Connection> {
    let mut made = VecDeque::new();
    // tokio asks the kernel only once it has heard that somebody is there; here the kernel's own word is needed.
    let Ok(listener) = listener.into_std() else { return made };
    while let Ok((connection, from)) = listener.accept() {
        let taken = connection.set_nonblocking(true).and_then(|()| TcpStream::from_std(connection));
        match taken {
            Ok(connection) => made.push_back((connection, from)),
            Err(error) => tracing::warn!(%error, "a connection was lost at the stop"),
        }
    }
    made
}
