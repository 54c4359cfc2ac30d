//! A service as it runs in production, on free ports of this process.

use httpkit::Service;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::Client;
use crate::infra::PUBLIC_URL;
use crate::keys::TestUser;

/// A service that serves until it is stopped or dropped.
pub struct TestService {
    /// Of the API, without a slash at its end.
    pub url: String,
    /// Of `/healthz`, `/readyz` and `/metrics`.
    pub admin_url: String,
    session_cookie: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TestService {
    /// Serves at [`PUBLIC_URL`].
    pub async fn serve(service: Service) -> Self {
        Self::serve_at(service, PUBLIC_URL).await
    }

    /// Serves as if visitors reached it at `public_url`, which says what cookies are called and which
    /// origin is ours.
    pub async fn serve_at(service: Service, public_url: &str) -> Self {
        let public_url: Url = public_url.parse().expect("a URL");
        let (api, admin) = (bind().await, bind().await);
        let url = |socket: &TcpListener| {
            format!("http://{}", socket.local_addr().expect("a bound socket has an address"))
        };
        let (url, admin_url) = (url(&api), url(&admin));
        let stop = CancellationToken::new();
        let session_cookie = httpkit::auth::session_cookie(&public_url);
        let until = stop.clone();
        let task = tokio::spawn(async move {
            service.serve(api, admin, &public_url, until).await.expect("the service serves");
        });
        TestService { url, admin_url, session_cookie, stop, task }
    }

    /// Someone who isn't signed in and keeps no cookies.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Someone who is signed in as `user`.
    pub fn client_as(&self, user: &TestUser) -> Client {
        self.client().cookie(self.session_cookie, &user.token)
    }

    /// A visitor who isn't signed in and keeps cookies as a browser does.
    pub fn browser(&self) -> Client {
        Client::with_cookie_jar(&self.url)
    }

    /// A client of the admin port.
    pub fn admin_port(&self) -> Client {
        Client::new(&self.admin_url)
    }

    /// Ends what is under way, publishes what waits, and returns: as on SIGTERM.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("the service stops by itself");
    }
}

impl Drop for TestService {
    /// It is told to stop; whether it gets to the end of it depends on how long the test's runtime lives.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
