//! The calls.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use common::Money;
use common::ids::{OrderId, PaymentId, TicketId};
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use telemetry;
use url::Url;

use super::{Failure, List, Order, Payment, Refusal, Ticket, User};
use crate::app::Settings;

/// A page waits no longer than this for a service.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nothing that a page can do without is waited for longer than this.
const SHORT_PATIENCE: Duration = Duration::from_millis(1500);
/// payments waits ten seconds for Stripe, and answers in any case.
const PAYING: Duration = Duration::from_secs(20);

/// What is handed on of a visitor's request.
const HANDED_ON: [&str; 2] = ["x-forwarded-for", "x-request-id"];

/// The way to the services.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    services: Arc<Services>,
}

struct Services {
    auth: Url,
    tickets: Url,
    orders: Url,
    payments: Url,
}

/// The API in the name of one visitor.
#[derive(Clone)]
pub struct Caller {
    api: Api,
    headers: HeaderMap,
}

/// What comes of signing up or in, or of renewing a session: the user, and their new cookies.
pub struct Signed {
    pub user: User,
    pub cookies: Vec<HeaderValue>,
}

/// What a seller says about a ticket, for tickets to judge.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketDraft {
    pub title: String,
    pub price: String,
    pub description: Option<String>,
    pub date: Option<String>,
    pub time_zone: Option<String>,
    pub venue: Option<String>,
}

impl Api {
    pub fn new(settings: &Settings) -> anyhow::Result<Api> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(1))
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("an HTTP client")?;
        let services = Services {
            auth: settings.auth_url.clone(),
            tickets: settings.tickets_url.clone(),
            orders: settings.orders_url.clone(),
            payments: settings.payments_url.clone(),
        };
        Ok(Api { http, services: Arc::new(services) })
    }

    /// In the name of whoever sent these headers, but with these cookies.
    pub fn caller(&self, request: &HeaderMap, cookies: Option<HeaderValue>) -> Caller {
        let handed_on = |name: &&str| {
            let name = http::HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name.clone(), request.get(&name)?.clone()))
        };
        let mut headers: HeaderMap = HANDED_ON.iter().filter_map(handed_on).collect();
        headers.extend(cookies.map(|cookies| (header::COOKIE, cookies)));
        Caller { api: self.clone(), headers }
    }
}

impl Caller {
    pub async fn sign_up(&self, form: &impl Serialize) -> Result<Signed, Failure> {
        let request = self.auth(Method::POST, "/api/users/signup")?.json(form);
        signed(send(request).await?).await
    }

    pub async fn sign_in(&self, form: &impl Serialize) -> Result<Signed, Failure> {
        let request = self.auth(Method::POST, "/api/users/signin")?.json(form);
        signed(send(request).await?).await
    }

    /// The cookies that end the session in the browser.
    pub async fn sign_out(&self) -> Result<Vec<HeaderValue>, Failure> {
        let response = send(self.auth(Method::POST, "/api/users/signout")?).await?;
        Ok(cookies(&response))
    }

    /// The session goes on. A refusal ends it.
    pub async fn refresh(&self) -> Result<Signed, Failure> {
        signed(send(self.auth(Method::POST, "/api/users/refresh")?).await?).await
    }

    pub async fn current_user(&self) -> Result<Option<User>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            current_user: Option<User>,
        }
        let answer: Answer = ask(self.auth(Method::GET, "/api/users/currentuser")?).await?;
        Ok(answer.current_user)
    }

    pub async fn tickets(&self, query: &[(&str, &str)]) -> Result<List<Ticket>, Failure> {
        ask(self.tickets_at(Method::GET, "/api/tickets")?.query(query)).await
    }

    pub async fn ticket(&self, id: TicketId) -> Result<Ticket, Failure> {
        ask(self.tickets_at(Method::GET, &format!("/api/tickets/{id}"))?).await
    }

    pub async fn list_ticket(&self, draft: &TicketDraft, key: &str) -> Result<Ticket, Failure> {
        let request = self.tickets_at(Method::POST, "/api/tickets")?.json(draft);
        ask(request.header("idempotency-key", key)).await
    }

    /// Refused unless the ticket is still at this version.
    pub async fn edit_ticket(
        &self,
        id: TicketId,
        draft: &TicketDraft,
        version: i64,
    ) -> Result<Ticket, Failure> {
        let request = self.tickets_at(Method::PUT, &format!("/api/tickets/{id}"))?.json(draft);
        ask(request.header(header::IF_MATCH, format!("\"{version}\""))).await
    }

    pub async fn delete_ticket(&self, id: TicketId, version: i64) -> Result<(), Failure> {
        let request = self.tickets_at(Method::DELETE, &format!("/api/tickets/{id}"))?;
        send(request.header(header::IF_MATCH, format!("\"{version}\""))).await.map(drop)
    }

    pub async fn orders(&self, query: &[(&str, &str)]) -> Result<List<Order>, Failure> {
        ask(self.orders_at(Method::GET, "/api/orders")?.query(query)).await
    }

    /// The unpaid orders that live, for the bar on every page, which can do without.
    pub async fn holds(&self) -> Result<List<Order>, Failure> {
        let query = [("status", "created"), ("status", "awaiting:payment"), ("limit", "10")];
        let request = self.orders_at(Method::GET, "/api/orders")?.query(&query);
        ask(request.timeout(SHORT_PATIENCE)).await
    }

    pub async fn order(&self, id: OrderId) -> Result<Order, Failure> {
        ask(self.orders_at(Method::GET, &format!("/api/orders/{id}"))?).await
    }

    /// Holds a ticket at the price that the buyer saw.
    pub async fn place_order(
        &self,
        ticket: TicketId,
        price: Money,
        key: &str,
    ) -> Result<Order, Failure> {
        let body = json!({ "ticketId": ticket, "price": price.to_string() });
        let request = self.orders_at(Method::POST, "/api/orders")?.json(&body);
        ask(request.header("idempotency-key", key)).await
    }

    pub async fn cancel_order(&self, id: OrderId) -> Result<(), Failure> {
        send(self.orders_at(Method::DELETE, &format!("/api/orders/{id}"))?).await.map(drop)
    }

    /// None: nothing has been paid or tried yet.
    pub async fn payment_of(&self, order: OrderId) -> Result<Option<Payment>, Failure> {
        let request = self.payments_at(Method::GET, "/api/payments")?;
        let list: List<Payment> = ask(request.query(&[("orderId", order)])).await?;
        Ok(list.items.into_iter().next())
    }

    /// Pays with what Stripe's form, or the list of test cards, has made of a card.
    pub async fn pay(&self, order: OrderId, token: &str, key: &str) -> Result<Payment, Failure> {
        let body = json!({ "orderId": order, "token": token });
        let request = self.payments_at(Method::POST, "/api/payments")?.json(&body);
        ask(request.header("idempotency-key", key).timeout(PAYING)).await
    }

    pub async fn refund(&self, payment: PaymentId, key: &str) -> Result<Payment, Failure> {
        let path = format!("/api/payments/{payment}/refund");
        let request = self.payments_at(Method::POST, &path)?.json(&json!({}));
        ask(request.header("idempotency-key", key)).await
    }

    fn auth(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.auth, method, path)
    }

    fn tickets_at(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.tickets, method, path)
    }

    fn orders_at(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.orders, method, path)
    }

    fn payments_at(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.payments, method, path)
    }

    fn request(
        &self,
        service: &Url,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, Failure> {
        let url = service.join(path).map_err(|error| Failure::Down(error.into()))?;
        let mut request = self.api.http.request(method, url).headers(self.headers.clone());
        if let Some(traceparent) = telemetry::traceparent() {
            request = request.header("traceparent", traceparent);
        }
        Ok(request)
    }
}

/// The answer of a service that has done what it was asked; all else is a failure.
async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| Failure::Down(error.into()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let bytes = response.bytes().await.map_err(|error| Failure::Down(error.into()))?;
    match serde_json::from_slice::<Refusal>(&bytes) {
        Ok(refusal) if status.is_client_error() => Err(refusal.into()),
        Ok(refusal) => Err(Failure::Down(anyhow::anyhow!("{refusal}"))),
        Err(_) => Err(Failure::Down(anyhow::anyhow!("{status} without a problem document"))),
    }
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    read(send(request).await?).await
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let url = response.url().path().to_owned();
    let bytes = response.bytes().await.map_err(|error| Failure::Down(error.into()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("what {url} has answered"))
        .map_err(Failure::Down)
}

async fn signed(response: Response) -> Result<Signed, Failure> {
    let cookies = cookies(&response);
    Ok(Signed { user: read(response).await?, cookies })
}

fn cookies(response: &Response) -> Vec<HeaderValue> {
    response.headers().get_all(header::SET_COOKIE).iter().cloned().collect()
}
