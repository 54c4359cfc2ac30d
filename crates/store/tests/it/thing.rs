//! The smallest aggregate.

use bus::{Bus, NatsSettings, StreamSettings};
use common::Time;
use common::events::{Expiration, ExpirationComplete};
use common::ids::OrderId;
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, Documents, OutboxMessage, Replica};
use testkit::Infra;
use tokio_util::sync::CancellationToken;

/// The server has one fail point for commands: held by the test that sets it.
pub static FAIL_POINT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thing {
    #[serde(rename = "_id")]
    pub id: OrderId,
    pub version: i64,
    #[serde(default)]
    pub state: State,
    /// Whether its event awaits an answer.
    #[serde(default)]
    pub obliges: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Known,
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Aggregate for Thing {
    const COLLECTION: &'static str = "things";
    const OBLIGES: bool = true;
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        vec![OutboxMessage::of(&self.event())]
    }
    fn unanswered(&self) -> Option<OutboxMessage> {
        self.obliges.then(|| OutboxMessage::of(&self.event()))
    }
    fn has_unknown_value(&self) -> bool {
        self.state == State::Unknown
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

impl Replica for Thing {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Thing {
    pub fn new(now: Time) -> Change<Thing> {
        let id = OrderId::new(now);
        Thing { id, version: 0, state: State::Known, obliges: false }.changed()
    }

    pub fn changed(&self) -> Change<Thing> {
        let thing = Thing { version: self.version + 1, ..self.clone() };
        let event = thing.event();
        Change::with_event(thing, &event)
    }

    fn event(&self) -> ExpirationComplete {
        ExpirationComplete(Expiration { order_id: self.id, version: self.version })
    }
}

pub async fn open(infra: &Infra) -> Documents<Thing> {
    let database = infra.database("expiration").await;
    Documents::open(&database, infra.clock.clone(), []).await.unwrap()
}

pub async fn bus(infra: &Infra, service: &'static str) -> Bus {
    bus_with(infra, service, StreamSettings::default()).await
}

pub async fn bus_with(infra: &Infra, service: &'static str, streams: StreamSettings) -> Bus {
    let settings = NatsSettings { nats_url: infra.nats.url(), nats_monitor_url: None, streams };
    Bus::connect(&settings, service).await.unwrap()
}

/// A relay that runs until the token is cancelled.
pub async fn relay(infra: &Infra, things: &Documents<Thing>) -> CancellationToken {
    relay_by(bus(infra, "expiration").await, things)
}

pub fn relay_by(bus: Bus, things: &Documents<Thing>) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(things.clone().relay(bus, stop.clone()));
    stop
}
