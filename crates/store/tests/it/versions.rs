//! Two versions of a service side by side, as a rollout runs them: they share a consumer and its messages.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{ConsumerHealth, Listeners};
use common::events::{
    CancelReason, Event as _, OrderCancelled, OrderCreated, OrderStatus, Stream, Subject, Versioned,
};
use common::ids::OrderId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::{Infra, eventually, fixtures};
use tokio_util::sync::CancellationToken;

use crate::thing::bus;

/// `order.created` as a later version reads it, which knows a further status.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LaterOrderCreated {
    id: OrderId,
    status: String,
    version: i64,
}

impl Versioned for LaterOrderCreated {
    fn aggregate_id(&self) -> String {
        self.id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn has_unknown_value(&self) -> bool {
        false
    }
}

impl common::events::Event for LaterOrderCreated {
    const SUBJECT: Subject = Subject::OrderCreated;
}

/// What was handled: which version of the service, and the order's version.
type Handled = Arc<Mutex<Vec<(&'static str, i64)>>>;

/// A replica with a reduced catalogue: it knows neither the subject `order.cancelled` nor the later status.
fn older(handled: &Handled) -> Listeners<Handled> {
    Listeners::new(Arc::clone(handled)).on(|handled: Handled, OrderCreated(order)| async move {
        handled.lock().unwrap().push(("older", order.version));
        Ok(())
    })
}

fn newer(handled: &Handled) -> Listeners<Handled> {
    Listeners::new(Arc::clone(handled))
        .on(|handled: Handled, order: LaterOrderCreated| async move {
            handled.lock().unwrap().push(("newer", order.version));
            Ok(())
        })
        .on(|handled: Handled, OrderCancelled(order)| async move {
            handled.lock().unwrap().push(("newer", order.version));
            Ok(())
        })
}

async fn run(infra: &Infra, listeners: Listeners<Handled>) -> CancellationToken {
    let (stop, clock) = (CancellationToken::new(), infra.clock.clone());
    let health = ConsumerHealth::of(&bus(infra, "tickets").await);
    tokio::spawn(listeners.run(health.clone(), clock, stop.clone()));
    eventually("the replica to consume", || async {
        (!health.is_disconnected(Stream::Orders)).then_some(())
    })
    .await;
    stop
}

/// An order of this version, cancelled.
fn cancelled(infra: &Infra, version: i64) -> OrderCancelled {
    let now = infra.clock.now();
    let order = fixtures::order(&fixtures::ticket(now), now);
    OrderCancelled(common::events::Order {
        version,
        ..fixtures::cancelled(&order, CancelReason::User)
    })
}

/// An order in a state of a later version.
async fn publish_unknown_value(infra: &Infra, version: i64) {
    let now = infra.clock.now();
    let order = fixtures::order(&fixtures::ticket(now), now);
    let mut body = serde_json::to_value(OrderCreated(order)).unwrap();
    body["status"] = json!("postponed");
    body["version"] = json!(version);
    infra.bus().publish_raw("order.created", body.to_string()).await;
}

#[tokio::test]
async fn what_an_older_replica_does_not_know_is_neither_skipped_nor_dead_lettered() {
    let infra = Infra::start().await;
    let handled = Handled::default();
    let mut version = 0;
    for _ in 0..3 {
        // They reconnect in turn, and each time the older one is the last.
        let newer = run(&infra, newer(&handled)).await;
        let older = run(&infra, older(&handled)).await;
        for _ in 0..3 {
            version += 2;
            infra.bus().publish(&cancelled(&infra, version - 1)).await;
            publish_unknown_value(&infra, version).await;
        }
        newer.cancel();
        // The older one is alone, and its subjects are fewer.
        version += 1;
        infra.bus().publish(&cancelled(&infra, version)).await;
        older.cancel();
        let alone = run(&infra, self::older(&handled)).await;
        version += 1;
        infra.bus().publish(&cancelled(&infra, version)).await;
        alone.cancel();
    }
    run(&infra, newer(&handled)).await;
    eventually("the newer replica to handle everything", || async {
        let mut seen = handled.lock().unwrap().clone();
        seen.sort_by_key(|(_, version)| *version);
        seen.dedup();
        let all = (1..=version).map(|version| ("newer", version)).collect::<Vec<_>>();
        (seen == all).then_some(())
    })
    .await;
    assert!(infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_no_version_knows_becomes_a_dead_letter_once_it_is_older_than_any_rollout() {
    let infra = Infra::start().await;
    let handled = Handled::default();
    run(&infra, older(&handled)).await;
    publish_unknown_value(&infra, 1).await;
    infra.clock.advance(Duration::from_secs(6 * 24 * 60 * 60));
    let deliveries = infra.bus().deliveries("tickets", Stream::Orders).await;
    eventually("two more deliveries", || async {
        let present = infra.bus().deliveries("tickets", Stream::Orders).await;
        (present >= deliveries + 2).then_some(())
    })
    .await;
    assert!(infra.bus().dead_letters().await.is_empty());
    infra.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    let letter =
        eventually("the dead letter", || async { infra.bus().dead_letters().await.pop() }).await;
    assert_eq!(letter.subject, OrderCreated::SUBJECT.as_str());
    assert_eq!(letter.reason, "a value in order.created is unknown");
    assert!(handled.lock().unwrap().is_empty());
}

#[test]
fn an_unknown_value_is_read_but_never_written() {
    let unknown: OrderStatus = serde_json::from_value(json!("postponed")).unwrap();
    assert_eq!(unknown, OrderStatus::Unknown);
    assert!(serde_json::to_value(unknown).is_err());
}
