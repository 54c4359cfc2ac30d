//! The calls to the services.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use common::Money;
use common::ids::{OrderId, PaymentId, SessionId, TicketId, UserId};
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use telemetry::spans;
use tracing::Instrument;
use url::Url;

use super::{
    Account, Admission, Admitted, ApiToken, Door, Failure, List, NewApiToken, Order, Payment,
    Refusal, ReportedOrder, Ticket, User, UserAct, UserSession,
};

/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of a call that a page can do without.
const OPTIONAL_TIMEOUT: Duration = Duration::from_millis(1500);
/// The timeout of a payment: payments waits up to ten seconds for Stripe.
const PAYMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The headers of the visitor's request that are forwarded.
const FORWARDED_HEADERS: [&str; 3] = ["user-agent", "x-forwarded-for", "x-request-id"];

/// The client of all services.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    services: Arc<ServiceUrls>,
}

/// Where the services are.
#[derive(Clone, Debug, Args)]
pub struct ServiceUrls {
    /// Base URL of auth, for /api/users
    #[arg(long, env = "AUTH_URL")]
    pub auth_url: Url,

    /// Base URL of tickets, for /api/tickets
    #[arg(long, env = "TICKETS_URL")]
    pub tickets_url: Url,

    /// Base URL of orders, for /api/orders
    #[arg(long, env = "ORDERS_URL")]
    pub orders_url: Url,

    /// Base URL of payments, for /api/payments
    #[arg(long, env = "PAYMENTS_URL")]
    pub payments_url: Url,

    /// Base URL of confirmation, for /api/orders/{id}/mails
    #[arg(long, env = "CONFIRMATION_URL")]
    pub confirmation_url: Url,
}

/// The API with one visitor's session.
#[derive(Clone)]
pub struct Caller {
    api: Api,
    headers: HeaderMap,
    /// What auth gets besides: the refresh token. Any other service could renew the session with it.
    refresh: Option<String>,
    session: Option<String>,
}

/// A new or renewed session: the user, and the cookies to set.
pub struct Session {
    pub user: User,
    pub cookies: Vec<HeaderValue>,
}

/// A listing as the seller typed it, for tickets to validate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketDraft {
    pub title: String,
    pub price: String,
    pub description: Option<String>,
    pub date: Option<String>,
    pub time_zone: Option<String>,
    pub venue: Option<String>,
    /// None: one for a new listing, and unchanged for another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_order: Option<i64>,
    pub sold_together: bool,
    /// How buyers get in. None: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Whether the sale is stopped. None: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
}

/// What a buyer wants, and what they have seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub ticket: TicketId,
    /// None: one, or all that are sold together.
    pub quantity: Option<i64>,
    /// The price of one place.
    pub price: Money,
    /// The version of the listing.
    pub version: Option<i64>,
}

impl Api {
    pub fn new(services: &ServiceUrls) -> anyhow::Result<Api> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(1))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("an HTTP client")?;
        Ok(Api { http, services: Arc::new(services.clone()) })
    }

    /// A caller with these request headers and the session in these cookies. No other cookie leaves this process, and
    /// only auth gets the refresh token.
    pub fn caller(&self, request: &HeaderMap, cookies: Option<HeaderValue>) -> Caller {
        let forwarded = |name: &&str| {
            let name = http::HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name.clone(), request.get(&name)?.clone()))
        };
        let headers = FORWARDED_HEADERS.iter().filter_map(forwarded).collect();
        let cookies = cookies.as_ref().and_then(|cookies| cookies.to_str().ok());
        let named = |names: [&str; 2]| {
            let mut pairs = cookies?.split(';').map(str::trim);
            let pair = pairs
                .find(|pair| pair.split_once('=').is_some_and(|(name, _)| names.contains(&name)));
            pair.map(str::to_owned)
        };
        let session = named(["__Host-session", "session"]);
        let refresh = named(["__Host-refresh", "refresh"]);
        Caller { api: self.clone(), headers, refresh, session }
    }
}

impl Caller {
    /// The API as anyone sees it.
    pub fn anonymous(&self) -> Caller {
        Caller { refresh: None, session: None, ..self.clone() }
    }

    pub async fn sign_up(&self, form: &impl Serialize) -> Result<Session, Failure> {
        let request = self.auth(Method::POST, "/api/users/signup")?.json(form);
        session(send(request).await?).await
    }

    pub async fn sign_in(&self, form: &impl Serialize) -> Result<Session, Failure> {
        let request = self.auth(Method::POST, "/api/users/signin")?.json(form);
        session(send(request).await?).await
    }

    /// Ends the session, and returns the cookies that clear it.
    pub async fn sign_out(&self) -> Result<Vec<HeaderValue>, Failure> {
        let response = send(self.auth(Method::POST, "/api/users/signout")?).await?;
        Ok(cookies(&response))
    }

    /// Renews the session. A refusal means that it has ended.
    pub async fn refresh(&self) -> Result<Session, Failure> {
        session(send(self.auth(Method::POST, "/api/users/refresh")?).await?).await
    }

    pub async fn current_user(&self) -> Result<Option<User>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            current_user: Option<User>,
        }
        let body: Body = ask(self.auth(Method::GET, "/api/users/currentuser")?).await?;
        Ok(body.current_user)
    }

    /// Changes the user's own account. Another password comes with the cookies of a new session.
    pub async fn change_account(&self, change: &impl Serialize) -> Result<Session, Failure> {
        session(send(self.auth(Method::PATCH, "/api/users/me")?.json(change)).await?).await
    }

    /// Has another link sent that confirms the address.
    pub async fn send_verification(&self) -> Result<(), Failure> {
        send(self.auth(Method::POST, "/api/users/verification")?.json(&json!({}))).await.map(drop)
    }

    /// Opens the link that confirms an address.
    pub async fn verify_email(&self, code: &str) -> Result<(), Failure> {
        let request = self.auth(Method::POST, "/api/users/verification/confirm")?;
        send(request.json(&json!({ "code": code }))).await.map(drop)
    }

    /// Has a link to another password sent, if there is an account of this address.
    pub async fn send_recovery(&self, email: &str) -> Result<(), Failure> {
        let request = self.auth(Method::POST, "/api/users/recovery")?;
        send(request.json(&json!({ "email": email }))).await.map(drop)
    }

    /// Opens the link to another password, and signs in.
    pub async fn recover(&self, code: &str, password: &str) -> Result<Session, Failure> {
        let request = self.auth(Method::POST, "/api/users/recovery/confirm")?;
        session(send(request.json(&json!({ "code": code, "password": password }))).await?).await
    }

    /// Opens the link that closes an account which the owner of the address hasn't signed up for.
    pub async fn disown(&self, code: &str) -> Result<(), Failure> {
        let request = self.auth(Method::POST, "/api/users/disown")?;
        send(request.json(&json!({ "code": code }))).await.map(drop)
    }

    /// Where the user is signed in.
    pub async fn sessions(&self) -> Result<Vec<UserSession>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            sessions: Vec<UserSession>,
        }
        let body: Body = ask(self.auth(Method::GET, "/api/users/sessions")?).await?;
        Ok(body.sessions)
    }

    /// Ends one of the user's sessions, and returns the cookies that clear it if it is this one.
    pub async fn end_session(&self, id: SessionId) -> Result<Vec<HeaderValue>, Failure> {
        let request = self.auth(Method::DELETE, &format!("/api/users/sessions/{id}"))?;
        Ok(cookies(&send(request).await?))
    }

    /// Ends all of them, and returns the cookies that clear this one.
    pub async fn end_all_sessions(&self) -> Result<Vec<HeaderValue>, Failure> {
        Ok(cookies(&send(self.auth(Method::DELETE, "/api/users/sessions")?).await?))
    }

    /// The user's API tokens.
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            tokens: Vec<ApiToken>,
        }
        let body: Body = ask(self.auth(Method::GET, "/api/users/tokens")?).await?;
        Ok(body.tokens)
    }

    /// Creates one, and returns what is never shown again.
    pub async fn create_api_token(&self, new: &NewApiToken) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Body {
            token: String,
        }
        let body: Body = ask(self.auth(Method::POST, "/api/users/tokens")?.json(new)).await?;
        Ok(body.token)
    }

    pub async fn revoke_api_token(&self, id: SessionId) -> Result<(), Failure> {
        let request = self.auth(Method::DELETE, &format!("/api/users/tokens/{id}"))?;
        send(request).await.map(drop)
    }

    /// For administrators: the account of this address.
    pub async fn find_user(&self, email: &str) -> Result<Option<Account>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            users: Vec<Account>,
        }
        let request = self.auth(Method::GET, "/api/users")?.query(&[("email", email)]);
        let body: Body = ask(request).await?;
        Ok(body.users.into_iter().next())
    }

    /// For administrators: the latest acts.
    pub async fn audit_log(&self) -> Result<Vec<UserAct>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            entries: Vec<UserAct>,
        }
        let body: Body = ask(self.auth(Method::GET, "/api/users/audit")?).await?;
        Ok(body.entries)
    }

    pub async fn ban(&self, id: UserId, reason: &str, refund: bool) -> Result<(), Failure> {
        let request = self.auth(Method::PUT, &format!("/api/users/{id}/ban"))?;
        let body = json!({ "reason": reason, "refund": refund });
        send(request.json(&body)).await.map(drop)
    }

    pub async fn unban(&self, id: UserId) -> Result<(), Failure> {
        send(self.auth(Method::DELETE, &format!("/api/users/{id}/ban"))?).await.map(drop)
    }

    pub async fn set_administrator(&self, id: UserId, member: bool) -> Result<(), Failure> {
        let method = if member { Method::PUT } else { Method::DELETE };
        send(self.auth(method, &format!("/api/users/{id}/groups/admin"))?).await.map(drop)
    }

    pub async fn tickets(&self, query: &[(&str, &str)]) -> Result<List<Ticket>, Failure> {
        ask(current(self.tickets_at(Method::GET, "/api/tickets")?).query(query)).await
    }

    pub async fn ticket(&self, id: TicketId) -> Result<Ticket, Failure> {
        ask(current(self.tickets_at(Method::GET, &format!("/api/tickets/{id}"))?)).await
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

    /// The orders whose buyers have reported a problem that isn't solved, for administrators.
    pub async fn reported_orders(
        &self,
        query: &[(&str, &str)],
    ) -> Result<List<ReportedOrder>, Failure> {
        ask(self.orders_at(Method::GET, "/api/orders/problems")?.query(query)).await
    }

    /// The active unpaid orders, for the bar on every page, which works without them.
    pub async fn reservations(&self) -> Result<List<Order>, Failure> {
        let query = [("status", "created"), ("status", "awaiting:payment"), ("limit", "10")];
        let request = self.orders_at(Method::GET, "/api/orders")?.query(&query);
        ask(request.timeout(OPTIONAL_TIMEOUT)).await
    }

    pub async fn order(&self, id: OrderId) -> Result<Order, Failure> {
        ask(self.orders_at(Method::GET, &format!("/api/orders/{id}"))?).await
    }

    /// Reserves places of a listing at the price, and in the version, that the buyer saw.
    pub async fn place_order(&self, wanted: Wanted, key: &str) -> Result<Order, Failure> {
        let Wanted { ticket, quantity, price, version } = wanted;
        let mut body = json!({ "ticketId": ticket, "price": price.to_string() });
        if let Some(quantity) = quantity {
            body["quantity"] = json!(quantity);
        }
        if let Some(version) = version {
            body["ticketVersion"] = json!(version);
        }
        let request = self.orders_at(Method::POST, "/api/orders")?.json(&body);
        ask(request.header("idempotency-key", key)).await
    }

    pub async fn cancel_order(&self, id: OrderId) -> Result<(), Failure> {
        send(self.orders_at(Method::DELETE, &format!("/api/orders/{id}"))?).await.map(drop)
    }

    /// The codes of a paid order, for its buyer.
    pub async fn admissions(&self, order: OrderId) -> Result<Vec<Admission>, Failure> {
        #[derive(Deserialize)]
        struct Body {
            admissions: Vec<Admission>,
        }
        let path = format!("/api/orders/{order}/admissions");
        let body: Body = ask(self.tickets_at(Method::GET, &path)?).await?;
        Ok(body.admissions)
    }

    pub async fn door(&self, ticket: TicketId) -> Result<Door, Failure> {
        ask(self.tickets_at(Method::GET, &format!("/api/tickets/{ticket}/door"))?).await
    }

    /// A code is shown at the door.
    pub async fn check_in(
        &self,
        ticket: TicketId,
        code: &str,
        gate: &str,
        key: &str,
    ) -> Result<Admitted, Failure> {
        let path = format!("/api/tickets/{ticket}/checkin");
        let body = json!({ "code": code, "gate": gate });
        let request = self.tickets_at(Method::POST, &path)?.json(&body);
        ask(request.header("idempotency-key", key)).await
    }

    /// A new link for door staff.
    pub async fn invite(&self, ticket: TicketId) -> Result<(), Failure> {
        let path = format!("/api/tickets/{ticket}/door/invitation");
        send(self.tickets_at(Method::POST, &path)?.json(&json!({}))).await.map(drop)
    }

    /// Joins the door staff by the seller's link.
    pub async fn join(&self, ticket: TicketId, link: &str, name: &str) -> Result<(), Failure> {
        let path = format!("/api/tickets/{ticket}/door/staff");
        let body = json!({ "invitation": link, "name": name });
        send(self.tickets_at(Method::POST, &path)?.json(&body)).await.map(drop)
    }

    pub async fn dismiss(&self, ticket: TicketId, staff: UserId) -> Result<(), Failure> {
        let path = format!("/api/tickets/{ticket}/door/staff/{staff}");
        send(self.tickets_at(Method::DELETE, &path)?).await.map(drop)
    }

    /// The seller says that the ticket is sent (`sent`); the buyer, that it has arrived (`received`) or what is wrong
    /// (`problem`).
    pub async fn report(&self, id: OrderId, state: &str, message: &str) -> Result<(), Failure> {
        let path = format!("/api/orders/{id}/handover");
        let body = json!({ "state": state, "message": message });
        send(self.orders_at(Method::PUT, &path)?.json(&body)).await.map(drop)
    }

    /// None before the first payment attempt.
    pub async fn payment_of(&self, order: OrderId) -> Result<Option<Payment>, Failure> {
        let request = self.payments_at(Method::GET, "/api/payments")?;
        let list: List<Payment> = ask(request.query(&[("orderId", order)])).await?;
        Ok(list.items.into_iter().next())
    }

    /// The buyer comes back from their bank: what has become of the payment is asked of Stripe.
    pub async fn refresh_payment(&self, payment: PaymentId) -> Result<Payment, Failure> {
        let path = format!("/api/payments/{payment}/refresh");
        ask(self.payments_at(Method::POST, &path)?).await
    }

    /// Pays with the token from Stripe's form, or with the token of a test card.
    pub async fn pay(&self, order: OrderId, token: &str, key: &str) -> Result<Payment, Failure> {
        let body = json!({ "orderId": order, "token": token });
        let request = self.payments_at(Method::POST, "/api/payments")?.json(&body);
        ask(request.header("idempotency-key", key).timeout(PAYMENT_TIMEOUT)).await
    }

    /// Refunds a payment. `relist`: the places go back on sale.
    pub async fn refund(
        &self,
        payment: PaymentId,
        relist: bool,
        key: &str,
    ) -> Result<Payment, Failure> {
        let path = format!("/api/payments/{payment}/refund");
        let request = self.payments_at(Method::POST, &path)?.json(&json!({ "relist": relist }));
        ask(request.header("idempotency-key", key)).await
    }

    fn auth(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request_with(&self.api.services.auth_url, method, path, self.refresh.as_deref())
    }

    pub(super) fn tickets_at(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.tickets_url, method, path)
    }

    pub(super) fn orders_at(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.orders_url, method, path)
    }

    pub(super) fn payments_at(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.payments_url, method, path)
    }

    pub(super) fn confirmation_at(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, Failure> {
        self.request(&self.api.services.confirmation_url, method, path)
    }

    fn request(
        &self,
        service: &Url,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, Failure> {
        self.request_with(service, method, path, None)
    }

    fn request_with(
        &self,
        service: &Url,
        method: Method,
        path: &str,
        refresh: Option<&str>,
    ) -> Result<RequestBuilder, Failure> {
        let url = service.join(path).map_err(|error| Failure::Down(error.into()))?;
        let mut request = self.api.http.request(method, url).headers(self.headers.clone());
        let cookies: Vec<&str> = self.session.as_deref().into_iter().chain(refresh).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(traceparent) = telemetry::traceparent() {
            request = request.header(telemetry::TRACEPARENT, traceparent);
        }
        Ok(request)
    }
}

/// What is read now: a page reflects every event that came before.
fn current(request: RequestBuilder) -> RequestBuilder {
    request.header(header::CACHE_CONTROL, "no-cache")
}

/// A successful response; every other outcome is a failure.
async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = exchange(request).await.map_err(|error| Failure::Down(error.into()))?;
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

/// Sends the request, in a span that the service's own is a child of.
async fn exchange(request: RequestBuilder) -> reqwest::Result<Response> {
    let (client, request) = request.build_split();
    let mut request = request?;
    let url = request.url();
    let host = url.host_str().unwrap_or_default();
    let span = spans::http_client(request.method().as_str(), host, url.port(), url.path());
    let traceparent = spans::traceparent_of(&span).and_then(|it| it.try_into().ok());
    if let Some(traceparent) = traceparent {
        request.headers_mut().insert(telemetry::TRACEPARENT, traceparent);
    }
    let response = client.execute(request).instrument(span.clone()).await;
    match &response {
        Ok(response) => spans::http_responded(&span, response.status().as_u16()),
        Err(error) if error.is_timeout() => spans::fail(&span, "timeout"),
        Err(_) => spans::fail(&span, "no_response"),
    }
    response
}

pub(super) async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    read(send(request).await?).await
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let url = response.url().path().to_owned();
    let bytes = response.bytes().await.map_err(|error| Failure::Down(error.into()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("reading the response of {url}"))
        .map_err(Failure::Down)
}

async fn session(response: Response) -> Result<Session, Failure> {
    let cookies = cookies(&response);
    Ok(Session { user: read(response).await?, cookies })
}

fn cookies(response: &Response) -> Vec<HeaderValue> {
    response.headers().get_all(header::SET_COOKIE).iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_token_is_sent_to_auth_alone_and_no_cookie_of_others_anywhere() {
        let url = |name: &str| format!("http://{name}").parse().unwrap();
        let services = ServiceUrls {
            auth_url: url("auth"),
            tickets_url: url("tickets"),
            orders_url: url("orders"),
            payments_url: url("payments"),
            confirmation_url: url("confirmation"),
        };
        let api = Api::new(&services).unwrap();
        for prefix in ["", "__Host-"] {
            let sent = format!(
                "a=1; {prefix}session=S; theme=dark; {prefix}refresh=R; {prefix}flash=sold"
            );
            let caller = api.caller(&HeaderMap::new(), HeaderValue::from_str(&sent).ok());
            let cookies = |request: Result<RequestBuilder, Failure>| {
                let request = request.ok().unwrap().build().unwrap();
                request.headers()[header::COOKIE].to_str().unwrap().to_owned()
            };
            let (session, both) =
                (format!("{prefix}session=S"), format!("{prefix}session=S; {prefix}refresh=R"));
            assert_eq!(cookies(caller.auth(Method::GET, "/")), both);
            assert_eq!(cookies(caller.tickets_at(Method::GET, "/")), session);
            assert_eq!(cookies(caller.orders_at(Method::GET, "/")), session);
            assert_eq!(cookies(caller.payments_at(Method::GET, "/")), session);
            assert_eq!(cookies(caller.confirmation_at(Method::GET, "/")), session);
        }
    }
}
