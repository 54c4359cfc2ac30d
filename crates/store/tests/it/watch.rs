//! Ephemeral subscriptions: new events in order, and a resync whenever one may have been missed.

use bus::WatchEvent;
use common::events::{
    Event, ExpirationComplete, OrderRefundRequired, PaymentFailed, RefundReason, RefundRequired,
    Stream,
};
use common::ids::{OrderId, PaymentId};
use testkit::{Infra, eventually};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::thing::bus;

/// What a subscription has delivered, as text.
struct Subscription {
    delivered: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
}

async fn watch(infra: &Infra, streams: &'static [Stream]) -> Subscription {
    let (sender, delivered) = mpsc::unbounded_channel();
    let (bus, stop) = (bus(infra, "web").await, CancellationToken::new());
    let until = stop.clone();
    tokio::spawn(async move {
        let on_event = |event: WatchEvent<'_>| {
            let text = match event {
                WatchEvent::Resync(stream) => format!("{} resync", stream.name()),
                WatchEvent::CaughtUp(stream) => format!("{} caught up", stream.name()),
                WatchEvent::Event { subject, data } => {
                    let data: serde_json::Value = serde_json::from_slice(data).unwrap();
                    format!("{subject} {}", data["version"])
                }
            };
            sender.send(text).unwrap();
        };
        bus.watch(streams.iter().copied(), until, on_event).await;
    });
    Subscription { delivered, stop }
}

impl Subscription {
    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.delivered.recv());
        next.await.expect("an event in time").expect("an open subscription")
    }
}

fn expired(infra: &Infra, version: i64) -> ExpirationComplete {
    let order_id = OrderId::new(infra.clock.now());
    ExpirationComplete(common::events::Expiration { order_id, version })
}

#[tokio::test]
async fn new_events_are_delivered_in_order_and_earlier_ones_are_not() {
    let infra = Infra::start().await;
    infra.bus().publish(&expired(&infra, 1)).await;
    let mut events = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    for version in 2..20 {
        infra.bus().publish(&expired(&infra, version)).await;
    }
    for version in 2..20 {
        assert_eq!(events.next().await, format!("expiration.complete {version}"));
    }
}

#[tokio::test]
async fn every_subject_of_the_streams_is_delivered_and_no_other() {
    let infra = Infra::start().await;
    let mut events = watch(&infra, &[Stream::Orders, Stream::Payments]).await;
    let mut begun = [events.next().await, events.next().await];
    begun.sort();
    assert_eq!(begun, ["ORDERS resync", "PAYMENTS resync"]);
    let (order_id, payment_id) =
        (OrderId::new(infra.clock.now()), PaymentId::new(infra.clock.now()));
    infra.bus().publish(&expired(&infra, 1)).await;
    let why = RefundReason::TooLate;
    let refund = RefundRequired { order_id, payment_id, why, reminder: false, version: 2 };
    infra.bus().publish(&OrderRefundRequired(refund)).await;
    assert_eq!(events.next().await, "order.refund_required 2");
    let failed = testkit::fixtures::failed_payment(order_id, infra.clock.now());
    infra.bus().publish(&PaymentFailed(failed)).await;
    assert_eq!(events.next().await, "payment.failed 3");
}

#[tokio::test]
async fn two_subscriptions_both_receive_everything_and_leave_nothing_on_the_broker() {
    let infra = Infra::start().await;
    let mut watchers =
        [watch(&infra, &[Stream::Expiration]).await, watch(&infra, &[Stream::Expiration]).await];
    for events in &mut watchers {
        assert_eq!(events.next().await, "EXPIRATION resync");
    }
    infra.bus().publish(&expired(&infra, 1)).await;
    for events in &mut watchers {
        assert_eq!(events.next().await, "expiration.complete 1");
    }
    assert_eq!(infra.bus().consumers(Stream::Expiration).await, 2);
    for events in &watchers {
        events.stop.cancel();
    }
    eventually("the broker to delete both consumers", || async {
        (infra.bus().consumers(Stream::Expiration).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_of_the_broker_it_is_said_that_something_may_have_been_missed() {
    let infra = Infra::start().await;
    let mut events = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    infra.bus().publish(&expired(&infra, 1)).await;
    assert_eq!(events.next().await, "expiration.complete 1");

    infra.nats.kill();
    infra.nats.restart().await;
    // Whether this one is delivered is a matter of chance; the resync says that it may be missed.
    infra.bus().publish(&expired(&infra, 2)).await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    infra.bus().publish(&expired(&infra, 3)).await;
    let mut next = events.next().await;
    if next == "expiration.complete 2" {
        next = events.next().await;
    }
    assert_eq!(next, "expiration.complete 3");
}

#[tokio::test]
async fn a_missing_or_wiped_stream_is_subscribed_to_as_soon_as_it_exists() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let mut events = watch(&infra, &[Stream::Expiration]).await;
    infra.bus().create_streams().await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    for version in 1..4 {
        infra.bus().publish(&expired(&infra, version)).await;
        assert_eq!(events.next().await, format!("expiration.complete {version}"));
    }
    // The sequence of the new stream starts at 1: waiting for the fourth message would take long.
    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    infra.bus().publish(&expired(&infra, 5)).await;
    assert_eq!(events.next().await, "expiration.complete 5");
}

#[tokio::test]
async fn a_deleted_stream_is_subscribed_to_again_once_it_is_recreated() {
    let infra = Infra::start().await;
    let mut events = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    infra.bus().delete_stream(Stream::Expiration).await;
    infra.bus().create_streams().await;
    assert_eq!(events.next().await, "EXPIRATION resync");
    infra.bus().publish(&expired(&infra, 1)).await;
    assert_eq!(events.next().await, format!("{} 1", ExpirationComplete::SUBJECT));
}
