//! What people do on the pages, step by step as they do it.

use system_tests::{Browser, Stack};
use uuid::Uuid;

use crate::shared::Scripts;

pub const PASSWORD: &str = "correct horse battery";

/// The test cards, by what is written beside them.
pub const GOOD_CARD: &str = "Visa ···· 4242";
pub const DECLINED_CARD: &str = "Visa ···· 0002";
pub const POOR_CARD: &str = "Visa ···· 9995";

/// Someone at a browser.
pub struct Visitor {
    pub browser: Browser,
    pub email: String,
    pub name: String,
}

/// Someone at a browser who is new here.
pub async fn visitor(stack: &Stack, name: &str, scripts: Scripts) -> Visitor {
    visitor_at(&stack.url(), name, scripts).await
}

/// The same, at an address of their own.
pub async fn visitor_at(home: &str, name: &str, scripts: Scripts) -> Visitor {
    let email = format!("{name}-{}@example.com", Uuid::now_v7());
    Visitor { browser: scripts.browser(home).await, email, name: format!("{name} of the test") }
}

/// Someone at a browser who has just signed up.
pub async fn member(stack: &Stack, name: &str, scripts: Scripts) -> Visitor {
    member_at(&stack.url(), name, scripts).await
}

/// The same, at an address of their own.
pub async fn member_at(home: &str, name: &str, scripts: Scripts) -> Visitor {
    let visitor = visitor_at(home, name, scripts).await;
    visitor.browser.visit("/auth/signup").await;
    visitor.signs_up().await;
    visitor.browser.arrives_at("/").await;
    visitor
}

/// A title that no other test has.
pub fn title(about: &str) -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{about} {}", &id[20..])
}

impl Visitor {
    /// On the page to sign up.
    pub async fn signs_up(&self) {
        self.browser.fill("E-mail address", &self.email).await;
        self.browser.fill("Password", PASSWORD).await;
        self.browser.fill("Name", &self.name).await;
        self.browser.press("Sign up").await;
    }

    /// Lists a ticket; answers with the path of its page.
    pub async fn lists(&self, title: &str, price: &str) -> String {
        let browser = &self.browser;
        browser.visit("/tickets/new").await;
        browser.fill("Title", title).await;
        browser.fill("Price", price).await;
        browser.pick("Date and time", "2041-06-15T19:30").await;
        browser.pick("Time zone", "Europe/Prague").await;
        browser.fill("Venue", "State Opera").await;
        browser.press("Put it on sale").await;
        browser.sees("Your ticket is on sale").await;
        self.path_of_page().await
    }

    /// Takes a ticket that is free; answers with the path of the order.
    pub async fn holds(&self, ticket: &str) -> String {
        self.browser.visit(ticket).await;
        self.browser.press("Buy").await;
        self.browser.arrives_at("/orders/").await;
        self.path_of_page().await
    }

    /// On the page of the order.
    pub async fn pays_with(&self, card: &str) {
        self.browser.choose(card).await;
        self.browser.press("Pay").await;
    }

    /// Without a question mark and what is behind it.
    pub async fn path_of_page(&self) -> String {
        let path = self.browser.path().await;
        path.split('?').next().unwrap().to_owned()
    }
}
