//! An HTTP client that speaks JSON, and answers that say what is wrong with them.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::stream::EventStream;

/// Someone who sends requests. Cheap to clone; `cookie` and `header` make one that always sends them.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
}

impl Client {
    pub fn new(url: &str) -> Self {
        Self::build(url, reqwest::Client::builder())
    }

    /// Keeps the cookies that it is given.
    pub fn with_cookie_jar(url: &str) -> Self {
        Self::build(url, reqwest::Client::builder().cookie_store(true))
    }

    fn build(url: &str, builder: reqwest::ClientBuilder) -> Self {
        let builder = builder.redirect(reqwest::redirect::Policy::none()).no_proxy();
        let http = builder.build().expect("an HTTP client");
        Client { http, url: url.to_owned(), headers: HeaderMap::new() }
    }

    /// The same, with a header that each request has.
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let name: HeaderName = name.parse().expect("a header's name");
        client.headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
        client
    }

    /// The same, whose requests are all sent under this `Idempotency-Key`.
    pub fn keyed(&self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The same, with a cookie that each request has.
    pub fn cookie(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let others = self.headers.get(COOKIE).and_then(|value| value.to_str().ok());
        let cookies = match others {
            Some(others) => format!("{others}; {name}={value}"),
            None => format!("{name}={value}"),
        };
        let cookies = HeaderValue::from_str(&cookies).expect("a cookie's value");
        client.headers.insert(COOKIE, cookies);
        client
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// How many bytes the body of an answer has on its way, compressed if it is.
    pub async fn bytes(&self, path: &str) -> usize {
        let response = self.http.get(format!("{}{path}", self.url)).headers(self.headers.clone());
        let body = async { response.send().await?.error_for_status()?.bytes().await };
        body.await.unwrap_or_else(|error| panic!("{path}: {error:?}")).len()
    }

    pub async fn post(&self, path: &str, json: impl Into<Value>) -> Answer {
        self.request(Method::POST, path).json(json).send().await
    }

    pub async fn put(&self, path: &str, json: impl Into<Value>) -> Answer {
        self.request(Method::PUT, path).json(json).send().await
    }

    pub async fn patch(&self, path: &str, json: impl Into<Value>) -> Answer {
        self.request(Method::PATCH, path).json(json).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// A request that is none of the usual ones.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let what = format!("{method} {path}");
        let request = self.http.request(method, format!("{}{path}", self.url));
        Request { what, request: request.headers(self.headers.clone()) }
    }
}

/// A request that is being made up.
pub struct Request {
    what: String,
    request: reqwest::RequestBuilder,
}

impl Request {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(mut self, json: impl Into<Value>) -> Self {
        self.request = self.request.json(&json.into());
        self
    }

    /// Any bytes; without a `content-type`, unless `header` adds one.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.body(body.into());
        self
    }

    /// Sends it, and hangs up after this time, in which there must not have been an answer.
    pub async fn hang_up_after(self, time: Duration) {
        let what = self.what;
        if let Ok(answer) = tokio::time::timeout(time, self.request.send()).await {
            panic!("{what} was over before we could hang up: {answer:?}");
        }
    }

    pub async fn send(self) -> Answer {
        let what = self.what.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// The same of a server that may be gone.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { what: self.what, status, headers, body, text })
    }

    /// Sends a request whose answer goes on, unless it is refused: then with this status.
    pub async fn open(self) -> Result<EventStream, StatusCode> {
        let response = self.request.send().await;
        let response = response.unwrap_or_else(|error| panic!("{}: {error:?}", self.what));
        match response.status() {
            StatusCode::OK => Ok(EventStream::of(self.what, response)),
            status => Err(status),
        }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    what: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null, if it isn't JSON.
    pub body: Value,
    /// As it came.
    pub text: String,
}

impl Answer {
    /// The body, of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.what, self.text);
        self.body.clone()
    }

    /// The body, of a refusal that must be this one, in the agreed shape (RFC 9457) and complete.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        let body = self.expect(status);
        let told = format!("{}: {}", self.what, self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{told}");
        assert_eq!(body["type"], format!("/problems/{slug}"), "{told}");
        assert_eq!(body["status"], status, "{told}");
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(is_text(&body["title"]), "a title is missing: {told}");
        assert!(is_text(&body["detail"]), "a detail is missing: {told}");
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(!errors.is_empty(), "errors are missing: {told}");
        assert!(errors.iter().all(|error| is_text(&error["message"])), "a message: {told}");
        body
    }

    /// The fields that a 400 complains about, sorted; each once for every broken rule.
    #[track_caller]
    pub fn invalid_fields(&self) -> Vec<String> {
        let body = self.problem(400, "invalid");
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let field = |error: &Value| error["field"].as_str().unwrap_or_default().to_owned();
        let mut fields: Vec<_> = errors.iter().map(field).collect();
        fields.sort();
        fields
    }

    /// What a request must be answered each time that it is sent under one `Idempotency-Key`: status,
    /// body, `Location` and `ETag`.
    pub fn essence(&self) -> (u16, &str, Option<&str>, Option<&str>) {
        (self.status.as_u16(), &self.text, self.header("location"), self.header("etag"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The whole `Set-Cookie` header of a cookie: its value and attributes.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all(SET_COOKIE).into_iter();
        all.filter_map(|value| value.to_str().ok())
            .find(|cookie| cookie.split_once('=').is_some_and(|(its, _)| its == name))
    }

    /// The value of a cookie that is set.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let (_, value) = self.set_cookie(name)?.split_once('=')?;
        value.split(';').next()
    }

    /// The header `Content-Type`, without its parameters.
    pub fn media_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())?.split(';').next().map(str::trim)
    }
}
