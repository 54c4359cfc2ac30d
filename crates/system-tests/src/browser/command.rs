//! Commands beyond those of the client library, most of them chromedriver's own.

use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// A command below the session's address, with a body.
#[derive(Debug)]
pub(super) struct Extension {
    path: &'static str,
    body: Value,
}

impl Extension {
    /// A command of the Chrome DevTools Protocol.
    pub(super) fn devtools(method: &str, params: Value) -> Extension {
        Extension { path: "goog/cdp/execute", body: json!({ "cmd": method, "params": params }) }
    }

    /// Leaves all frames.
    pub(super) fn top_frame() -> Extension {
        Extension { path: "frame", body: json!({ "id": null }) }
    }

    /// Reads the console messages since the last read.
    pub(super) fn console() -> Extension {
        Extension { path: "se/log", body: json!({ "type": "browser" }) }
    }
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
