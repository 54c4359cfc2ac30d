//! A receiver of webhooks, as a shop would run it.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::mpsc, sync::oneshot};

use crate::support::{Client, text};

pub struct Receiver {
    pub url: String,
    received: mpsc::UnboundedReceiver<Received>,
    /// The status of the next response.
    status: u16,
}

pub struct Received {
    pub event: Value,
    body: String,
    signature: String,
    /// Takes the status of the response.
    respond: oneshot::Sender<u16>,
}

#[derive(Clone)]
struct Shop {
    received: mpsc::UnboundedSender<Received>,
}

async fn receive(State(shop): State<Shop>, headers: HeaderMap, body: String) -> StatusCode {
    let (respond, responds) = oneshot::channel();
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    let event = serde_json::from_str(&body).unwrap();
    // Nobody may receive any more: the test has ended.
    let _ = shop.received.send(Received { event, body, signature, respond });
    StatusCode::from_u16(responds.await.unwrap_or(503)).unwrap()
}

impl Receiver {
    pub async fn start() -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let shop = Shop { received: sender };
        let router = Router::new().route("/webhook", post(receive)).with_state(shop);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received, status: 200 }
    }

    /// A receiver, and an endpoint for it; returns the secret.
    pub async fn registered(client: &Client, events: &[&str]) -> (Self, String) {
        let receiver = Self::start().await;
        let mut form = vec![("url", receiver.url.as_str())];
        form.extend(events.iter().map(|event| ("enabled_events[]", *event)));
        let endpoint = client.post("/v1/webhook_endpoints", &form).await.body;
        let secret = text(&endpoint["secret"]).to_owned();
        (receiver, secret)
    }

    /// The status of the responses from now on.
    pub fn respond_with(&mut self, status: u16) {
        self.status = status;
    }

    /// The next delivery, whose response waits.
    pub async fn hold(&mut self) -> Received {
        let next = tokio::time::timeout(Duration::from_secs(10), self.received.recv());
        next.await.expect("no webhook arrives").unwrap()
    }

    /// The next delivery, which has been responded to.
    pub async fn next(&mut self) -> Received {
        let mut received = self.hold().await;
        let (respond, _) = oneshot::channel();
        let _ = std::mem::replace(&mut received.respond, respond).send(self.status);
        received
    }

    /// The types of the next `count` events.
    pub async fn types(&mut self, count: usize) -> BTreeSet<String> {
        let mut types = BTreeSet::new();
        for _ in 0..count {
            types.insert(self.next().await.kind().to_owned());
        }
        types
    }

    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }
}

impl Received {
    pub fn kind(&self) -> &str {
        text(&self.event["type"])
    }

    pub fn respond(self) {
        let _ = self.respond.send(200);
    }

    /// As Stripe's documentation says, with another implementation of the MAC than the double's.
    pub fn is_genuine(&self, secret: &str, now_seconds: u64) -> bool {
        let part = |name: &str| {
            self.signature.split(',').filter_map(|part| part.strip_prefix(name)).collect::<Vec<_>>()
        };
        let at: u64 = part("t=")[0].parse().unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{}", self.body).as_bytes());
        let expected: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        part("v1=").contains(&expected.as_str()) && now_seconds.abs_diff(at) <= 300
    }
}

/// All deliveries, oldest first, when no delivery is due any more.
pub async fn settled(client: &Client) -> Vec<Value> {
    deliveries(client, |all| all.iter().all(|it| it["state"].get("pending").is_none())).await
}

/// All deliveries, when the first one has been attempted that often.
pub async fn attempted(client: &Client, times: usize) -> Vec<Value> {
    let attempts = |it: &Value| it["attempts"].as_array().unwrap().len();
    deliveries(client, |all| all.first().is_some_and(|first| attempts(first) >= times)).await
}

async fn deliveries(client: &Client, fit: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let fitting = async {
        loop {
            let deliveries = client.get("/_deliveries").await.body;
            let deliveries = deliveries.as_array().unwrap().clone();
            if fit(&deliveries) {
                return deliveries;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), fitting).await.expect("no such deliveries")
}
