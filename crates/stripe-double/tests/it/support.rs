//! A double and its client.

use std::time::Duration;

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use stripe_double::{Clock, Config, ManualClock, StripeDouble};
use tempfile::TempDir;

pub const NOW_MS: u64 = 1_800_000_000_000;

pub struct Double {
    pub clock: ManualClock,
    pub running: StripeDouble,
    pub client: Client,
    pub dir: TempDir,
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// What a browser got.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Double {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ManualClock::at_ms(NOW_MS)).await
    }

    pub async fn start_in(dir: TempDir, clock: ManualClock) -> Self {
        let config = Config {
            clock: Clock::Manual(clock.clone()),
            refund_settles_after: Duration::from_secs(60),
            ..Config::in_dir(dir.path())
        };
        let running = StripeDouble::start(config).await.unwrap();
        let client = Client::new(running.url());
        Self { clock, running, client, dir }
    }

    pub async fn restarted(self) -> Self {
        self.running.stop().await.unwrap();
        Self::start_in(self.dir, self.clock).await
    }
}

impl Client {
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), url }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth("sk_test_123")
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.json().await? })
    }

    /// As a browser would: with a publishable key, or without any.
    pub async fn browse(&self, method: Method, url: &str, form: &[(&str, &str)]) -> Page {
        let url = if url.starts_with('/') { format!("{}{url}", self.url) } else { url.to_owned() };
        let request = self.http.request(method, url).header("Origin", "https://shop.example");
        let response =
            if form.is_empty() { request.send() } else { request.form(form).send() }.await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(self.request(Method::POST, path).form(form)).await.unwrap()
    }

    pub async fn try_post_with_key(
        &self,
        key: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Reply, reqwest::Error> {
        self.send(self.request(Method::POST, path).header("Idempotency-Key", key).form(form)).await
    }

    pub async fn post_with_key(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        self.try_post_with_key(key, path, form).await.unwrap()
    }

    pub async fn arm(&self, fault: Value) {
        let reply = self.send(self.request(Method::POST, "/_faults").json(&fault)).await.unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    pub async fn ledger(&self) -> Value {
        self.get("/_ledger").await.body
    }

    /// An intent for $20.00 that takes cards only; `more` is added to its parameters.
    pub async fn intent(&self, more: &[(&str, &str)]) -> Reply {
        self.post("/v1/payment_intents", &[&TWENTY_DOLLARS, more].concat()).await
    }

    /// An intent for $20.00 that is authorised and not captured.
    pub async fn authorised_with(&self, method: &str) -> Value {
        let manual =
            [("payment_method", method), ("confirm", "true"), ("capture_method", "manual")];
        let reply = self.intent(&manual).await;
        assert_eq!(reply.body["status"], "requires_capture", "{reply:?}");
        reply.body
    }

    pub async fn charge_of(&self, intent: &Value) -> Value {
        self.get(&format!("/v1/charges/{}", text(&intent["latest_charge"]))).await.body
    }

    pub async fn reread(&self, intent: &Value) -> Value {
        self.get(&format!("/v1/payment_intents/{}", text(&intent["id"]))).await.body
    }

    /// Sets the double's clock ahead.
    pub async fn advance_ms(&self, ms: u64) {
        let request = self.request(Method::POST, "/_clock");
        let reply =
            self.send(request.json(&serde_json::json!({ "advance_ms": ms }))).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    pub async fn paid_with(&self, method: &str) -> Value {
        let reply = self.intent(&[("payment_method", method), ("confirm", "true")]).await;
        assert_eq!(reply.body["status"], "succeeded", "{reply:?}");
        reply.body
    }
}

pub const TWENTY_DOLLARS: [(&str, &str); 3] =
    [("amount", "2000"), ("currency", "usd"), ("payment_method_types[]", "card")];

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

pub fn confirm_path(intent: &Value) -> String {
    format!("/v1/payment_intents/{}/confirm", text(&intent["id"]))
}

pub fn capture_path(intent: &Value) -> String {
    format!("/v1/payment_intents/{}/capture", text(&intent["id"]))
}

pub fn cancel_path(intent: &Value) -> String {
    format!("/v1/payment_intents/{}/cancel", text(&intent["id"]))
}

pub async fn wait_for_fault_hit(client: &Client) {
    let hit = async {
        while client.get("/_faults").await.body[0]["hits"] == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hit).await.expect("no fault hit");
}
