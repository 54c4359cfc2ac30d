//! A real Chromium. Tests find links, buttons and parts of pages by their `data-test` names and fields by their `name`,
//! so the copy can change without them; users' own content is found by its text.
//!
//! Each browser has its own profile. Every step waits for its element, with a timeout. An error in the console (a failed
//! script, a violation of the Content-Security-Policy, a missing asset) fails the test at the next step.

mod accessibility;
mod command;
mod driver;
mod frames;
mod look;
mod tabs;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fantoccini::elements::{Element, ElementRef};
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use testkit::{TIMEOUT, environment, retry_every};

use command::Extension;
use driver::Driver;

pub use look::{Look, Scheme, Screen, screenshots};

/// The pause between two looks at a page, which take several messages each.
const INTERVAL: Duration = Duration::from_millis(100);
/// WebDriver's key of an element reference.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--lang=en-US",
];

/// A flag, for a preference would be none of the headless shell's.
const WITHOUT_SCRIPTS: &str = "--blink-settings=scriptEnabled=false";

/// Closed when it is dropped.
pub struct Browser {
    session: Client,
    home: String,
    ignores_network: AtomicBool,
    _driver: Driver,
}

impl Browser {
    /// Opens a browser for a site such as `http://localhost:8080`.
    pub async fn open(home: &str) -> Browser {
        Browser::start(home, environment::HEADLESS_SHELL, &[]).await
    }

    /// Opens a browser that doesn't run scripts.
    pub async fn open_without_scripts(home: &str) -> Browser {
        Browser::start(home, environment::HEADLESS_SHELL, &[WITHOUT_SCRIPTS]).await
    }

    /// Opens a browser that keeps pages as they are left, for those who go back to them. It takes twice the processor time.
    pub async fn open_with_history(home: &str) -> Browser {
        Browser::start(home, environment::CHROMIUM, &[]).await
    }

    /// Opens such a browser that doesn't run scripts.
    pub async fn open_with_history_without_scripts(home: &str) -> Browser {
        Browser::start(home, environment::CHROMIUM, &[WITHOUT_SCRIPTS]).await
    }

    async fn start(home: &str, program: &str, flags: &[&str]) -> Browser {
        let driver = tokio::task::spawn_blocking(Driver::start).await.expect("chromedriver starts");
        let options = json!({
            "binary": environment::required(program),
            "args": ([&FLAGS, flags].concat()),
        });
        let capabilities = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 30_000, "script": 30_000 },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let session = builder.capabilities(capabilities).connect(&driver.url()).await;
        let session = session.expect("chromedriver opens a browser");
        let browser = Browser {
            session,
            home: home.to_owned(),
            ignores_network: AtomicBool::new(false),
            _driver: driver,
        };
        browser.looks(Look::default()).await;
        browser
    }

    /// Opens a page.
    pub async fn visit(&self, path: &str) {
        let address = format!("{}{path}", self.home);
        self.session.goto(&address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        self.has_clean_console().await;
    }

    pub async fn reload(&self) {
        self.session.refresh().await.expect("the page loads again");
        self.has_clean_console().await;
    }

    pub async fn back(&self) {
        self.session.back().await.expect("there is a page to go back to");
        self.has_clean_console().await;
    }

    /// Deletes a cookie, as when it expires.
    pub async fn loses_cookie(&self, name: &str) {
        self.session.delete_cookie(name).await.expect("the cookie");
    }

    /// The current path and query.
    pub async fn path(&self) -> String {
        let url = self.session.current_url().await.expect("an address");
        url.as_str().strip_prefix(&self.home).unwrap_or(url.as_str()).to_owned()
    }

    /// Waits until the address starts with this path.
    pub async fn arrives_at(&self, path: &str) {
        self.retry_for(&format!("to arrive at {path}"), async || {
            let now = self.path().await;
            if now.starts_with(path) { Ok(()) } else { Err(format!("at {now}")) }
        })
        .await;
    }

    pub async fn follow(&self, link: &str) {
        self.click("link", link).await;
    }

    pub async fn press(&self, button: &str) {
        self.click("button", button).await;
    }

    /// Ticks a checkbox or selects a radio button, by its value.
    pub async fn choose(&self, value: &str) {
        self.click("choice", value).await;
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, name: &str, text: &str) {
        self.retry_for(&format!("to fill in {name}"), async || {
            let field = self.find("field", name).await?;
            passing(field.clear().await)?;
            passing(field.send_keys(text).await)
        })
        .await;
    }

    /// Sets the value of a field that isn't typed into: a date, an option.
    pub async fn pick(&self, name: &str, value: &str) {
        const SET: &str = "const [field, value] = arguments; field.value = value; \
            for (const type of ['input', 'change']) field.dispatchEvent(new Event(type, { bubbles: true })); return field.value";
        self.retry_for(&format!("to pick {value} as {name}"), async || {
            let field = self.find("field", name).await?;
            let arguments = vec![element(&field), json!(value)];
            let set = passing(self.session.execute(SET, arguments).await)?;
            if set == json!(value) { Ok(()) } else { Err(format!("its value is {set}")) }
        })
        .await;
    }

    /// Presses Tab until this element has the focus, and checks that the focus is visible.
    pub async fn tabs_to(&self, kind: &str, name: &str) {
        const FOCUS: &str = "
            const [wanted] = arguments, focused = document.activeElement;
            const style = getComputedStyle(focused), card = getComputedStyle(focused.closest('li') ?? focused);
            return [wanted === focused, style.outlineStyle !== 'none' || card.outlineStyle !== 'none'];";
        for _ in 0..100 {
            self.types(&char::from(Key::Tab).to_string()).await;
            let Ok(wanted) = self.find(kind, name).await else { continue };
            // A page that follows what happens may replace the element in between: Tab comes by again.
            let focus = passing(self.session.execute(FOCUS, vec![element(&wanted)]).await);
            let Ok(focus) = focus else { continue };
            if focus[0] == true {
                assert_eq!(focus[1], true, "the focus on {name} isn't visible");
                return;
            }
        }
        panic!("Tab doesn't reach the {kind} {name} on {}", self.path().await);
    }

    /// Types into the focused element.
    pub async fn types(&self, keys: &str) {
        self.retry_for("to type", async || {
            let focused = passing(self.session.active_element().await)?;
            passing(focused.send_keys(keys).await)
        })
        .await;
        self.has_clean_console().await;
    }

    /// The value of a field.
    pub async fn value(&self, name: &str) -> String {
        self.retry_for(&format!("for the field {name}"), async || {
            let field = self.find("field", name).await?;
            passing(field.prop("value").await)?.ok_or_else(|| "it has no value".to_owned())
        })
        .await
    }

    /// Waits until a part with this `data-test` name is visible.
    pub async fn shows(&self, name: &str) {
        self.retry_for(&format!("for {name}"), async || self.find("part", name).await.map(drop))
            .await;
        self.has_clean_console().await;
    }

    /// Waits until no part with this `data-test` name is visible.
    pub async fn no_longer_shows(&self, name: &str) {
        self.retry_for(&format!("for {name} to disappear"), async || {
            match self.find("part", name).await {
                Ok(_) => Err("it is visible".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await;
        self.has_clean_console().await;
    }

    /// Reloads a page until a part with this `data-test` name is visible.
    pub async fn finds_at(&self, path: &str, name: &str) {
        self.retry_for(&format!("for {name} at {path}"), async || {
            self.visit(path).await;
            self.find("part", name).await.map(drop)
        })
        .await;
    }

    /// Waits until a text is visible, ignoring case.
    pub async fn sees(&self, text: &str) {
        let wanted = text.to_lowercase();
        self.retry_for(&format!("for “{text}”"), async || {
            let shown = self.read().await?;
            if shown.to_lowercase().contains(&wanted) {
                Ok(())
            } else {
                Err(format!("it reads: {shown}"))
            }
        })
        .await;
        self.has_clean_console().await;
    }

    /// Waits until a text is no longer visible.
    pub async fn no_longer_sees(&self, text: &str) {
        let unwanted = text.to_lowercase();
        self.retry_for(&format!("for “{text}” to disappear"), async || {
            let shown = self.read().await?;
            if shown.to_lowercase().contains(&unwanted) {
                Err(format!("it reads: {shown}"))
            } else {
                Ok(())
            }
        })
        .await;
        self.has_clean_console().await;
    }

    /// Reloads a page until a text is visible.
    pub async fn finds_text_at(&self, path: &str, text: &str) {
        let wanted = text.to_lowercase();
        self.retry_for(&format!("for “{text}” at {path}"), async || {
            self.visit(path).await;
            let shown = self.read().await?;
            if shown.to_lowercase().contains(&wanted) {
                Ok(())
            } else {
                Err(format!("it reads: {shown}"))
            }
        })
        .await;
    }

    /// The visible text, in one line.
    pub async fn text(&self) -> String {
        self.retry_for("for a page", || self.read()).await
    }

    async fn read(&self) -> Result<String, String> {
        let script = "return document.body?.innerText ?? ''";
        let text = passing(self.session.execute(script, Vec::new()).await)?;
        Ok(text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Whether this element is on the page now.
    pub async fn has(&self, kind: &str, name: &str) -> bool {
        self.find(kind, name).await.is_ok()
    }

    /// Identifies this load of the page.
    pub async fn load(&self) -> Value {
        self.evaluate("return performance.timeOrigin").await
    }

    /// Runs a script in the page, regardless of its Content-Security-Policy.
    pub async fn evaluate(&self, script: &str) -> Value {
        let outcome = self.session.execute(script, Vec::new()).await;
        outcome.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The bytes transferred for this page and its assets.
    pub async fn transferred(&self) -> u64 {
        let sum = "return ['navigation', 'resource'].flatMap(type => performance.getEntriesByType(type)) \
            .reduce((sum, entry) => sum + entry.transferSize, 0)";
        self.evaluate(sum).await.as_u64().expect("a number of bytes")
    }

    async fn click(&self, kind: &str, name: &str) {
        self.retry_for(&format!("to click the {kind} {name}"), async || {
            passing(self.find(kind, name).await?.click().await)
        })
        .await;
        self.has_clean_console().await;
    }

    /// Finds a visible element by its name, or reports the names that there are.
    async fn find(&self, kind: &str, name: &str) -> Result<Element, String> {
        let arguments = vec![json!(kind), json!(name)];
        let found = passing(self.session.execute(include_str!("find.js"), arguments).await)?;
        match found[ELEMENT].as_str() {
            Some(id) => {
                Ok(Element::from_element_id(self.session.clone(), ElementRef::from(id.to_owned())))
            }
            None => Err(format!("there are only {found}")),
        }
    }

    /// Ignores network errors in the console from now on: the server is going to be killed.
    pub fn ignores_network_errors(&self) {
        self.ignores_network.store(true, Ordering::Relaxed);
    }

    /// Fails if the console has a new error.
    pub async fn has_clean_console(&self) {
        let log = self.session.issue_cmd(Extension::console()).await.expect("the console");
        let url = self.session.current_url().await.expect("an address");
        let errors = log.as_array().into_iter().flatten().filter(|entry| {
            // The status of an error page itself is not an error.
            let own_status = format!(
                "{} - Failed to load resource: the server responded with a status",
                url.as_str()
            );
            let message = entry["message"].as_str().unwrap_or_default();
            let is_ignored =
                entry["source"] == "network" && self.ignores_network.load(Ordering::Relaxed);
            (entry["level"] == "SEVERE" || entry["level"] == "WARNING")
                && !message.starts_with(&own_status)
                && !is_ignored
        });
        let errors: Vec<String> = errors.map(|entry| entry["message"].to_string()).collect();
        assert!(errors.is_empty(), "console of {url}:\n{}", errors.join("\n"));
    }

    /// Retries an attempt until the timeout. Then it fails with the last outcome, and leaves a screenshot.
    async fn retry_for<T>(&self, what: &str, attempt: impl AsyncFn() -> Result<T, String>) -> T {
        match retry_every(INTERVAL, TIMEOUT, attempt).await {
            Ok(outcome) => outcome,
            Err(instead) => {
                let picture = screenshots().join(format!("failed-{}.png", uuid::Uuid::now_v7()));
                self.photograph(&picture).await;
                let (path, picture) = (self.path().await, picture.display());
                panic!("waited {TIMEOUT:?} {what}; on {path}, {instead}\nScreenshot: {picture}");
            }
        }
    }

    async fn devtools(&self, method: &str, parameters: Value) -> Value {
        let command = Extension::devtools(method, parameters);
        self.session.issue_cmd(command).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

/// An element as a script's argument.
fn element(element: &Element) -> Value {
    json!({ ELEMENT: element.element_id().to_string() })
}

/// Errors of a page that is changing may be retried.
fn passing<T>(outcome: Result<T, CmdError>) -> Result<T, String> {
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(CmdError::Standard(error)) if is_passing(&error.error) => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

fn is_passing(error: &ErrorStatus) -> bool {
    let passing = [
        ErrorStatus::DetachedShadowRoot,
        ErrorStatus::ElementClickIntercepted,
        ErrorStatus::ElementNotInteractable,
        ErrorStatus::InvalidElementState,
        ErrorStatus::JavascriptError,
        ErrorStatus::NoSuchElement,
        ErrorStatus::StaleElementReference,
    ];
    passing.contains(error)
}
