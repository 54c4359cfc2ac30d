//! Requests through the gateway, with a timeout and sometimes a disconnect in the middle. A response below 500 is an
//! outcome; after anything else the outcome is unknown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use reqwest::{Method, header};
use serde_json::Value;

use super::in_flight::{InFlight, InFlightRequest};
use crate::checker::{Invariant, Violation};

/// payments responds within 16 s, every other service within 6 s, if at all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The operation that is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    SignUp,
    SignIn,
    List,
    Edit,
    Delete,
    Order,
    Cancel,
    Pay,
    Refresh,
    Refund,
    CheckIn,
    Read,
}

impl Operation {
    pub fn is_write(self) -> bool {
        match self {
            Operation::SignUp
            | Operation::SignIn
            | Operation::List
            | Operation::Edit
            | Operation::Delete
            | Operation::Order
            | Operation::Cancel
            | Operation::Pay
            | Operation::Refresh
            | Operation::Refund
            | Operation::CheckIn => true,
            Operation::Read => false,
        }
    }

    /// As the report prints it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::SignUp => "sign up",
            Operation::SignIn => "sign in",
            Operation::List => "list",
            Operation::Edit => "edit",
            Operation::Delete => "delete",
            Operation::Order => "order",
            Operation::Cancel => "cancel",
            Operation::Pay => "pay",
            Operation::Refresh => "come back",
            Operation::Refund => "refund",
            Operation::CheckIn => "check in",
            Operation::Read => "read",
        }
    }
}

/// A request.
#[derive(Clone)]
pub struct Request {
    pub operation: Operation,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// The session's token.
    pub session: Option<String>,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
}

impl Request {
    /// An anonymous POST.
    pub fn new(operation: Operation, path: &str, body: Value) -> Self {
        let (method, path, body) = (Method::POST, path.to_owned(), Some(body));
        Request { operation, method, path, body, session: None, key: None }
    }
}

/// A response below 500.
pub struct Response {
    pub status: u16,
    pub body: Value,
    /// The session's token, if one was set.
    pub session: Option<String>,
}

/// Why an outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownOutcome {
    /// A 5xx.
    ServerError(u16),
    TimedOut,
    /// The connection failed.
    Disconnected,
    /// The client disconnected on purpose.
    ClientDisconnected,
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnknownOutcome::ServerError(status) => write!(f, "{status}"),
            UnknownOutcome::TimedOut => f.write_str("timed out"),
            UnknownOutcome::Disconnected => f.write_str("connection failed"),
            UnknownOutcome::ClientDisconnected => f.write_str("client disconnected"),
        }
    }
}

/// The outcomes of an operation, counted.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    pub succeeded: u64,
    /// A 4xx: nothing was executed.
    pub refused: u64,
    pub unknown: BTreeMap<UnknownOutcome, u64>,
}

impl Outcomes {
    /// Whatever fails, a 500 is a defect: an expected failure is a 503.
    pub(super) fn server_errors(&self, operation: Operation) -> Option<Violation> {
        let count = self.unknown.get(&UnknownOutcome::ServerError(500))?;
        let what = format!("{} returned 500, {count} times", operation.name());
        Some(Violation { invariant: Invariant::Acknowledged, what })
    }
}

pub type Tally = BTreeMap<Operation, Outcomes>;

/// A client of the gateway that counts the outcomes.
pub struct GatewayClient {
    http: reqwest::Client,
    url: String,
    pub in_flight: InFlight,
    tally: Mutex<Tally>,
}

impl GatewayClient {
    pub fn at(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(GatewayClient {
            http,
            url: url.to_owned(),
            in_flight: InFlight::default(),
            tally: Mutex::default(),
        })
    }

    /// Sends a request, and disconnects after this time if one is given. None: the outcome is unknown.
    pub async fn request(
        &self,
        request: Request,
        disconnect: Option<Duration>,
    ) -> Option<Response> {
        let operation = request.operation;
        let in_flight = self.in_flight.begin(operation.is_write());
        let outcome = match disconnect {
            Some(after) => {
                let response = tokio::time::timeout(after, self.send(request));
                response.await.unwrap_or(Err(UnknownOutcome::ClientDisconnected))
            }
            None => self.send(request).await,
        };
        self.record(operation, in_flight, outcome)
    }

    fn record(
        &self,
        operation: Operation,
        in_flight: InFlightRequest<'_>,
        outcome: Result<Response, UnknownOutcome>,
    ) -> Option<Response> {
        let mut tally = self.tally();
        let outcomes = tally.entry(operation).or_default();
        match outcome {
            Ok(response) => {
                let count = if response.status < 400 {
                    &mut outcomes.succeeded
                } else {
                    &mut outcomes.refused
                };
                *count += 1;
                in_flight.finish(true);
                Some(response)
            }
            Err(why) => {
                *outcomes.unknown.entry(why).or_default() += 1;
                // A client that disconnects can't know whether it would have received a response.
                in_flight.finish(why == UnknownOutcome::ClientDisconnected);
                None
            }
        }
    }

    async fn send(&self, request: Request) -> Result<Response, UnknownOutcome> {
        let Request { method, path, body, session, key, .. } = request;
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(session) = session {
            request = request.header(header::COOKIE, format!("session={session}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| unknown(&error))?;
        let status = response.status().as_u16();
        let session = response.headers().get_all(header::SET_COOKIE).iter().find_map(|cookie| {
            let (value, _) = cookie.to_str().ok()?.strip_prefix("session=")?.split_once(';')?;
            Some(value.to_owned())
        });
        let text = response.text().await.map_err(|error| unknown(&error))?;
        if status >= 500 {
            return Err(UnknownOutcome::ServerError(status));
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Response { status, body, session })
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of requests with a known outcome: succeeded or refused.
    pub fn completed(&self) -> u64 {
        self.tally().values().map(|outcomes| outcomes.succeeded + outcomes.refused).sum()
    }
}

fn unknown(error: &reqwest::Error) -> UnknownOutcome {
    if error.is_timeout() { UnknownOutcome::TimedOut } else { UnknownOutcome::Disconnected }
}
