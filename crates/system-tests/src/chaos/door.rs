//! Asking, as an impatient client does: with a time limit, sometimes hanging up in the middle, and with a clear
//! notion of what an answer is. Whatever isn't one leaves the outcome unknown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use reqwest::{Method, header};
use serde_json::Value;

use super::flights::{Flight, Flights};
use crate::checker::{Breach, Promise};

/// payments answers within 16 s, everybody else within 6 s, if they do.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    SignUp,
    SignIn,
    Offer,
    Edit,
    Delete,
    Order,
    Cancel,
    Pay,
    Refund,
    Read,
}

impl Kind {
    pub fn is_write(self) -> bool {
        match self {
            Kind::SignUp
            | Kind::SignIn
            | Kind::Offer
            | Kind::Edit
            | Kind::Delete
            | Kind::Order
            | Kind::Cancel
            | Kind::Pay
            | Kind::Refund => true,
            Kind::Read => false,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SignUp => "sign up",
            Kind::SignIn => "sign in",
            Kind::Offer => "offer",
            Kind::Edit => "edit",
            Kind::Delete => "delete",
            Kind::Order => "order",
            Kind::Cancel => "cancel",
            Kind::Pay => "pay",
            Kind::Refund => "refund",
            Kind::Read => "read",
        }
    }
}

/// A request.
#[derive(Clone)]
pub struct Ask {
    pub kind: Kind,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// The session's token.
    pub session: Option<String>,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
}

impl Ask {
    /// A POST of nobody in particular.
    pub fn new(kind: Kind, path: &str, body: Value) -> Self {
        let (method, path, body) = (Method::POST, path.to_owned(), Some(body));
        Ask { kind, method, path, body, session: None, key: None }
    }
}

/// An answer below 500.
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// The session's token, if one was set.
    pub session: Option<String>,
}

/// Why an outcome isn't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// A 5xx.
    Failed(u16),
    TimedOut,
    /// The connection broke, or there was none.
    CutOff,
    /// The client didn't wait for it.
    HungUp,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Failed(status) => write!(f, "{status}"),
            Unknown::TimedOut => f.write_str("timed out"),
            Unknown::CutOff => f.write_str("cut off"),
            Unknown::HungUp => f.write_str("hung up"),
        }
    }
}

/// How often a kind of request had which outcome.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    pub done: u64,
    /// A 4xx: nothing was done.
    pub refused: u64,
    pub unknown: BTreeMap<Unknown, u64>,
}

impl Outcomes {
    /// Whatever breaks, a 500 says that a service didn't know what to make of it.
    pub(super) fn own_fault(&self, kind: Kind) -> Option<Breach> {
        let count = self.unknown.get(&Unknown::Failed(500))?;
        let what = format!("{count} times, {} was answered with 500", kind.name());
        Some(Breach { promise: Promise::TheAnswer, what })
    }
}

pub type Tally = BTreeMap<Kind, Outcomes>;

/// The gateway's address, and what came of all that was asked there.
pub struct HttpState {
    http: reqwest::Client,
    url: String,
    pub flights: Flights,
    tally: Mutex<Tally>,
}

impl HttpState {
    pub fn at(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(HttpState {
            http,
            url: url.to_owned(),
            flights: Flights::default(),
            tally: Mutex::default(),
        })
    }

    /// Asks and waits for the answer, or for as long as the client does before it hangs up. None: the
    /// outcome is unknown.
    pub async fn ask(&self, ask: Ask, hang_up: Option<Duration>) -> Option<Answer> {
        let kind = ask.kind;
        let flight = self.flights.begin(kind);
        let outcome = match hang_up {
            Some(after) => {
                let answer = tokio::time::timeout(after, self.send(ask));
                answer.await.unwrap_or(Err(Unknown::HungUp))
            }
            None => self.send(ask).await,
        };
        self.note(kind, flight, outcome)
    }

    fn note(
        &self,
        kind: Kind,
        flight: Flight<'_>,
        outcome: Result<Answer, Unknown>,
    ) -> Option<Answer> {
        let mut tally = self.tally();
        let outcomes = tally.entry(kind).or_default();
        match outcome {
            Ok(answer) => {
                let count =
                    if answer.status < 400 { &mut outcomes.done } else { &mut outcomes.refused };
                *count += 1;
                flight.land(true);
                Some(answer)
            }
            Err(why) => {
                *outcomes.unknown.entry(why).or_default() += 1;
                // Who hangs up can't say that they would have got no answer.
                flight.land(why == Unknown::HungUp);
                None
            }
        }
    }

    async fn send(&self, ask: Ask) -> Result<Answer, Unknown> {
        let mut request = self.http.request(ask.method, format!("{}{}", self.url, ask.path));
        if let Some(session) = ask.session {
            request = request.header(header::COOKIE, format!("session={session}"));
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = ask.body {
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
            return Err(Unknown::Failed(status));
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, body, session })
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests were, whether with what they asked for or with a refusal.
    pub fn answered(&self) -> u64 {
        self.tally().values().map(|outcomes| outcomes.done + outcomes.refused).sum()
    }
}

fn unknown(error: &reqwest::Error) -> Unknown {
    if error.is_timeout() { Unknown::TimedOut } else { Unknown::CutOff }
}
