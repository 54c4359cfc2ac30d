//! The local Stripe's stand-in for Stripe.js, on a page that uses it as Stripe's documentation says, with the policy that such a
//! page has.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use stripe_double::{Config, StripeDouble};
use system_tests::Browser;

/// Always requires a challenge.
const CHALLENGED: &str = "4000002760003184";

/// Creates a confirmation token, has the server confirm with it, and completes what that requires.
const SCRIPT: &str = r#"
const stripe = Stripe("pk_test_shop");
const elements = stripe.elements({
  mode: "payment", amount: 2000, currency: "usd", captureMethod: "manual", paymentMethodTypes: ["card"],
});
const element = elements.create("payment");
const show = text => (document.getElementById("outcome").textContent = text);
element.on("ready", () => show("ready"));
element.mount('#card');
document.querySelector("form").addEventListener("submit", async event => {
  event.preventDefault();
  const { error } = await elements.submit();
  if (error) return show(`${error.type}: ${error.code}`);
  const params = { return_url: `${location.origin}/return` };
  const { confirmationToken } = await stripe.createConfirmationToken({ elements, params });
  const body = new URLSearchParams({ token: confirmationToken.id, sdk: event.submitter.value });
  const intent = await (await fetch("/confirm", { method: "POST", body })).json();
  if (intent.status !== "requires_action") return show(`confirmed: ${intent.status}`);
  const handled = await stripe.handleNextAction({ clientSecret: intent.client_secret });
  show(handled.error ? `failed: ${handled.error.code}` : `handled: ${handled.paymentIntent.status}`);
});
"#;

const PAGE: &str = r#"<!doctype html><html lang=en><title>Shop</title><link rel=icon href=data:,>
<main><h1>Shop</h1><form><div id=card></div>
<button name=sdk value=true data-test=pay>Pay</button>
<button name=sdk value=false data-test=pay-at-the-bank>Pay at the bank</button></form>
<p id=outcome></p></main>
<script src="DOUBLE/v3/"></script><script src="/shop.js"></script></html>"#;

const RETURN: &str =
    "<!doctype html><title>Shop</title><link rel=icon href=data:,><h1>Welcome back</h1>";

struct Shop {
    double: String,
    http: reqwest::Client,
}

impl Shop {
    fn page(&self) -> Response {
        let double = &self.double;
        let policy = format!(
            "default-src 'none'; script-src 'self' {double}; connect-src 'self' {double}; frame-src {double}; img-src data:"
        );
        let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
        (headers, Html(PAGE.replace("DOUBLE", double))).into_response()
    }

    /// The server's part: it creates and confirms the intent.
    async fn confirm(State(shop): State<Arc<Shop>>, body: String) -> Response {
        let form: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let form = [
            ("amount", "2000"),
            ("currency", "usd"),
            ("capture_method", "manual"),
            ("payment_method_types[]", "card"),
            ("confirm", "true"),
            ("confirmation_token", &form["token"]),
            ("use_stripe_sdk", &form["sdk"]),
        ];
        let intents = format!("{}/v1/payment_intents", shop.double);
        let request = shop.http.post(intents).bearer_auth("sk_test_shop").form(&form);
        let intent: Value = request.send().await.unwrap().json().await.unwrap();
        axum::Json(intent).into_response()
    }
}

/// A browser on the shop's page, and the double. It ends when it is dropped.
struct Visit {
    browser: Browser,
    _double: StripeDouble,
    _data: tempfile::TempDir,
}

impl Visit {
    async fn start() -> Visit {
        let data = tempfile::tempdir().unwrap();
        let double = StripeDouble::start(Config::in_dir(data.path())).await.unwrap();
        let shop = Shop { double: double.url(), http: reqwest::Client::new() };
        let script = || async { ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT) };
        let router = Router::new()
            .route("/", get(|State(shop): State<Arc<Shop>>| async move { shop.page() }))
            .route("/shop.js", get(script))
            .route("/confirm", post(Shop::confirm))
            .route("/return", get(|| async { Html(RETURN) }))
            .with_state(Arc::new(shop));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let browser = Browser::open(&home).await;
        browser.visit("/").await;
        browser.sees("ready").await;
        Visit { browser, _double: double, _data: data }
    }

    async fn enters_card(&self, number: &str) {
        self.browser.enters_frame("Secure payment input frame").await;
        self.browser.fill("number", number).await;
        self.browser.fill("expiry", "1234").await;
        self.browser.fill("cvc", "123").await;
        self.browser.leaves_frame().await;
    }

    async fn answers(&self, button: &str) {
        self.browser.enters_frame("3-D Secure").await;
        self.browser.press(button).await;
        self.browser.leaves_frame().await;
    }
}

#[tokio::test]
async fn a_card_is_entered_in_stripe_s_frame_and_authorised() {
    let visit = Visit::start().await;
    visit.browser.press("pay").await;
    visit.browser.sees("validation_error: incomplete_number").await;
    visit.enters_card("4242424242424241").await;
    visit.browser.press("pay").await;
    visit.browser.sees("validation_error: invalid_number").await;
    visit.enters_card("4242424242424242").await;
    visit.browser.press("pay").await;
    visit.browser.sees("confirmed: requires_capture").await;
}

#[tokio::test]
async fn a_challenge_is_completed_failed_or_left_in_a_frame() {
    for (button, outcome) in [
        ("complete", "handled: requires_capture"),
        ("fail", "failed: payment_intent_authentication_failure"),
        ("leave", "handled: requires_action"),
    ] {
        let visit = Visit::start().await;
        visit.enters_card(CHALLENGED).await;
        visit.browser.press("pay").await;
        visit.answers(button).await;
        visit.browser.sees(outcome).await;
    }
}

#[tokio::test]
async fn a_challenge_is_completed_at_the_bank_from_where_the_buyer_returns() {
    let visit = Visit::start().await;
    visit.enters_card(CHALLENGED).await;
    visit.browser.press("pay-at-the-bank").await;
    visit.browser.sees("3-D Secure test page").await;
    visit.browser.press("complete").await;
    visit.browser.sees("Welcome back").await;
    assert!(visit.browser.path().await.contains("redirect_status=succeeded"));
}
