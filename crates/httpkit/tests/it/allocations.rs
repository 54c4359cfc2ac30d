//! How often a request allocates memory, from the socket to the handler and back: a count that no machine changes.

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use httpkit::auth::Verifier;
use httpkit::{CurrentUser, Service};
use testkit::{Infra, TestService};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

const REQUESTS: u64 = 500;
/// What one may cost, and one by a user whose token is known. More is a decision.
const ANYONE: u64 = 60;
const SIGNED_IN: u64 = 68;

#[derive(Clone)]
struct App(Verifier);

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.0.clone()
    }
}

#[test]
fn a_request_allocates_little() {
    // One thread: the counts are those of a thread.
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (service, token) = runtime.block_on(async {
        let infra = Infra::start().await;
        let routes = Router::new()
            .route("/anyone", get(|| async { "here" }))
            .route("/me", get(|user: CurrentUser| async move { user.id.to_string() }))
            .with_state(App(infra.verifier()));
        (TestService::serve(Service::new("test", routes)).await, infra.user().token)
    });
    let address = service.url.trim_start_matches("http://");
    let cookie = format!("cookie: session={token}\r\n");
    for (path, headers, limit) in [("/anyone", "", ANYONE), ("/me", cookie.as_str(), SIGNED_IN)] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let mut connection = runtime.block_on(TcpStream::connect(address)).unwrap();
        // The first ones fill the caches.
        runtime.block_on(send(&mut connection, request.as_bytes(), 20));
        let counted = allocation_counter::measure(|| {
            runtime.block_on(send(&mut connection, request.as_bytes(), REQUESTS));
        });
        let each = counted.count_total / REQUESTS;
        println!("GET {path}: {each} allocations");
        assert!(each <= limit, "{path}: {each}");
    }
}

/// Sends it so often, one after the other, and allocates nothing.
async fn send(connection: &mut TcpStream, request: &[u8], times: u64) {
    let mut response = [0; 4096];
    for _ in 0..times {
        connection.write_all(request).await.unwrap();
        let read = connection.read(&mut response).await.unwrap();
        assert!(response[..read].starts_with(b"HTTP/1.1 200"));
    }
}
