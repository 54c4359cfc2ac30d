//! An expiration service, and what orders would tell it.

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

/// How long a hold lasts here.
pub const HOLD: Duration = Duration::from_secs(900);

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

    /// An order whose hold begins now.
    pub fn order(&self) -> Order {
        order(self.now(), HOLD)
    }

    /// Tells an event and waits until it has had its effect.
    pub async fn tell<E: Event>(&self, event: &E) {
        self.bus().publish(event).await;
        self.settled().await;
    }

    /// An order that was told.
    pub async fn created(&self) -> Order {
        let order = self.order();
        self.tell(&OrderCreated(order.clone())).await;
        order
    }

    pub async fn settled(&self) {
        self.bus().settled("expiration").await;
    }

    pub async fn schedule(&self, order: &Order) -> Schedule {
        self.app.store.schedules.get(order.id).await.unwrap().unwrap()
    }

    /// Waits until all the service's looks at this moment are over: a hold that ends just now is told.
    /// What isn't told by then, the service doesn't hold for due.
    pub async fn look_at_the_clock(&self) {
        let canary = order(self.now(), Duration::ZERO);
        self.tell(&OrderCreated(canary.clone())).await;
        self.told(&canary).await;
    }

    /// Waits until the end of this order's hold is told.
    pub async fn told(&self, order: &Order) -> ExpirationComplete {
        self.bus().wait_for(|event: &ExpirationComplete| event.0.order_id == order.id).await
    }

    /// Waits until so many ends were told.
    pub async fn told_of(&self, number: usize) -> BTreeMap<OrderId, usize> {
        eventually(&format!("{number} orders to be told of"), || async {
            let told = self.times_told().await;
            (told.len() >= number).then_some(told)
        })
        .await
    }

    /// Waits until so many documents are as `filter` says.
    pub async fn wrote(&self, number: u64, filter: Document) {
        let schedules = self.app.store.schedules.collection();
        eventually(&format!("{number} schedules with {filter}"), || async {
            let found = schedules.count_documents(filter.clone()).await.ok()?;
            (found == number).then_some(())
        })
        .await;
    }

    /// How often the end of each hold was told.
    pub async fn times_told(&self) -> BTreeMap<OrderId, usize> {
        let mut times = BTreeMap::new();
        for event in self.bus().published::<ExpirationComplete>().await {
            *times.entry(event.0.order_id).or_default() += 1;
        }
        times
    }

    /// Waits until Redis has exactly these orders' timers.
    pub async fn timers_are(&self, orders: &[Order]) {
        let expected: BTreeSet<_> = orders.iter().map(|order| order.id.to_string()).collect();
        eventually(&format!("Redis to have {} timers", expected.len()), || async {
            (self.timers().await? == expected).then_some(())
        })
        .await;
    }

    /// What is in the sorted set; none while Redis is down.
    pub async fn timers(&self) -> Option<BTreeSet<String>> {
        let client = redis::Client::open(self.infra.redis_url().await).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.ok()?;
        let all: Vec<String> = redis.zrange("expiration:due", 0, -1).await.ok()?;
        Some(all.into_iter().collect())
    }

    /// Orders that are on record, and of which Redis knows nothing.
    pub async fn recorded(&self, number: usize) -> Vec<Order> {
        record(&self.app, (0..number).map(|_| self.order()).collect()).await
    }
}

/// A service in this world: of several, one more replica.
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

/// Writes schedules down without a word to Redis.
pub async fn record(app: &App, orders: Vec<Order>) -> Vec<Order> {
    futures::stream::iter(&orders)
        .for_each_concurrent(32, |order| async {
            app.store.follow(order).await.unwrap();
        })
        .await;
    orders
}

pub fn order(now: Time, hold: Duration) -> Order {
    fixtures::order(&fixtures::ticket(now), now).with_expiry(now + hold)
}

/// The order after its buyer has cancelled it.
pub fn cancelled(order: &Order) -> OrderCancelled {
    OrderCancelled(fixtures::cancelled(order, CancelReason::Expired))
}

/// The order after it was paid for, also too late: a gap in the versions, as not all of them are heard.
pub fn completed(order: &Order) -> OrderCompleted {
    OrderCompleted(fixtures::completed(order).with_version(order.version + 3))
}

/// The time as it really passes.
pub async fn with_the_systems_clock() -> World {
    World::on(Infra::start_at(Clock::system()).await).await
}
