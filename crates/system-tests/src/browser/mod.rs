//! A person's browser: a real Chromium, used by what a person sees, the words on links, buttons and labels.
//!
//! Each has a profile of its own. What a person looks for is waited for, with a limit. An error in the console (a script
//! that failed, something that the Content-Security-Policy has refused, an asset that isn't there) fails the test at the
//! next step.

mod accessibility;
mod command;
mod driver;
mod look;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fantoccini::elements::{Element, ElementRef};
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use testkit::{environment, retry_for};

use command::Extension;
use driver::Driver;

pub use look::{Look, Scheme, Screen, screenshots};

/// How long a person looks for something.
const LIMIT: Duration = Duration::from_secs(20);
/// By this name WebDriver refers to an element.
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

/// Closed when it is dropped.
pub struct Browser {
    session: Client,
    home: String,
    forgiving: AtomicBool,
    _driver: Driver,
}

impl Browser {
    /// One whose addresses begin with this one, such as `http://localhost:8080`.
    pub async fn open(home: &str) -> Browser {
        Browser::start(home, json!({})).await
    }

    /// One that runs no page's scripts.
    pub async fn open_without_scripts(home: &str) -> Browser {
        Browser::start(home, json!({ "profile.managed_default_content_settings.javascript": 2 }))
            .await
    }

    async fn start(home: &str, preferences: Value) -> Browser {
        let driver = tokio::task::spawn_blocking(Driver::start).await.expect("chromedriver starts");
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", driver.profile().display()));
        let options = json!({
            "binary": environment::required(environment::CHROMIUM),
            "args": flags,
            "prefs": preferences,
        });
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 30_000, "script": 30_000 },
        });
        let Value::Object(wanted) = wanted else { unreachable!("it is written as an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let session = builder.capabilities(wanted).connect(&driver.url()).await;
        let session = session.expect("chromedriver opens a browser");
        let browser = Browser {
            session,
            home: home.to_owned(),
            forgiving: AtomicBool::new(false),
            _driver: driver,
        };
        browser.looks(Look::default()).await;
        browser
    }

    /// Types an address.
    pub async fn visit(&self, path: &str) {
        let address = format!("{}{path}", self.home);
        self.session.goto(&address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        self.has_no_complaints().await;
    }

    pub async fn reload(&self) {
        self.session.refresh().await.expect("the page loads again");
        self.has_no_complaints().await;
    }

    pub async fn back(&self) {
        self.session.back().await.expect("there is a page to go back to");
        self.has_no_complaints().await;
    }

    /// As when a cookie's time is up.
    pub async fn loses_cookie(&self, name: &str) {
        self.session.delete_cookie(name).await.expect("the cookie");
    }

    /// The address without its beginning.
    pub async fn path(&self) -> String {
        let url = self.session.current_url().await.expect("an address");
        url.as_str().strip_prefix(&self.home).unwrap_or(url.as_str()).to_owned()
    }

    /// Waits until the address begins so.
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

    /// Ticks a box, or takes one of several choices.
    pub async fn choose(&self, label: &str) {
        self.click("choice", label).await;
    }

    /// Types into a field, in place of what was in it.
    pub async fn fill(&self, label: &str, text: &str) {
        self.retry_for(&format!("to fill in {label}"), async || {
            let field = self.find("field", label).await?;
            passing(field.clear().await)?;
            passing(field.send_keys(text).await)
        })
        .await;
    }

    /// Sets a field in which people pick rather than type: a date, an option. The value is the one that is sent.
    pub async fn pick(&self, label: &str, value: &str) {
        const SET: &str = "const [field, value] = arguments; field.value = value; \
            for (const type of ['input', 'change']) field.dispatchEvent(new Event(type, { bubbles: true })); return field.value";
        self.retry_for(&format!("to pick {value} as {label}"), async || {
            let field = self.find("field", label).await?;
            let arguments = vec![element(&field), json!(value)];
            let set = passing(self.session.execute(SET, arguments).await)?;
            if set == json!(value) { Ok(()) } else { Err(format!("it is {set}")) }
        })
        .await;
    }

    /// Goes on by the tabulator until this has the focus, and shows that it has.
    pub async fn tabs_to(&self, kind: &str, name: &str) {
        const FOCUS: &str = "
            const [wanted] = arguments, focused = document.activeElement;
            const style = getComputedStyle(focused), card = getComputedStyle(focused.closest('li') ?? focused);
            return [wanted === focused, style.outlineStyle !== 'none' || card.outlineStyle !== 'none'];";
        for _ in 0..100 {
            self.types(&char::from(Key::Tab).to_string()).await;
            let Ok(wanted) = self.find(kind, name).await else { continue };
            let focus = self.session.execute(FOCUS, vec![element(&wanted)]).await.expect("a focus");
            if focus[0] == true {
                assert_eq!(focus[1], true, "the focus on “{name}” isn't to be seen");
                return;
            }
        }
        panic!("the {kind} “{name}” isn't reached by the tabulator on {}", self.path().await);
    }

    /// Types into whatever has the focus.
    pub async fn types(&self, keys: &str) {
        let focused = self.session.active_element().await.expect("a focus");
        focused.send_keys(keys).await.expect("it takes keys");
        self.has_no_complaints().await;
    }

    /// What stands in a field.
    pub async fn value(&self, label: &str) -> String {
        self.retry_for(&format!("a field {label}"), async || {
            let field = self.find("field", label).await?;
            passing(field.prop("value").await)?.ok_or_else(|| "it has no value".to_owned())
        })
        .await
    }

    /// Waits until a text can be read on the page, in whatever letters.
    pub async fn sees(&self, text: &str) {
        let wanted = text.to_lowercase();
        self.retry_for(&format!("to see “{text}”"), async || {
            let shown = self.read().await?;
            if shown.to_lowercase().contains(&wanted) {
                Ok(())
            } else {
                Err(format!("it reads: {shown}"))
            }
        })
        .await;
        self.has_no_complaints().await;
    }

    /// Waits until a text can't be read any more.
    pub async fn no_longer_sees(&self, text: &str) {
        let unwanted = text.to_lowercase();
        self.retry_for(&format!("to see “{text}” no more"), async || {
            let shown = self.read().await?;
            if shown.to_lowercase().contains(&unwanted) {
                Err(format!("it reads: {shown}"))
            } else {
                Ok(())
            }
        })
        .await;
        self.has_no_complaints().await;
    }

    /// Asks for a page again and again, until a text can be read on it.
    pub async fn finds_at(&self, path: &str, text: &str) {
        let wanted = text.to_lowercase();
        self.retry_for(&format!("to find “{text}” at {path}"), async || {
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

    /// All that can be read, in one line.
    pub async fn text(&self) -> String {
        self.retry_for("for a page", || self.read()).await
    }

    async fn read(&self) -> Result<String, String> {
        let script = "return document.body?.innerText ?? ''";
        let text = passing(self.session.execute(script, Vec::new()).await)?;
        Ok(text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Whether a link of this name, a button or a field is on the page just now.
    pub async fn has(&self, kind: &str, name: &str) -> bool {
        self.find(kind, name).await.is_ok()
    }

    /// Tells this page from the same one loaded again.
    pub async fn load(&self) -> Value {
        self.evaluate("return performance.timeOrigin").await
    }

    /// Runs a script in the page, whatever the page's own policy on scripts.
    pub async fn evaluate(&self, script: &str) -> Value {
        let outcome = self.session.execute(script, Vec::new()).await;
        outcome.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What went over the network for this page and all that it has loaded, in bytes.
    pub async fn transferred(&self) -> u64 {
        let sum = "return ['navigation', 'resource'].flatMap(type => performance.getEntriesByType(type)) \
            .reduce((sum, entry) => sum + entry.transferSize, 0)";
        self.evaluate(sum).await.as_u64().expect("a number of bytes")
    }

    async fn click(&self, kind: &str, name: &str) {
        self.retry_for(&format!("to click the {kind} “{name}”"), async || {
            passing(self.find(kind, name).await?.click().await)
        })
        .await;
        self.has_no_complaints().await;
    }

    /// Finds a thing by what a person calls it, or says what is there instead.
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

    /// From now on the console may say that something could not be loaded: what serves it is going to be killed.
    pub fn forgives_the_network(&self) {
        self.forgiving.store(true, Ordering::Relaxed);
    }

    /// Fails if the console has an error of the page that is shown, or one that was shown since the last time.
    pub async fn has_no_complaints(&self) {
        let log = self.session.issue_cmd(Extension::console()).await.expect("the console");
        let url = self.session.current_url().await.expect("an address");
        let complaints = log.as_array().into_iter().flatten().filter(|entry| {
            // That a page is an error page is told by the page.
            let of_page = format!(
                "{} - Failed to load resource: the server responded with a status",
                url.as_str()
            );
            let message = entry["message"].as_str().unwrap_or_default();
            let is_forgiven =
                entry["source"] == "network" && self.forgiving.load(Ordering::Relaxed);
            (entry["level"] == "SEVERE" || entry["level"] == "WARNING")
                && !message.starts_with(&of_page)
                && !is_forgiven
        });
        let complaints: Vec<String> =
            complaints.map(|entry| entry["message"].to_string()).collect();
        assert!(complaints.is_empty(), "on {url} the console says\n{}", complaints.join("\n"));
    }

    /// Tries again and again. In the end, it fails with what was there instead, and leaves a picture.
    async fn retry_for<T>(&self, what: &str, attempt: impl AsyncFn() -> Result<T, String>) -> T {
        match retry_for(LIMIT, attempt).await {
            Ok(outcome) => outcome,
            Err(instead) => {
                let picture = screenshots().join(format!("failed-{}.png", uuid::Uuid::now_v7()));
                self.photograph(&picture).await;
                let (path, picture) = (self.path().await, picture.display());
                panic!(
                    "waited {LIMIT:?} in vain {what}; on {path}, {instead}\nA picture of it: {picture}"
                );
            }
        }
    }

    async fn devtools(&self, method: &str, parameters: Value) -> Value {
        let command = Extension::devtools(method, parameters);
        self.session.issue_cmd(command).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

/// As a script's argument.
fn element(element: &Element) -> Value {
    json!({ ELEMENT: element.element_id().to_string() })
}

/// What a page that is just changing answers is no failure yet.
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
