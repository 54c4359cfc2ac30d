//! Graceful shutdown of a server's connections, so that no request is lost that a client has begun to send.
//!
//! 1. The server accepts the connections that are in the backlog, and closes its socket. A later client is refused
//!    before it has sent anything: a gateway then tries another replica.
//! 2. Each response carries `Connection: close` (`crate::middleware`).
//! 3. A connection without a request stays open for [`IDLE_DRAIN`]: the client may be sending one at this moment. A
//!    gateway closes it sooner, or uses it and gets `Connection: close`.
//! 4. What is still open then is closed as soon as its request is answered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::{ServiceExt, service_fn};

/// How long a connection without a request stays open when the server stops. The gateway's own limit is one second
/// (`infra/gateway/nginx.conf`).
const IDLE_DRAIN: Duration = Duration::from_secs(2);

/// Serves until `stop` is cancelled, and returns when the last connection is closed.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let (connections, closing) = (TaskTracker::new(), CancellationToken::new());
    let draining = DrainingListener::new(listener, stop.clone(), connections.token())?;
    let open = connections.clone();
    let serving = service_fn(move |stream: IncomingStream<'_, DrainingListener>| {
        let (connection, peer) = (open.token(), ConnectInfo(*stream.remote_addr()));
        // As long as the connection has its service, it counts as open.
        let app = app.clone().map_request(move |mut request: Request| {
            let _ = &connection;
            request.extensions_mut().insert(peer);
            request
        });
        ready(Ok::<_, Infallible>(app))
    });
    let until = closing.clone().cancelled_owned();
    let server = axum::serve(draining, serving).with_graceful_shutdown(until);
    let drain = async {
        stop.cancelled().await;
        connections.close();
        // An error means that some are still open.
        let _ = tokio::time::timeout(IDLE_DRAIN, connections.wait()).await;
        closing.cancel();
    };
    let (served, ()) = tokio::join!(server.into_future(), drain);
    served
}

/// Accepts connections until `stop` is cancelled; then those in the backlog, and no more.
struct DrainingListener {
    address: SocketAddr,
    listener: Option<TcpListener>,
    waiting: VecDeque<(TcpStream, SocketAddr)>,
    /// Held until the backlog is accepted.
    open: Option<TaskTrackerToken>,
    stop: CancellationToken,
}

impl DrainingListener {
    fn new(
        listener: TcpListener,
        stop: CancellationToken,
        open: TaskTrackerToken,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (listener, waiting) = (Some(listener), VecDeque::new());
        Ok(DrainingListener { address, listener, waiting, open: Some(open), stop })
    }

    async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Some(connection) = self.waiting.pop_front() {
                return connection;
            }
            let Some(listener) = &mut self.listener else {
                self.open = None;
                return pending().await;
            };
            tokio::select! {
                connection = Listener::accept(listener) => return connection,
                () = self.stop.cancelled() => {}
            }
            if let Some(listener) = self.listener.take() {
                self.waiting = accept_backlog(listener);
            }
        }
    }
}

/// Accepts what is in the backlog, and closes the socket right after the last one.
fn accept_backlog(listener: TcpListener) -> VecDeque<(TcpStream, SocketAddr)> {
    let mut waiting = VecDeque::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    loop {
        match listener.accept() {
            Ok((stream, address)) => {
                let stream =
                    stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                waiting.extend(stream.map(|stream| (stream, address)));
            }
            // That client has given up.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return waiting,
        }
    }
}

impl Listener for DrainingListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = self.next().await;
        // Otherwise a response on a kept connection waits up to 40 ms for the client's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
