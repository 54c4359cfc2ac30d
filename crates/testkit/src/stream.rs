//! An answer that goes on: server-sent events, read as they come.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// A stream that was opened.
pub struct EventStream {
    what: String,
    pub headers: HeaderMap,
    response: reqwest::Response,
    /// What has come and was not read yet.
    text: String,
}

/// One block of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub event: Option<String>,
    /// Null, if there is none, or it isn't JSON.
    pub data: Value,
    pub id: Option<String>,
}

impl EventStream {
    pub(crate) fn of(what: String, response: reqwest::Response) -> Self {
        EventStream { what, headers: response.headers().clone(), response, text: String::new() }
    }

    /// The next block; none, if the stream has ended, in whichever way. Panics after 20 s.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let told = read(block);
                self.text = rest.to_owned();
                return Some(told);
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await;
            let chunk =
                chunk.unwrap_or_else(|_| panic!("{}: nothing more in {LIMIT:?}", self.what));
            self.text.push_str(str::from_utf8(&chunk.ok()??).expect("a stream is UTF-8"));
        }
    }

    /// The data of the next event of this name. Panics after 20 s, whatever else comes.
    pub async fn event(&mut self, name: &str) -> Value {
        let what = self.what.clone();
        let next = async {
            loop {
                let Some(told) = self.next().await else {
                    panic!("{what}: it ended before the next {name}")
                };
                if told.event.as_deref() == Some(name) {
                    return told.data;
                }
            }
        };
        let data = tokio::time::timeout(LIMIT, next).await;
        data.unwrap_or_else(|_| panic!("{what}: no {name} in {LIMIT:?}"))
    }
}

fn read(block: &str) -> Told {
    let mut told = Told::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => told.event = Some(value.to_owned()),
            "data" => told.data = serde_json::from_str(value).unwrap_or_default(),
            "id" => told.id = Some(value.to_owned()),
            _ => {}
        }
    }
    told
}
