//! The service on real servers, and the events of orders that it consumes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bson::Document;
use clap::Parser;
use common::events::{
    CancelReason, Event, ExpirationComplete, Order, OrderCancelled, OrderCompleted, OrderCreated,
    Stream,
};
use common::ids::OrderId;
use common::{Clock, Time};
use expiration::app;
use expiration::domain::Schedule;
use expiration::state::{App, Settings};
use futures::StreamExt;
use redis::AsyncCommands;
use testkit::fixtures::{self, OrderChanges as _};
use testkit::{Bus, Infra, TestService, eventually};

/// How long a reservation lasts here.
pub const RESERVATION: Duration = Duration::from_secs(900);

pub struct World {
    pub infra: Infra,
    pub app: App,
    pub service: TestService,
}

impl World {
    pub async fn start() -> World {
        World::on(Infra::start().await).await
    }

    pub async fn on(infra: Infra) -> World {
        let url = infra.redis_url().await;
        let (app, service) = replica(&infra, &url).await;
        World { infra, app, service }
    }

    pub fn bus(&self) -> &Bus {
        self.infra.bus()
    }

    pub fn now(&self) -> Time {
        self.infra.clock.now()
    }

    /// An order whose reservation begins now.
    pub fn order(&self) -> Order {
        order(self.now(), RESERVATION)
    }

    /// Publishes an event and waits until the service has handled it.
    pub async fn deliver<E: Event>(&self, event: &E) {
        self.bus().publish(event).await;
        self.settled().await;
    }

    /// An order that the service has received.
    pub async fn created(&self) -> Order {
        let order = self.order();
        self.deliver(&OrderCreated(order.clone())).await;
        order
    }

    pub async fn settled(&self) {
        self.bus().settled("expiration").await;
    }

    pub async fn schedule(&self, order: &Order) -> Schedule {
        self.app.store.documents().get(order.id).await.unwrap().unwrap()
    }

    /// Waits until the service has processed everything that is due now: a reservation that expires right now is
    /// published. What isn't published by then isn't due for the service.
    pub async fn wait_until_processed(&self) {
        let canary = order(self.now(), Duration::ZERO);
        self.deliver(&OrderCreated(canary.clone())).await;
        self.wait_for_expiry(&canary).await;
    }

    /// Waits until the expiry of this order's reservation is published.
    pub async fn wait_for_expiry(&self, order: &Order) -> ExpirationComplete {
        self.bus().wait_for(|event: &ExpirationComplete| event.0.order_id == order.id).await
    }

    /// Waits until the expiry of this many orders is published.
    pub async fn wait_for_expiries(&self, number: usize) -> BTreeMap<OrderId, usize> {
        eventually(&format!("{number} orders to be published as expired"), || async {
            let published = self.times_expired().await;
            (published.len() >= number).then_some(published)
        })
        .await
    }

    /// Waits until this many documents match `filter`.
    pub async fn wait_for_documents(&self, number: u64, filter: Document) {
        let schedules = self.app.store.documents().collection();
        eventually(&format!("{number} schedules with {filter}"), || async {
            let found = schedules.count_documents(filter.clone()).await.ok()?;
            (found == number).then_some(())
        })
        .await;
    }

    /// How often the expiry of each order was published.
    pub async fn times_expired(&self) -> BTreeMap<OrderId, usize> {
        let mut times = BTreeMap::new();
        for event in self.bus().published::<ExpirationComplete>().await {
            *times.entry(event.0.order_id).or_default() += 1;
        }
        times
    }

    /// Waits until Redis has exactly the timers of these orders.
    pub async fn wait_for_timers(&self, orders: &[Order]) {
        let expected: BTreeSet<_> = orders.iter().map(|order| order.id.to_string()).collect();
        eventually(&format!("Redis to have {} timers", expected.len()), || async {
            (self.timers().await? == expected).then_some(())
        })
        .await;
    }

    /// The content of the sorted set; none while Redis is down.
    pub async fn timers(&self) -> Option<BTreeSet<String>> {
        let client = redis::Client::open(self.infra.redis_url().await).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.ok()?;
        let all: Vec<String> = redis.zrange("expiration:due", 0, -1).await.ok()?;
        Some(all.into_iter().collect())
    }

    /// Orders that are stored in MongoDB and missing in Redis.
    pub async fn stored_orders(&self, number: usize) -> Vec<Order> {
        store_orders(&self.app, (0..number).map(|_| self.order()).collect()).await
    }
}

/// A replica of the service on these servers.
pub async fn replica(infra: &Infra, redis_url: &str) -> (App, TestService) {
    let app = connect(infra, redis_url).await;
    let service = TestService::serve(app::service(app.clone())).await;
    infra.bus().wait_for_consumers("expiration", &[Stream::Orders]).await;
    (app, service)
}

pub async fn connect(infra: &Infra, redis_url: &str) -> App {
    let flags = ["--redis-url".to_owned(), redis_url.to_owned()];
    let settings = Settings::parse_from(infra.args("expiration").into_iter().chain(flags));
    App::connect(&settings.state, infra.clock.clone()).await.unwrap()
}

/// Stores schedules in MongoDB only.
pub async fn store_orders(app: &App, orders: Vec<Order>) -> Vec<Order> {
    futures::stream::iter(&orders)
        .for_each_concurrent(32, |order| async {
            app.store.follow(order).await.unwrap();
        })
        .await;
    orders
}

pub fn order(now: Time, reservation: Duration) -> Order {
    fixtures::order(&fixtures::ticket(now), now).with_expiry(now + reservation)
}

/// The order after its buyer has cancelled it.
pub fn cancelled(order: &Order) -> OrderCancelled {
    OrderCancelled(fixtures::cancelled(order, CancelReason::Expired))
}

/// The order after its payment, also a late one: with a gap in the versions, because not all of them are consumed.
pub fn completed(order: &Order) -> OrderCompleted {
    OrderCompleted(fixtures::completed(order).with_version(order.version + 3))
}

/// With the system clock.
pub async fn with_the_systems_clock() -> World {
    World::on(Infra::start_at(Clock::system()).await).await
}
