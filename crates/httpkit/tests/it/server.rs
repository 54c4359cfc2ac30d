//! The middleware, the admin port and the graceful shutdown of every service.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use httpkit::{Caller, Service};
use testkit::{Method, TestService, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

async fn serve(routes: Router) -> TestService {
    TestService::serve(Service::new("test", routes)).await
}

#[tokio::test]
async fn a_panic_is_a_500_without_internals_but_with_the_request_id() {
    let routes = Router::new().route(
        "/",
        get(|| async {
            if true {
                panic!("secret")
            }
        }),
    );
    let answer = serve(routes).await.client().get("/").await;
    let problem = answer.problem(500, "internal");
    assert!(!answer.text.contains("secret"));
    let id = answer.header("x-request-id").unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(id));
}

#[tokio::test]
async fn a_handler_that_exceeds_its_time_limit_is_a_503_and_still_runs_to_completion() {
    let (go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (waits, tells) = (Arc::clone(&go_on), Arc::clone(&done));
    let handler = move || async move {
        waits.notified().await;
        tells.notify_one();
    };
    let routes = Router::new().route("/", post(handler));
    let service = Service::new("test", routes);
    let impatient = service.route_timeout(Method::POST, "/", Duration::from_millis(500));
    let service = TestService::serve(impatient).await;
    let answer = service.client().post("/", serde_json::json!({})).await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    // The client is gone, and the handler still completes.
    go_on.notify_one();
    tokio::time::timeout(Duration::from_secs(5), done.notified())
        .await
        .expect("the handler runs on");
}

#[tokio::test]
async fn a_streaming_response_ends_at_shutdown() {
    let stop = CancellationToken::new();
    let until = stop.clone();
    let endless = move || async move {
        let events = stream::iter([Event::default().event("first")]).chain(stream::pending());
        Sse::new(events.map(Ok::<_, Infallible>).take_until(until.cancelled_owned()))
    };
    let routes = Router::new().route("/", get(endless));
    let service = Service::new("test", routes).on_stop(stop);
    let service = TestService::serve(service).await;
    let mut opened = service.client().request(Method::GET, "/").open().await.unwrap();
    assert_eq!(opened.next().await.and_then(|event| event.event), Some("first".to_owned()));
    let stopped = tokio::time::timeout(Duration::from_secs(5), service.stop());
    stopped.await.expect("it waits for nobody who only listens");
    assert_eq!(opened.next().await, None);
}

#[tokio::test]
async fn a_client_can_not_choose_its_ip_address_but_trusted_proxies_can() {
    let routes = || {
        let seen = |headers: HeaderMap| async move { format!("{:?}", headers["x-forwarded-for"]) };
        Router::new().route("/", get(seen))
    };
    let forwarded = "6.6.6.6, 203.0.113.7, 10.1.1.1";
    for (proxies, seen) in [(0, "\"127.0.0.1\""), (1, "\"10.1.1.1\""), (2, "\"203.0.113.7\"")] {
        let service = Service::new("test", routes());
        let service = TestService::serve(service.trusted_proxies(proxies)).await;
        let visitor = service.client().header("x-forwarded-for", forwarded);
        assert_eq!(visitor.get("/").await.text, seen, "{proxies} proxies");
        // Not through a proxy: the peer counts.
        assert_eq!(service.client().get("/").await.text, "\"127.0.0.1\"");
    }
}

#[tokio::test]
async fn connections_from_before_the_shutdown_are_served_and_later_ones_refused() {
    let routes = Router::new().route("/", get(|| async { "here" }));
    let service = Service::new("test", routes);
    let (api, admin) = (listener().await, listener().await);
    let address = api.local_addr().unwrap();
    let stop = CancellationToken::new();
    let until = stop.clone();
    let served = tokio::spawn(async move {
        let public_url = testkit::PUBLIC_URL.parse().unwrap();
        service.serve(api, admin, &public_url, until).await
    });
    let mut came = Vec::new();
    for _ in 0..50 {
        came.push(TcpStream::connect(address).await.unwrap());
    }
    stop.cancel();
    for connection in &mut came {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        connection.write_all(request).await.unwrap();
    }
    for mut connection in came {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("here"), "{answer}");
    }
    served.await.unwrap().unwrap();
    TcpStream::connect(address).await.expect_err("nobody is there any more");
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_write_from_another_site_is_refused_and_one_from_a_program_is_not() {
    let service = serve(Router::new().route("/", post(|| async { "written" }))).await;
    let send = async |name: &str, value: &str| {
        service.client().header(name, value).post("/", serde_json::json!({})).await
    };
    for site in ["cross-site", "same-site", "rubbish"] {
        send("sec-fetch-site", site).await.problem(403, "cross-site");
    }
    for site in ["same-origin", "none"] {
        send("sec-fetch-site", site).await.expect(200);
    }
    for origin in
        ["https://evil.example", "null", "http://localhost:8081", "https://localhost:8080"]
    {
        send("origin", origin).await.problem(403, "cross-site");
    }
    send("origin", testkit::PUBLIC_URL).await.expect(200);
    let of_page = async |headers: &[(&'static str, &str)]| {
        let client =
            headers.iter().fold(service.client(), |it, (name, value)| it.header(name, value));
        client.post("/", serde_json::json!({})).await
    };
    // The site under another name than PUBLIC_URL's: the page's origin is the address that the request was sent to.
    for (origin, host, scheme) in [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "http"),
        ("https://ticketing.dev", "ticketing.dev", "https"),
        ("https://ticketing.dev", "Ticketing.dev:443", "https, http"),
        ("http://[::1]:8080", "[::1]:8080", "http"),
    ] {
        let headers = [("origin", origin), ("host", host), ("x-forwarded-proto", scheme)];
        of_page(&headers).await.expect(200);
    }
    for (origin, host, scheme) in [
        ("http://127.0.0.1:8081", "127.0.0.1:8080", "http"),
        ("http://ticketing.dev", "ticketing.dev", "https"),
        ("https://evil.example", "ticketing.dev", "https"),
        ("https://ticketing.dev.evil.example", "ticketing.dev", "https"),
        ("null", "null", "file"),
        ("null", "a", "data"),
    ] {
        let headers = [("origin", origin), ("host", host), ("x-forwarded-proto", scheme)];
        of_page(&headers).await.problem(403, "cross-site");
    }
    send("accept", "*/*").await.expect(200);
    let reads = service.client().header("sec-fetch-site", "cross-site");
    reads.get("/").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn every_response_of_a_site_with_https_says_so_for_a_year() {
    let routes = || Router::new().route("/", post(|| async {}));
    for (public_url, expected) in
        [("https://ticketing.test", Some("max-age=31536000")), (testkit::PUBLIC_URL, None)]
    {
        let service = TestService::serve_at(Service::new("test", routes()), public_url).await;
        let client = service.client();
        let written = client.post("/", serde_json::json!({})).await;
        let refused = client.header("origin", "https://evil.example");
        let refused = refused.post("/", serde_json::json!({})).await;
        for response in [written, client.get("/nowhere").await, refused] {
            let header = response.header("strict-transport-security");
            assert_eq!(header, expected, "{public_url}: {}", response.status);
        }
    }
}

#[tokio::test]
async fn one_client_is_limited_and_others_are_not() {
    let routes = Router::new().route("/", get(|| async { "here" }));
    let limited = Service::new("test", routes).requests_per_second(NonZeroU32::new(1));
    let service = TestService::serve(limited).await;
    let from = |address: &str| service.client().header("x-forwarded-for", address);
    let greedy = from("203.0.113.7");
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(greedy.get("/").await);
    }
    answers[..5].iter().for_each(|answer| drop(answer.expect(200)));
    let refused = answers.last().unwrap();
    refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    from("203.0.113.8").get("/").await.expect(200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let service = serve(Router::new().route("/here", get(|| async {}))).await;
    service.client().get("/nowhere").await.problem(404, "not-found");
    let answer = service.client().request(Method::DELETE, "/here").send().await;
    answer.problem(405, "method-not-allowed");
    assert!(answer.header("allow").unwrap().contains("GET"));
}

#[tokio::test]
async fn an_operator_sees_health_readiness_and_metrics() {
    let service = serve(Router::new().route("/here", get(|| async {}))).await;
    service.client().get("/here").await.expect(200);
    let admin = service.admin_port();
    admin.get("/healthz").await.expect(200);
    eventually("it to be ready", || async {
        (admin.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let metrics = admin.get("/metrics").await.text;
    assert!(metrics.contains("http_requests_total{"), "{metrics}");
    assert!(metrics.contains("route=\"/here\""), "{metrics}");
    service.client().get("/metrics").await.problem(404, "not-found");
}

/// Sends a request on a kept connection, and returns the head of the response.
async fn ask(connection: &mut TcpStream) -> String {
    connection.write_all(b"GET /here HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    response_head(connection).await
}

async fn response_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_response_before_the_end_of_the_request_reaches_a_client_that_still_sends() {
    let routes = Router::new()
        .route("/refuses", post(|| async { StatusCode::FORBIDDEN }))
        .route("/here", get(|| async {}));
    let service = serve(routes).await;
    let mut connection =
        TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
    let head = "POST /refuses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    assert!(response_head(&mut connection).await.starts_with("http/1.1 403"));
    for _ in 0..60 {
        connection.write_all(&[b'x'; 1000]).await.unwrap();
    }
    let next = ask(&mut connection).await;
    assert!(next.starts_with("http/1.1 200"), "the connection is kept: {next}");
}

#[tokio::test]
async fn a_stopping_service_answers_on_kept_connections_and_refuses_new_ones() {
    let service = serve(Router::new().route("/here", get(|| async {}))).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut kept = TcpStream::connect(&address).await.unwrap();
    let first = ask(&mut kept).await;
    assert!(first.starts_with("http/1.1 200") && !first.contains("connection: close"), "{first}");
    let mut fresh = TcpStream::connect(&address).await.unwrap();

    let stopping = tokio::spawn(service.stop());
    eventually("new connections to be refused", || async {
        TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
    for connection in [&mut kept, &mut fresh] {
        let answer = ask(connection).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0, "and it is closed");
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn odd_methods_and_paths_add_no_series() {
    let service = serve(Router::new().route("/things/{id}", get(|| async {}))).await;
    let (client, admin) = (service.client(), service.admin_port());
    let series = async || admin.get("/metrics").await.text.lines().count();
    let send = async |method: &str, path: &str| {
        client.request(method.parse().unwrap(), path).send().await;
    };
    for path in ["/things/0", "/nowhere/0"] {
        for method in ["GET", "ODD0"] {
            send(method, path).await;
        }
    }
    let before = series().await;
    for number in 1..=1000 {
        send(&format!("ODD{number}"), &format!("/things/{number}")).await;
        send("GET", &format!("/nowhere/{number}")).await;
    }
    // Other tests of this process may record series of their own, but not a thousand.
    let added = series().await - before;
    assert!(added < 100, "{added} series more");
}

#[tokio::test]
async fn a_background_task_that_ends_early_ends_the_service_with_its_name() {
    let (api, admin) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
    let (api, admin) = (api.await.unwrap(), admin.await.unwrap());
    let service = Service::new("test", Router::new())
        .background("patient", |stop| async move { stop.cancelled().await })
        .background("sweeper", |_| async {});
    let url = "http://localhost".parse().unwrap();
    let served = service.serve(api, admin, &url, CancellationToken::new());
    let error = tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the background task sweeper ended early: it returned");
}

#[tokio::test]
async fn a_background_task_that_panics_ends_the_service_with_its_name() {
    let (api, admin) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
    let (api, admin) = (api.await.unwrap(), admin.await.unwrap());
    let service =
        Service::new("test", Router::new()).background("sweeper", |_| async { panic!("a defect") });
    let url = "http://localhost".parse().unwrap();
    let served = service.serve(api, admin, &url, CancellationToken::new());
    let error = tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the background task sweeper ended early"), "{error}");
}

#[tokio::test]
async fn beyond_its_limit_of_requests_in_flight_a_service_refuses_at_once_and_streams_are_not_counted()
 {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let slow = move || {
        let waits = Arc::clone(&waits);
        async move { waits.notified().await }
    };
    let stream = || async {
        let first = stream::iter([Ok::<_, Infallible>(Event::default().event("first"))]);
        Sse::new(first.chain(stream::pending()))
    };
    let routes = Router::new()
        .route("/slow", get(slow))
        .route("/stream", get(stream))
        .route("/quick", get(|| async {}));
    let service = TestService::serve(Service::new("test", routes).max_in_flight(2)).await;
    let client = service.client();

    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = client.request(Method::GET, "/stream").open().await.unwrap();
        stream.next().await.unwrap();
        streams.push(stream);
    }
    client.get("/quick").await.expect(200);
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get("/slow").await })
        })
        .collect();
    let refused = eventually("the limit to be reached", || async {
        let response = client.get("/quick").await;
        (response.status == 503).then_some(response)
    })
    .await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    service.admin_port().get("/healthz").await.expect(200);
    for _ in 0..2 {
        go_on.notify_one();
    }
    for slow in slow {
        slow.await.unwrap().expect(200);
    }
    client.get("/quick").await.expect(200);
}

#[tokio::test]
async fn a_quarter_of_what_is_in_flight_is_left_to_what_is_not_shed_first() {
    let go_on = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go_on);
    let slow = move || {
        let waits = Arc::clone(&waits);
        async move { waits.acquire().await.unwrap().forget() }
    };
    let routes = Router::new().route("/list", get(slow)).route("/pay", post(|| async {}));
    let service = Service::new("test", routes).max_in_flight(4);
    let service = TestService::serve(service.shed_first(&[(Method::GET, "/list")])).await;
    let client = service.client();
    let lists = (0..10).map(|_| client.get("/list"));
    let mut lists: FuturesUnordered<_> = lists.collect();
    for _ in 0..7 {
        lists.next().await.unwrap().problem(503, "unavailable");
    }
    client.post("/pay", serde_json::json!({})).await.expect(200);
    go_on.add_permits(3);
    while let Some(list) = lists.next().await {
        list.expect(200);
    }
}

#[tokio::test]
async fn a_handler_learns_that_its_caller_has_disconnected() {
    let gone = Arc::new(Notify::new());
    let noticed = Arc::clone(&gone);
    let handler = move |caller: Caller| async move {
        caller.gone().await;
        noticed.notify_one();
    };
    let service = serve(Router::new().route("/", post(handler))).await;
    service.client().request(Method::POST, "/").disconnect_after(Duration::from_millis(200)).await;
    let noticed = tokio::time::timeout(Duration::from_secs(5), gone.notified());
    noticed.await.expect("the handler learns it");
}
