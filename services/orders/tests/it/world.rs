//! A running orders service, and the events that other services would publish.

use std::time::Duration;

use clap::Parser;
use common::Quantity;
use common::events::{
    ExpirationComplete, FailedPayment, OrderCancelled, OrderCompleted, OrderCreated,
    OrderRefundRequired, OrderUpdated, Payment, PaymentCreated, Refund, RefundRequired, Reserved,
    Stream, Ticket, TicketCreated, TicketReserved,
};
use common::ids::{OrderId, TicketId};
use futures::TryStreamExt as _;
use orders::app;
use orders::domain::Order;
use orders::state::{App, Settings};
use serde_json::{Value, json};
use testkit::fixtures::{self, FailedPaymentChanges as _, PaymentChanges as _, TicketChanges as _};
use testkit::{Bus, Client, Infra, Response, TestService, TestUser};

/// More than any test needs that isn't about them.
const MANY_RESERVATIONS: u8 = 100;

/// How long a ticket is reserved.
pub const RESERVATION: Duration = Duration::from_secs(900);

/// The streams that orders consumes.
const CONSUMED: [Stream; 4] =
    [Stream::Users, Stream::Tickets, Stream::Expiration, Stream::Payments];

pub struct World {
    pub infra: Infra,
    pub app: App,
    pub service: TestService,
    pub seller: TestUser,
    pub buyer: TestUser,
}

impl World {
    pub async fn start() -> World {
        let infra = Infra::start().await;
        let app = connect(&infra).await;
        World::serve(infra, app).await
    }

    /// With so many unpaid orders per buyer.
    pub async fn with_reservations_per_buyer(limit: u8) -> World {
        let infra = Infra::start().await;
        let app = connect_with(&infra, limit).await;
        World::serve(infra, app).await
    }

    /// With a confirmed email address of buyers and sellers.
    pub async fn with_verified_emails() -> World {
        let infra = Infra::start().await;
        let required = ["--require-verified-email", "true"].map(str::to_owned);
        let settings = Settings::parse_from(infra.args("orders").into_iter().chain(required));
        let app = App::connect(&settings.state, infra.clock.clone()).await.unwrap();
        World::serve(infra, app).await
    }

    pub async fn serve(infra: Infra, app: App) -> World {
        let service = TestService::serve(app::service(app.clone(), infra.verifier())).await;
        infra.bus().wait_for_consumers("orders", &CONSUMED).await;
        let (seller, buyer) = (infra.user(), infra.user());
        World { infra, app, service, seller, buyer }
    }

    pub fn bus(&self) -> &Bus {
        self.infra.bus()
    }

    pub fn client(&self, user: &TestUser) -> Client {
        self.service.client_as(user)
    }

    /// Waits until every published event is handled.
    pub async fn settled(&self) {
        self.bus().settled("orders").await;
    }

    /// Advances the clock to the moment at which a reservation that was made now expires.
    pub fn advance_to_expiry(&self) {
        self.infra.clock.advance(RESERVATION);
    }

    /// A ticket of the seller's, not published yet.
    pub fn unpublished_ticket(&self) -> Ticket {
        fixtures::ticket(self.infra.clock.now()).with_seller(self.seller.id)
    }

    pub async fn publish_ticket(&self, ticket: &Ticket) {
        self.bus().publish(&TicketCreated(ticket.clone())).await;
        self.settled().await;
    }

    /// A ticket that can be ordered.
    pub async fn ticket(&self) -> Ticket {
        let ticket = self.unpublished_ticket();
        self.publish_ticket(&ticket).await;
        ticket
    }

    /// A listing of so many places.
    pub async fn listing_of(&self, quantity: u16) -> Ticket {
        let ticket = self.unpublished_ticket().with_quantity(Quantity::new(quantity));
        self.publish_ticket(&ticket).await;
        ticket
    }

    pub async fn try_to_order(&self, user: &TestUser, ticket: TicketId) -> Response {
        self.client(user).post("/api/orders", json!({ "ticketId": ticket })).await
    }

    pub async fn try_to_order_some(&self, user: &TestUser, ticket: &Ticket, some: u16) -> Response {
        let body = json!({ "ticketId": ticket.id, "quantity": some });
        self.client(user).post("/api/orders", body).await
    }

    /// An order for so many places, as it is stored.
    pub async fn order_some(&self, user: &TestUser, ticket: &Ticket, some: u16) -> Order {
        let order = self.try_to_order_some(user, ticket, some).await.expect(201);
        self.stored(order["id"].as_str().unwrap().parse().unwrap()).await
    }

    /// The places that orders of the listing occupy, sorted; one that two orders have occurs twice.
    pub async fn occupied(&self, ticket: &Ticket) -> Vec<u16> {
        let occupied = bson::doc! { "ticketId": ticket.id, "occupies": true };
        let orders = self.app.store.documents().collection().find(occupied).await.unwrap();
        let orders: Vec<Order> = orders.try_collect().await.unwrap();
        let places = orders.iter().flat_map(|order| &order.places);
        let mut places: Vec<u16> = places.map(|place| place.number()).collect();
        places.sort_unstable();
        places
    }

    /// An order by the buyer, as it is stored.
    pub async fn order(&self, ticket: &Ticket) -> Order {
        self.order_as(&self.buyer, ticket).await
    }

    pub async fn order_as(&self, user: &TestUser, ticket: &Ticket) -> Order {
        let order = self.try_to_order(user, ticket.id).await.expect(201);
        self.stored(order["id"].as_str().unwrap().parse().unwrap()).await
    }

    pub async fn stored(&self, id: OrderId) -> Order {
        self.app.store.order(id).await.unwrap().unwrap()
    }

    /// The order as its buyer sees it.
    pub async fn seen(&self, order: &Order) -> Value {
        self.client(&self.buyer).get(&path(order)).await.expect(200)
    }

    /// The order that has the only place of a listing.
    pub async fn holder(&self, ticket: TicketId) -> Option<Order> {
        self.app.store.occupying_order(ticket).await.unwrap()
    }

    /// tickets publishes that the places are reserved for the order.
    pub async fn confirm_reserved(&self, order: &Order) {
        self.bus().publish(&reserved(order)).await;
        self.settled().await;
    }

    /// payments publishes that the charge has succeeded.
    pub async fn pay(&self, order: &Order) -> Payment {
        let payment = payment(order);
        self.bus().publish(&PaymentCreated(payment.clone())).await;
        self.settled().await;
        payment
    }

    /// expiration publishes that the reservation's timer has fired.
    pub async fn publish_expiration(&self, order: &Order) {
        self.bus().publish(&expiration(order)).await;
        self.settled().await;
    }

    /// Lets the reservation expire, and the database record it.
    pub async fn expire(&self, order: &Order) {
        self.advance_to_expiry();
        self.publish_expiration(order).await;
    }

    pub async fn cancel(&self, order: &Order) {
        self.client(&self.buyer).delete(&path(order)).await.expect(204);
    }

    /// Every event of an order, once all are published: subject and version.
    pub async fn events_of(&self, order: &Order) -> Vec<(&'static str, i64)> {
        self.published().await;
        let bus = self.bus();
        let of_order = |subject, events: Vec<common::events::Order>| {
            let of_it = events.into_iter().filter(|event| event.id == order.id);
            of_it.map(|event| (subject, event.version)).collect::<Vec<_>>()
        };
        let created = bus.published::<OrderCreated>().await.into_iter().map(|event| event.0);
        let updated = bus.published::<OrderUpdated>().await.into_iter().map(|event| event.0);
        let cancelled = bus.published::<OrderCancelled>().await.into_iter().map(|event| event.0);
        let completed = bus.published::<OrderCompleted>().await.into_iter().map(|event| event.0);
        let mut published = of_order("created", created.collect());
        published.extend(of_order("updated", updated.collect()));
        published.extend(of_order("cancelled", cancelled.collect()));
        published.extend(of_order("completed", completed.collect()));
        let refunds = self.refunds_required(order).await;
        published.extend(refunds.iter().map(|refund| ("refund_required", refund.version)));
        published.sort_by_key(|(_, version)| *version);
        published
    }

    /// The refunds that an order required.
    pub async fn refunds_required(&self, order: &Order) -> Vec<RefundRequired> {
        self.published().await;
        let all = self.bus().published::<OrderRefundRequired>().await.into_iter();
        all.map(|event| event.0).filter(|refund| refund.order_id == order.id).collect()
    }

    /// Whatever is unanswered is published again.
    pub async fn a_day_passes(&self) {
        self.infra.clock.advance(Duration::from_secs(24 * 60 * 60));
        testkit::looked_up(self.app.store.documents(), "unanswered", 3).await;
        self.published().await;
    }

    /// Waits until every outbox is empty.
    pub async fn published(&self) {
        testkit::all_published(self.app.store.documents()).await;
    }
}

pub async fn connect(infra: &Infra) -> App {
    connect_with(infra, MANY_RESERVATIONS).await
}

/// With so many unpaid orders per buyer.
pub async fn connect_with(infra: &Infra, reservations_per_buyer: u8) -> App {
    let limit = ["--reservations-per-buyer".to_owned(), reservations_per_buyer.to_string()];
    let settings = Settings::parse_from(infra.args("orders").into_iter().chain(limit));
    App::connect(&settings.state, infra.clock.clone()).await.unwrap()
}

pub fn path(order: &Order) -> String {
    format!("/api/orders/{}", order.id)
}

/// tickets has reserved the order's places.
pub fn reserved(order: &Order) -> TicketReserved {
    TicketReserved(Reserved { order_id: order.id, ticket_id: order.ticket_id, version: 1 })
}

/// The ticket's next version, which says that it is reserved.
pub fn reserved_for(ticket: &Ticket, order: &Order) -> Ticket {
    ticket.clone().with_version(ticket.version + 1).with_order(order.id)
}

pub fn payment(order: &Order) -> Payment {
    fixtures::payment(order.id, order.created_at).with_amount(order.total)
}

pub fn failed(order: &Order, attempt: i64, r#final: bool) -> FailedPayment {
    let failed = fixtures::failed_payment(order.id, order.created_at);
    failed.with_attempt(attempt).with_final(r#final).with_version(2 + attempt)
}

pub fn refund(payment: &Payment) -> Refund {
    fixtures::refund(payment)
}

pub fn expiration(order: &Order) -> ExpirationComplete {
    ExpirationComplete(fixtures::expiration(order.id))
}
