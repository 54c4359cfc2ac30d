//! A client that costs little: on a machine that servers and load share, what it spends isn't measured as theirs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::body::{Body, Bytes, to_bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use uuid::Uuid;

/// As long as a patient browser waits.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Somebody's browser or program.
#[derive(Clone)]
pub struct Visitor {
    http: Client<HttpConnector, Body>,
    cookie: Option<String>,
}

pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    pub set_cookie: Vec<String>,
    /// After what time to try again.
    pub retry_after: Option<Duration>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `id` of what was created.
    pub fn created(&self) -> Result<String> {
        let body = self.json();
        let id = body["id"].as_str().map(str::to_owned);
        ensure!(self.status.is_success(), "{}: {body}", self.status);
        id.with_context(|| format!("no id in {body}"))
    }
}

impl Visitor {
    /// Not signed in. Its clones share connections.
    pub fn new() -> Visitor {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Visitor { http, cookie: None }
    }

    /// A new user who is signed in, over the same connections.
    pub async fn sign_up(&self, site: &str) -> Result<Visitor> {
        let email = format!("bench-{}@example.com", Uuid::now_v7());
        let body = json!({ "email": email, "password": "correct horse", "name": "Bench" });
        let answer = self.post(&format!("{site}/api/users/signup"), &body).await?;
        ensure!(answer.status == StatusCode::CREATED, "sign-up: {}", answer.status);
        let pairs = answer.set_cookie.iter().filter_map(|it| it.split(';').next());
        let cookie = pairs.collect::<Vec<_>>().join("; ");
        Ok(Visitor { http: self.http.clone(), cookie: Some(cookie) })
    }

    pub async fn get(&self, url: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, url, Body::empty())?).await
    }

    /// As [`Visitor::get`], of what is read for this request, and not for others before.
    pub async fn get_new(&self, url: &str) -> Result<Answer> {
        let mut request = self.request(Method::GET, url, Body::empty())?;
        request.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.send(request).await
    }

    pub async fn post(&self, url: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, url, Body::from(body.to_string()))?).await
    }

    /// As [`Visitor::post`], of a request that may be sent again with the same key.
    pub async fn post_again(&self, url: &str, body: &Value, key: &Uuid) -> Result<Answer> {
        let mut request = self.request(Method::POST, url, Body::from(body.to_string()))?;
        request.headers_mut().insert("idempotency-key", key.to_string().parse()?);
        self.send(request).await
    }

    pub async fn delete(&self, url: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, url, Body::empty())?).await
    }

    /// The response to a GET, without its body.
    pub async fn open(&self, url: &str) -> Result<Response<Body>> {
        let request = self.request(Method::GET, url, Body::empty())?;
        Ok(self.http.request(request).await?.map(Body::new))
    }

    fn request(&self, method: Method, url: &str, body: Body) -> Result<Request<Body>> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        Ok(request.header(header::CONTENT_TYPE, "application/json").body(body)?)
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer> {
        let whole = async {
            let (head, body) = self.http.request(request).await?.into_parts();
            let retry_after = head.headers.get(header::RETRY_AFTER);
            let retry_after = retry_after.and_then(|it| it.to_str().ok()?.parse().ok());
            let set_cookie = head.headers.get_all(header::SET_COOKIE).into_iter();
            let set_cookie =
                set_cookie.filter_map(|it| it.to_str().ok().map(str::to_owned)).collect();
            let body = to_bytes(Body::new(body), MAX_BODY).await?;
            let retry_after = retry_after.map(Duration::from_secs);
            Ok(Answer { status: head.status, body, set_cookie, retry_after })
        };
        tokio::time::timeout(TIMEOUT, whole).await.context("no answer")?
    }
}
