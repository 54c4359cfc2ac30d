//! The service on real servers, and the events of orders that it consumes.

use clap::Parser;
use common::events::{
    CancelReason, Order, OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderUpdated,
    Stream,
};
use common::ids::{TicketId, UserId};
use common::{Clock, Money};
use serde_json::{Value, json};
use service::Microservice as _;
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _};
use testkit::{Client, Infra, Response, TestService, TestUser};
use tickets::app::Tickets;
use tickets::state::Settings;

pub struct World {
    pub service: TestService,
    pub infra: Infra,
}

impl World {
    pub async fn start() -> Self {
        World::start_on(Infra::start().await).await
    }

    /// The service on a database that may have documents.
    pub async fn start_on(infra: Infra) -> Self {
        let service = Tickets::build(settings(&infra), infra.clock.clone()).await.unwrap();
        let service = TestService::serve(service).await;
        infra.bus().wait_for_consumers("tickets", &[Stream::Orders, Stream::Users]).await;
        World { service, infra }
    }

    pub fn clock(&self) -> &Clock {
        &self.infra.clock
    }

    pub fn user(&self) -> TestUser {
        self.infra.user()
    }

    pub fn client_as(&self, user: &TestUser) -> Client {
        self.service.client_as(user)
    }

    /// Lists a ticket and returns it as the API does.
    pub async fn list_ticket(&self, seller: &TestUser, body: Value) -> Value {
        self.client_as(seller).post("/api/tickets", body).await.expect(201)
    }

    /// Lists a ticket with arbitrary content.
    pub async fn default_ticket(&self, seller: &TestUser) -> Value {
        self.list_ticket(seller, json!({ "title": "Motörhead", "price": "20.50" })).await
    }

    pub async fn get(&self, user: &TestUser, ticket: &Value) -> Response {
        self.client_as(user).get(&path(ticket)).await
    }

    /// A listing of so many places.
    pub async fn listing_of(&self, seller: &TestUser, quantity: u16) -> Value {
        let body = json!({ "title": "Motörhead", "price": "20.50", "quantity": quantity });
        self.list_ticket(seller, body).await
    }

    /// Waits until the listing shows these numbers of places: available, reserved and sold.
    pub async fn shows(&self, ticket: &Value, expected: [u16; 3]) -> Value {
        let what = format!("the ticket to show {expected:?}");
        testkit::eventually(&what, || async {
            let shown = self.service.client().get(&path(ticket)).await.expect(200);
            let counts = ["available", "reserved", "sold"].map(|count| shown[count].clone());
            (counts == expected.map(Value::from)).then_some(shown)
        })
        .await
    }

    /// Publishes the event of an order in this state, and waits until the service has handled it.
    pub async fn deliver(&self, order: &Order) {
        let bus = self.infra.bus();
        match order.status {
            OrderStatus::Created => bus.publish_again(&OrderCreated(order.clone())).await,
            OrderStatus::AwaitingPayment => bus.publish_again(&OrderUpdated(order.clone())).await,
            OrderStatus::Complete => bus.publish_again(&OrderCompleted(order.clone())).await,
            OrderStatus::Unknown => unreachable!("never published"),
            OrderStatus::Cancelled => bus.publish_again(&OrderCancelled(order.clone())).await,
        }
        bus.settled("tickets").await;
    }

    /// An order of the ticket by this buyer.
    pub fn order(&self, buyer: &TestUser, ticket: &Value) -> TestOrder {
        let now = self.clock().now();
        let listed = fixtures::ticket(now)
            .with_id(text(&ticket["id"]).parse::<TicketId>().unwrap())
            .with_title(text(&ticket["title"]))
            .with_price(text(&ticket["price"]).parse::<Money>().unwrap())
            .with_seller(text(&ticket["userId"]).parse::<UserId>().unwrap())
            .with_time_zone(text(&ticket["timeZone"]));
        TestOrder(fixtures::order(&listed, now).with_buyer(buyer.id))
    }
}

/// An order, in the states that events carry.
#[derive(Clone)]
pub struct TestOrder(Order);

impl TestOrder {
    pub fn id(&self) -> String {
        self.0.id.to_string()
    }

    /// For these places instead.
    pub fn at(&self, places: impl IntoIterator<Item = u16>) -> TestOrder {
        TestOrder(fixtures::with_places(self.0.clone(), places))
    }

    /// Refunded without relisting.
    pub fn withdrawn(&self, version: i64) -> Order {
        let refunded = self.cancelled(version).with_cancel_reason(CancelReason::Refunded);
        refunded.with_occupies(true)
    }

    pub fn created(&self, version: i64) -> Order {
        self.0.clone().with_version(version)
    }

    pub fn completed(&self, version: i64) -> Order {
        self.created(version).with_status(OrderStatus::Complete)
    }

    pub fn cancelled(&self, version: i64) -> Order {
        let cancelled = self.created(version).with_status(OrderStatus::Cancelled);
        cancelled.with_cancel_reason(CancelReason::Expired).with_occupies(false)
    }
}

pub fn settings(infra: &Infra) -> Settings {
    let mut all = infra.args("tickets");
    let keys = infra.admission_key_file().display().to_string();
    all.extend(["--admission-keys".to_owned(), keys]);
    Settings::parse_from(all)
}

pub fn path(ticket: &Value) -> String {
    format!("/api/tickets/{}", text(&ticket["id"]))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}
