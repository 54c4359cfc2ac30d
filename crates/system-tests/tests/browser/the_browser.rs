//! The test browser detects faults, checked on pages with known faults.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures::FutureExt;
use system_tests::Browser;
use system_tests::browser::{Look, Scheme, Screen, screenshots};

const POLICY: (&str, &str) =
    ("content-security-policy", "default-src 'self'; img-src 'self' data:");
const FAIR: &str = "
    <main>
      <h1>Fair</h1>
      <p data-test=before>before</p><p data-test=secret hidden>secret</p>
      <form action=/page/fair><label for=e>Email address</label> <input id=e name=e value=old>
        <label>Colour <select name=c><option value=r>red<option value=b>blue</select></label>
        <label><input type=checkbox name=t value=tick> Tick me</label>
        <button data-test=send>Send it</button></form>
      <p><a href=/page/other data-test=elsewhere>Elsewhere</a></p>
    </main>";

fn page(name: &str) -> String {
    let body = match name {
        "fair" => FAIR,
        "inline" => "<main><h1>Inline</h1><script>document.title = 'ran'</script></main>",
        "missing" => "<main><h1>Missing</h1><img src=/nothing.png alt=nothing></main>",
        "pale" => {
            "<link rel=stylesheet href=/style.css><main><h1>Pale</h1><p class=pale>low contrast</p><input></main>"
        }
        "broken" => "<main><h1>Broken</h1><script src=/script.js></script></main>",
        "dark" => "<main><h1>Dark</h1></main><link rel=stylesheet href=/style.css>",
        _ => "<main><h1>Other</h1><noscript>without scripts</noscript></main>",
    };
    format!(
        "<!doctype html><html lang=en><head><title>{name}</title><meta name=viewport content='width=device-width'>\
         <link rel=icon href='data:,'></head><body>{body}</body></html>"
    )
}

async fn serve() -> String {
    let style = "@media (prefers-color-scheme: dark) { h1::after { content: ' mode' } } h1 { min-width: 400px } .pale { color: #ccc }";
    let pages = Router::new()
        .route("/page/{name}", get(async |Path(name): Path<String>| ([POLICY], Html(page(&name)))))
        .route("/style.css", get(async move || ([("content-type", "text/css")], style)))
        .route(
            "/script.js",
            get(async || ([("content-type", "text/javascript")], "nothing.at.all()")),
        )
        .fallback(async || (StatusCode::NOT_FOUND, [POLICY], Html(page("none"))).into_response());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async { axum::serve(listener, pages).await });
    address
}

/// The panic message of a step that must fail.
async fn failure(step: impl Future<Output = ()>) -> String {
    let outcome = AssertUnwindSafe(step).catch_unwind().await;
    let panic = outcome.expect_err("it must fail");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[tokio::test]
async fn visible_elements_are_found_by_their_names() {
    let browser = Browser::open_with_history(&serve().await).await;
    browser.visit("/page/fair").await;
    browser.sees("before").await;
    browser.shows("before").await;
    browser.no_longer_shows("secret").await;
    assert!(!browser.text().await.contains("secret"));
    browser.fill("e", "new@example.com").await;
    assert_eq!(browser.value("e").await, "new@example.com");
    browser.pick("c", "b").await;
    browser.choose("tick").await;
    let load = browser.load().await;
    browser.press("send").await;
    browser.arrives_at("/page/fair?e=new%40example.com&c=b&t=tick").await;
    assert_ne!(browser.load().await, load);
    browser.follow("elsewhere").await;
    browser.sees("Other").await;
    browser.back().await;
    browser.sees("Fair").await;
    assert!(browser.transferred().await > 500);
}

#[tokio::test]
async fn a_page_with_console_errors_fails_the_test() {
    let browser = Browser::open(&serve().await).await;
    for (page, expected) in [
        ("inline", "Content Security Policy"),
        ("missing", "nothing.png"),
        ("broken", "nothing is not defined"),
    ] {
        let failure = failure(browser.visit(&format!("/page/{page}"))).await;
        assert!(failure.contains(expected), "{failure}");
    }
    // The status of an error page is no console error.
    browser.visit("/nowhere").await;
    browser.sees("Other").await;
}

#[tokio::test]
async fn without_scripts_none_runs_and_elements_are_found() {
    let browser = Browser::open_without_scripts(&serve().await).await;
    browser.visit("/page/inline").await;
    assert_eq!(browser.evaluate("return document.title").await, "inline");
    browser.visit("/page/broken").await;
    browser.visit("/page/fair").await;
    browser.fill("e", "x").await;
    browser.press("send").await;
    browser.arrives_at("/page/fair?e=x").await;
    browser.visit("/page/other").await;
    browser.sees("without scripts").await;
}

#[tokio::test]
async fn accessibility_violations_name_their_elements() {
    let browser = Browser::open(&serve().await).await;
    browser.visit("/page/fair").await;
    assert_eq!(browser.accessibility_violations().await, Vec::<String>::new());
    browser.visit("/page/pale").await;
    let violations = browser.accessibility_violations().await.join("\n");
    for rule in ["label (critical): input", "color-contrast (serious): p"] {
        assert!(violations.contains(rule), "{violations}");
    }
}

#[tokio::test]
async fn a_look_is_a_screen_and_a_colour_scheme() {
    let browser = Browser::open(&serve().await).await;
    browser.looks(Look { screen: Screen::Phone, scheme: Scheme::Dark }).await;
    browser.visit("/page/dark").await;
    let looks = "return [document.documentElement.clientWidth, matchMedia('(prefers-color-scheme: dark)').matches, matchMedia('(prefers-reduced-motion)').matches]";
    assert_eq!(browser.evaluate(looks).await, serde_json::json!([390, true, true]));
    assert!(browser.overflow().await > 0);
    browser.looks(Look::default()).await;
    assert_eq!(browser.evaluate(looks).await, serde_json::json!([1280, false, true]));
    assert_eq!(browser.overflow().await, 0);
    let screenshot = screenshots().join("the-browser.png");
    browser.photograph(&screenshot).await;
    assert!(std::fs::metadata(&screenshot).unwrap().len() > 1000);
}
