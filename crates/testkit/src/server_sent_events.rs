//! A stream of server-sent events, read as they arrive.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::TIMEOUT;

/// An open stream.
pub struct EventStream {
    what: String,
    pub headers: HeaderMap,
    response: reqwest::Response,
    /// Received, and not parsed yet.
    text: String,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSentEvent {
    pub event: Option<String>,
    /// Null if there is none, or it isn't JSON.
    pub data: Value,
    pub id: Option<String>,
}

impl EventStream {
    pub(crate) fn of(what: String, response: reqwest::Response) -> Self {
        EventStream { what, headers: response.headers().clone(), response, text: String::new() }
    }

    /// The next event; none if the stream has ended or failed. Panics after [`TIMEOUT`].
    pub async fn next(&mut self) -> Option<ServerSentEvent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = tokio::time::timeout(TIMEOUT, self.response.chunk()).await;
            let chunk =
                chunk.unwrap_or_else(|_| panic!("{}: nothing more in {TIMEOUT:?}", self.what));
            self.text.push_str(str::from_utf8(&chunk.ok()??).expect("a stream is UTF-8"));
        }
    }

    /// The data of the next event of this type. Panics if none arrives within [`TIMEOUT`].
    pub async fn event(&mut self, name: &str) -> Value {
        let what = self.what.clone();
        let next = async {
            loop {
                let Some(event) = self.next().await else {
                    panic!("{what}: the stream ended before the next {name}")
                };
                if event.event.as_deref() == Some(name) {
                    return event.data;
                }
            }
        };
        let data = tokio::time::timeout(TIMEOUT, next).await;
        data.unwrap_or_else(|_| panic!("{what}: no {name} in {TIMEOUT:?}"))
    }
}

fn parse(block: &str) -> ServerSentEvent {
    let mut event = ServerSentEvent::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event.event = Some(value.to_owned()),
            "data" => event.data = serde_json::from_str(value).unwrap_or_default(),
            "id" => event.id = Some(value.to_owned()),
            _ => {}
        }
    }
    event
}
