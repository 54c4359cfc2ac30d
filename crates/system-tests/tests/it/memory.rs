//! The memory of each service under its worst load, as far as its limit in Kubernetes allows.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, message::PublishMessage};
use bson::{Document, doc};
use common::events::{Event, Order, OrderCreated};
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use system_tests::{Stack, clock, workspace};
use testkit::fixtures::{self, OrderChanges as _};
use testkit::{Client, retry_for};

use crate::kubernetes::{OVERLAYS, list, text, workloads};

/// More than a service works on at once.
const CONCURRENT: usize = 600;
/// Of its limit, a service uses this much at most.
const PERCENT: u64 = 60;
/// A description of as many characters as one may have, of four bytes each.
const DESCRIPTION_CHARS: usize = 5_000;
/// As many as web keeps open by default, here all of one visitor's.
const LIVE_STREAMS: usize = 1500;
/// Almost as large as a body may be.
const PADDING: usize = 60_000;

/// The memory limit of a service's container in production, in bytes.
fn limit(service: &str) -> u64 {
    let (_, pods) = workloads(&OVERLAYS["production"])
        .into_iter()
        .find(|(workload, _)| *workload == service)
        .unwrap_or_else(|| panic!("no workload {service}"));
    let container = &list(pods, "/spec/containers")[0];
    let limit = text(container, "/resources/limits/memory");
    let mebibytes = limit.strip_suffix("Mi").unwrap_or_else(|| panic!("{service}: {limit}"));
    mebibytes.parse::<u64>().unwrap() * 1024 * 1024
}

/// Sends requests at once, reads the responses, and counts them by status.
async fn flood(requests: impl Iterator<Item = RequestBuilder>) -> BTreeMap<u16, usize> {
    let sent = requests.map(|request| {
        tokio::spawn(async move {
            let mut response = request.send().await.unwrap();
            let status = response.status().as_u16();
            while response.chunk().await.unwrap().is_some() {}
            status
        })
    });
    let sent: Vec<_> = sent.collect();
    let mut statuses = BTreeMap::new();
    for status in join_all(sent).await {
        *statuses.entry(status.unwrap()).or_default() += 1;
    }
    statuses
}

/// A seller or a buyer who floods each service, past the gateway and its limits.
struct Load<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
    session: String,
    email: String,
}

impl<'a> Load<'a> {
    async fn new(stack: &'a Stack, name: &str) -> Load<'a> {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "password": "correct horse" });
        let auth = Client::new(&stack.url_of("auth"));
        let signed_up = auth.post("/api/users/signup", account).await;
        signed_up.expect(201);
        let session = signed_up.cookie("session").unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Load { stack, http, session, email }
    }

    fn get(&self, service: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.stack.url_of(service));
        self.http.get(url).header("cookie", format!("session={}", self.session))
    }

    fn post(&self, service: &str, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}{path}", self.stack.url_of(service));
        self.http.post(url).header("cookie", format!("session={}", self.session)).json(body)
    }

    async fn many(&self, request: impl Fn() -> RequestBuilder) -> BTreeMap<u16, usize> {
        flood((0..CONCURRENT).map(|_| request())).await
    }

    /// What a service responds once it is no longer flooded.
    async fn afterwards(&self, service: &str, path: &str) -> Value {
        let response = async || self.get(service, path).send().await.unwrap();
        finally("a response", async || response().await.status() == 200).await;
        serde_json::from_str(&response().await.text().await.unwrap()).unwrap()
    }

    async fn sign_ins(&self) {
        for password in ["correct horse".to_owned(), "wrong horse".to_owned(), padding()] {
            // Attempts at one account are limited, and cost nothing: each is at another one.
            let sign_ins = (0..CONCURRENT).map(|number| {
                let body =
                    json!({ "email": format!("{number}-{}", self.email), "password": password });
                self.post("auth", "/api/users/signin", &body)
            });
            assert_only(&flood(sign_ins).await, &[401, 503]);
        }
    }

    /// Returns the ids of some tickets.
    async fn tickets(&self) -> Vec<String> {
        let description = "🎟".repeat(DESCRIPTION_CHARS);
        let ticket =
            json!({ "title": "Tosca, row 7", "price": "20.50", "description": description });
        let statuses = self.many(|| self.post("tickets", "/api/tickets", &ticket)).await;
        assert_only(&statuses, &[201, 503]);
        assert!(statuses[&201] >= 100, "{statuses:?}");
        let list = "/api/tickets?limit=100";
        let statuses = self.many(|| self.get("tickets", list)).await;
        assert_only(&statuses, &[200, 503]);
        assert!(statuses[&200] > 0, "{statuses:?}");
        let listed = self.afterwards("tickets", list).await;
        let listed = listed["tickets"].as_array().unwrap();
        let ids: Vec<_> =
            listed.iter().map(|ticket| ticket["id"].as_str().unwrap().to_owned()).collect();
        let replicas = self.stack.database("orders").await.collection::<Document>("tickets");
        let known = doc! { "_id": { "$in": &ids } };
        let all = u64::try_from(ids.len()).unwrap();
        let known = async || replicas.count_documents(known.clone()).await.unwrap();
        finally("orders to know the tickets", async || known().await == all).await;
        ids
    }

    /// Returns the id of one of the orders.
    async fn orders(&self, tickets: &[String]) -> String {
        let bodies = tickets.iter().cycle().take(CONCURRENT);
        let bodies = bodies.map(|ticket| json!({ "ticketId": ticket, "padding": padding() }));
        let orders = bodies.map(|body| self.post("orders", "/api/orders", &body));
        assert_only(&flood(orders).await, &[201, 409, 429, 503]);
        let list = "/api/orders?limit=100&status=active";
        let statuses = self.many(|| self.get("orders", list)).await;
        assert_only(&statuses, &[200, 503]);
        let listed = self.afterwards("orders", list).await;
        listed["orders"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn payments(&self, order: &str) {
        let body = json!({ "orderId": order, "token": "tok_visa", "padding": padding() });
        let statuses = self.many(|| self.post("payments", "/api/payments", &body)).await;
        assert_only(&statuses, &[201, 202, 409, 503]);
        let path = format!("/api/payments?orderId={order}");
        let statuses = self.many(|| self.get("payments", &path)).await;
        assert_only(&statuses, &[200, 503]);
    }

    /// Reservations that expire together, published at once.
    async fn expiries(&self) {
        const ORDERS: u64 = 1_000;
        let nats = jetstream::new(self.stack.nats().await.unwrap());
        let now = clock::now();
        let orders: Vec<Order> = (0..ORDERS)
            .map(|_| {
                fixtures::order(&fixtures::ticket(now), now)
                    .with_expiry(now + Duration::from_secs(1))
            })
            .collect();
        let published = orders.into_iter().map(|order| {
            let event = OrderCreated(order);
            let mut headers = HeaderMap::new();
            headers.insert("ce-specversion", "1.0");
            headers.insert("ce-id", event.id());
            headers.insert("ce-type", OrderCreated::SUBJECT.as_str());
            headers.insert("ce-source", "/services/orders");
            headers.insert("ce-time", now.to_string());
            let message = PublishMessage::build().headers(headers).message_id(event.id());
            let message = message.payload(serde_json::to_vec(&event).unwrap().into());
            let nats = nats.clone();
            async move {
                nats.send_publish(OrderCreated::SUBJECT.as_str(), message).await.unwrap().await
            }
        });
        // Each acknowledgement has its time limit: not all at once.
        let mut published = stream::iter(published).buffer_unordered(64);
        while let Some(published) = published.next().await {
            published.unwrap();
        }
        let schedules = self.stack.database("expiration").await.collection::<Document>("schedules");
        let fired =
            async || schedules.count_documents(doc! { "state": "fired" }).await.unwrap() >= ORDERS;
        finally("all reservations to expire", fired).await;
    }

    /// All pages that a replica keeps live, and a flood of others.
    async fn pages(&self, ticket: &str) {
        let live = format!("/live?topic=ticket:{ticket}");
        let open = join_all((0..LIVE_STREAMS).map(|_| self.get("web", &live).send())).await;
        assert!(open.iter().all(|stream| stream.as_ref().unwrap().status() == 200));
        for path in ["/", &format!("/tickets/{ticket}"), "/orders", "/sitemap.xml"] {
            let statuses = self.many(|| self.get("web", path)).await;
            assert_only(&statuses, &[200, 503]);
            let response = async || self.get("web", path).send().await.unwrap().status();
            finally("a page", async || response().await == 200).await;
        }
    }
}

/// Waits for what happens after a flood, which a busy machine takes its time for.
async fn finally(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    const TIMEOUT: Duration = Duration::from_secs(120);
    let happened = retry_for(TIMEOUT, async || if condition().await { Ok(()) } else { Err(()) });
    happened.await.unwrap_or_else(|()| panic!("timed out waiting for {what}"));
}

fn padding() -> String {
    "x".repeat(PADDING)
}

#[track_caller]
fn assert_only(statuses: &BTreeMap<u16, usize>, expected: &[u16]) {
    assert!(statuses.keys().all(|status| expected.contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_its_worst_load_a_service_takes_little_of_its_memory_limit() {
    let stack = tokio::task::spawn_blocking(|| {
        Stack::start("memory", &[("LIVE_STREAMS_PER_VISITOR", "1500")])
    })
    .await
    .unwrap();
    let (seller, buyer) = (Load::new(&stack, "seller").await, Load::new(&stack, "buyer").await);
    buyer.sign_ins().await;
    let tickets = seller.tickets().await;
    let order = buyer.orders(&tickets).await;
    buyer.payments(&order).await;
    buyer.expiries().await;
    buyer.pages(&tickets[0]).await;

    let processes = stack.processes();
    for service in workspace::services() {
        let peak = processes.wait_for(&service).await.unwrap().peak_memory();
        let limit = limit(&service);
        assert!(peak * 100 <= limit * PERCENT, "{service}: {} MiB of {}", peak >> 20, limit >> 20);
    }
}
