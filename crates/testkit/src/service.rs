//! A service as in production, on free ports of this process.

use httpkit::Service;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::Client;
use crate::infra::PUBLIC_URL;
use crate::tokens::TestUser;

/// A running service. It stops when it is dropped.
pub struct TestService {
    /// The API's, without a trailing slash.
    pub url: String,
    /// That of `/healthz`, `/readyz` and `/metrics`.
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

    /// Serves as if its public URL were `public_url`, which decides the names of cookies and the allowed origin.
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

    /// A client without a session and without a cookie jar.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// A client with the session of `user`.
    pub fn client_as(&self, user: &TestUser) -> Client {
        self.client().cookie(self.session_cookie, &user.token)
    }

    /// A program with this access token.
    pub fn program(&self, access_token: &str) -> Client {
        self.client().bearer(access_token)
    }

    /// A client without a session and with a cookie jar, as a browser has.
    pub fn browser(&self) -> Client {
        Client::with_cookie_jar(&self.url)
    }

    /// A client of the admin port.
    pub fn admin_port(&self) -> Client {
        Client::new(&self.admin_url)
    }

    /// Graceful shutdown, as on SIGTERM: requests in flight complete, outboxes are published.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("a graceful shutdown");
    }
}

impl Drop for TestService {
    /// Begins the shutdown; it completes only if the test's runtime lives long enough.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
