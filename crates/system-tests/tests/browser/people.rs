//! What users do on the pages, step by step.

use system_tests::{Browser, Stack};
use uuid::Uuid;

use crate::shared::Scripts;

pub const PASSWORD: &str = "correct horse battery";

/// The test cards, by their tokens.
pub const GOOD_CARD: &str = "tok_visa";
pub const DECLINED_CARD: &str = "tok_chargeDeclined";
pub const POOR_CARD: &str = "tok_chargeDeclinedInsufficientFunds";

/// A user at a browser.
pub struct Visitor {
    pub browser: Browser,
    pub email: String,
    pub name: String,
}

/// A new visitor, without an account.
pub async fn visitor(stack: &Stack, name: &str, scripts: Scripts) -> Visitor {
    visitor_at(&stack.url(), name, scripts).await
}

/// A new visitor of the site at this address.
pub async fn visitor_at(home: &str, name: &str, scripts: Scripts) -> Visitor {
    visitor_in(scripts.browser(home).await, name)
}

fn visitor_in(browser: Browser, name: &str) -> Visitor {
    let email = format!("{name}-{}@example.com", Uuid::now_v7());
    Visitor { browser, email, name: format!("{name} of the test") }
}

/// A visitor who has just signed up.
pub async fn member(stack: &Stack, name: &str, scripts: Scripts) -> Visitor {
    member_at(&stack.url(), name, scripts).await
}

/// A visitor who has just signed up on the site at this address.
pub async fn member_at(home: &str, name: &str, scripts: Scripts) -> Visitor {
    member_in(scripts.browser(home).await, name).await
}

/// A visitor who has just signed up in this browser.
pub async fn member_in(browser: Browser, name: &str) -> Visitor {
    let visitor = visitor_in(browser, name);
    visitor.browser.visit("/auth/signup").await;
    visitor.signs_up().await;
    visitor.browser.arrives_at("/").await;
    visitor
}

/// A title unique to the test.
pub fn title(about: &str) -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{about} {}", &id[20..])
}

impl Visitor {
    /// Submits the sign-up form.
    pub async fn signs_up(&self) {
        self.browser.fill("email", &self.email).await;
        self.browser.fill("password", PASSWORD).await;
        self.browser.fill("name", &self.name).await;
        self.browser.press("sign-up").await;
    }

    /// Lists a ticket, and returns the path of its page.
    pub async fn lists(&self, title: &str, price: &str) -> String {
        self.browser.visit("/tickets/new").await;
        self.fills_and_lists(title, price).await
    }

    /// Lists several tickets of a kind, of which one order has some at most.
    pub async fn lists_many(&self, title: &str, price: &str, quantity: &str, most: &str) -> String {
        self.browser.visit("/tickets/new").await;
        self.browser.fill("quantity", quantity).await;
        self.browser.fill("max_per_order", most).await;
        self.fills_and_lists(title, price).await
    }

    pub async fn fills_and_lists(&self, title: &str, price: &str) -> String {
        let browser = &self.browser;
        browser.fill("title", title).await;
        browser.fill("price", price).await;
        browser.pick("date", "2041-06-15T19:30").await;
        browser.pick("time_zone", "Europe/Prague").await;
        browser.fill("venue", "State Opera").await;
        browser.press("list-ticket").await;
        browser.shows("notice-listed").await;
        self.path_of_page().await
    }

    /// Reserves an available ticket, and returns the path of the order.
    pub async fn reserves(&self, ticket: &str) -> String {
        self.browser.visit(ticket).await;
        self.browser.press("buy").await;
        self.browser.arrives_at("/orders/").await;
        self.path_of_page().await
    }

    /// Reserves several available tickets, and returns the path of the order.
    pub async fn reserves_many(&self, ticket: &str, quantity: &str) -> String {
        self.browser.visit(ticket).await;
        self.browser.pick("quantity", quantity).await;
        self.browser.press("buy").await;
        self.browser.arrives_at("/orders/").await;
        self.path_of_page().await
    }

    /// Submits the payment form of the order's page.
    pub async fn pays_with(&self, card: &str) {
        self.browser.choose(card).await;
        self.browser.press("pay").await;
    }

    /// The current path, without the query.
    pub async fn path_of_page(&self) -> String {
        let path = self.browser.path().await;
        path.split('?').next().unwrap().to_owned()
    }
}
