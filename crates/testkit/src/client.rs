//! An HTTP client for JSON, and responses with assertions that print the request and the body.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::openapi::{Received, assert_documented};
use crate::server_sent_events::EventStream;

/// An HTTP client. Cheap to clone; `cookie` and `header` return one that always sends them.
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

    /// With a cookie jar.
    pub fn with_cookie_jar(url: &str) -> Self {
        Self::build(url, reqwest::Client::builder().cookie_store(true))
    }

    /// With connections that come from this address of this machine, such as 127.0.0.2.
    pub fn from_address(url: &str, address: IpAddr) -> Self {
        Self::build(url, reqwest::Client::builder().local_address(address))
    }

    fn build(url: &str, builder: reqwest::ClientBuilder) -> Self {
        let builder = builder.redirect(reqwest::redirect::Policy::none()).no_proxy();
        let http = builder.build().expect("an HTTP client");
        Client { http, url: url.to_owned(), headers: HeaderMap::new() }
    }

    /// Where it sends its requests.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same client with a header on every request.
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let name: HeaderName = name.parse().expect("a header's name");
        client.headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
        client
    }

    /// The same client with this `Idempotency-Key` on every request.
    pub fn with_idempotency_key(&self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The same client with a cookie on every request.
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

    /// The same client with this token on every request, as a program has it.
    pub fn bearer(&self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await
    }

    /// The transferred size of a response body, as compressed.
    pub async fn bytes(&self, path: &str) -> usize {
        let response = self.http.get(format!("{}{path}", self.url)).headers(self.headers.clone());
        let body = async { response.send().await?.error_for_status()?.bytes().await };
        body.await.unwrap_or_else(|error| panic!("{path}: {error:?}")).len()
    }

    pub async fn post(&self, path: &str, json: impl Into<Value>) -> Response {
        self.request(Method::POST, path).json(json).send().await
    }

    pub async fn put(&self, path: &str, json: impl Into<Value>) -> Response {
        self.request(Method::PUT, path).json(json).send().await
    }

    pub async fn patch(&self, path: &str, json: impl Into<Value>) -> Response {
        self.request(Method::PATCH, path).json(json).send().await
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await
    }

    /// A request with any method.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let request = request.headers(self.headers.clone());
        Request { what: format!("{method} {path}"), method, path: path.to_owned(), request }
    }
}

/// A request builder.
pub struct Request {
    what: String,
    method: Method,
    path: String,
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

    /// A raw body; without a `content-type`, unless `header` adds one.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.body(body.into());
        self
    }

    /// Sends it, and disconnects after this time, before which there must be no response.
    pub async fn disconnect_after(self, time: Duration) {
        let what = self.what;
        if let Ok(response) = tokio::time::timeout(time, self.request.send()).await {
            panic!("{what} completed before the disconnect: {response:?}");
        }
    }

    pub async fn send(self) -> Response {
        let what = self.what.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// Sends it to a server that may be down. A response must be one that the API's documents describe.
    pub async fn try_send(self) -> reqwest::Result<Response> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let received = Received { status, headers: &headers, text: &text, body: &body };
        assert_documented(&self.method, &self.path, &received);
        Ok(Response { what: self.what, status, headers, body, text })
    }

    /// Opens a stream of server-sent events; the status if it is refused.
    pub async fn open(self) -> Result<EventStream, StatusCode> {
        let response = self.request.send().await;
        let response = response.unwrap_or_else(|error| panic!("{}: {error:?}", self.what));
        match response.status() {
            StatusCode::OK => Ok(EventStream::of(self.what, response)),
            status => Err(status),
        }
    }
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    what: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null if it isn't JSON.
    pub body: Value,
    /// The body as received.
    pub text: String,
}

impl Response {
    /// The body, after asserting the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.what, self.text);
        self.body.clone()
    }

    /// The body, after asserting that it is this problem, as RFC 9457 and our contract require.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        let body = self.expect(status);
        let context = format!("{}: {}", self.what, self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{context}");
        assert_eq!(body["type"], format!("/problems/{slug}"), "{context}");
        assert_eq!(body["status"], status, "{context}");
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(is_text(&body["title"]), "a title is missing: {context}");
        assert!(is_text(&body["detail"]), "a detail is missing: {context}");
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(!errors.is_empty(), "errors are missing: {context}");
        assert!(errors.iter().all(|error| is_text(&error["message"])), "a message: {context}");
        body
    }

    /// The invalid fields of a 400, sorted; once for each violated rule.
    #[track_caller]
    pub fn invalid_fields(&self) -> Vec<String> {
        let body = self.problem(400, "invalid");
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let field = |error: &Value| error["field"].as_str().unwrap_or_default().to_owned();
        let mut fields: Vec<_> = errors.iter().map(field).collect();
        fields.sort();
        fields
    }

    /// The parts that are identical for every repeat under one `Idempotency-Key`: status, body, `Location` and `ETag`.
    pub fn stored_parts(&self) -> (u16, &str, Option<&str>, Option<&str>) {
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

    /// The value of a cookie that the response sets.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let (_, value) = self.set_cookie(name)?.split_once('=')?;
        value.split(';').next()
    }

    /// The header `Content-Type`, without its parameters.
    pub fn media_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())?.split(';').next().map(str::trim)
    }
}
