//! Watching: what is seen as it happens, and what is said when something may have been missed.

use bus::WatchEvent;
use common::events::{
    Event, ExpirationComplete, FailedPayment, OrderRefundRequired, PaymentFailed, RefundReason,
    RefundRequired, Stream,
};
use common::ids::{OrderId, PaymentId};
use testkit::{Infra, eventually};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::thing::bus;

/// What was seen, in words.
struct Seen {
    sights: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
}

async fn watch(infra: &Infra, streams: &'static [Stream]) -> Seen {
    let (sender, sights) = mpsc::unbounded_channel();
    let (bus, stop) = (bus(infra, "web").await, CancellationToken::new());
    let until = stop.clone();
    tokio::spawn(async move {
        let see = |sight: WatchEvent<'_>| {
            let words = match sight {
                WatchEvent::Resync(stream) => format!("{} begins", stream.name()),
                WatchEvent::Event { subject, data } => {
                    let data: serde_json::Value = serde_json::from_slice(data).unwrap();
                    format!("{subject} {}", data["version"])
                }
            };
            sender.send(words).unwrap();
        };
        bus.watch(streams.iter().copied(), until, see).await;
    });
    Seen { sights, stop }
}

impl Seen {
    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.sights.recv());
        next.await.expect("something is seen in time").expect("it watches")
    }
}

fn expired(infra: &Infra, version: i64) -> ExpirationComplete {
    let order_id = OrderId::new(infra.clock.now());
    ExpirationComplete(common::events::Expiration { order_id, version })
}

#[tokio::test]
async fn what_is_published_is_seen_in_order_and_what_was_published_before_is_not() {
    let infra = Infra::start().await;
    infra.bus().publish(&expired(&infra, 1)).await;
    let mut seen = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    for version in 2..20 {
        infra.bus().publish(&expired(&infra, version)).await;
    }
    for version in 2..20 {
        assert_eq!(seen.next().await, format!("expiration.complete {version}"));
    }
}

#[tokio::test]
async fn all_subjects_of_all_streams_that_are_watched_are_seen_and_no_others() {
    let infra = Infra::start().await;
    let mut seen = watch(&infra, &[Stream::Orders, Stream::Payments]).await;
    let mut begun = [seen.next().await, seen.next().await];
    begun.sort();
    assert_eq!(begun, ["ORDERS begins", "PAYMENTS begins"]);
    let (order_id, payment_id) =
        (OrderId::new(infra.clock.now()), PaymentId::new(infra.clock.now()));
    infra.bus().publish(&expired(&infra, 1)).await;
    let why = RefundReason::TooLate;
    let refund = RefundRequired { order_id, payment_id, why, version: 2 };
    infra.bus().publish(&OrderRefundRequired(refund)).await;
    assert_eq!(seen.next().await, "order.refund_required 2");
    let failed = FailedPayment { id: payment_id, order_id, attempt: 1, r#final: false, version: 3 };
    infra.bus().publish(&PaymentFailed(failed)).await;
    assert_eq!(seen.next().await, "payment.failed 3");
}

#[tokio::test]
async fn each_of_two_watchers_sees_everything_and_nothing_of_them_stays_behind() {
    let infra = Infra::start().await;
    let mut watchers =
        [watch(&infra, &[Stream::Expiration]).await, watch(&infra, &[Stream::Expiration]).await];
    for seen in &mut watchers {
        assert_eq!(seen.next().await, "EXPIRATION begins");
    }
    infra.bus().publish(&expired(&infra, 1)).await;
    for seen in &mut watchers {
        assert_eq!(seen.next().await, "expiration.complete 1");
    }
    assert_eq!(infra.bus().consumers(Stream::Expiration).await, 2);
    for seen in &watchers {
        seen.stop.cancel();
    }
    eventually("the broker to forget both", || async {
        (infra.bus().consumers(Stream::Expiration).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_of_the_broker_it_is_said_that_something_may_have_been_missed() {
    let infra = Infra::start().await;
    let mut seen = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    infra.bus().publish(&expired(&infra, 1)).await;
    assert_eq!(seen.next().await, "expiration.complete 1");

    infra.nats.kill();
    infra.nats.restart().await;
    // Whether this one is still missed, or seen already, is a matter of chance; that it may be missed is said.
    infra.bus().publish(&expired(&infra, 2)).await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    infra.bus().publish(&expired(&infra, 3)).await;
    let mut next = seen.next().await;
    if next == "expiration.complete 2" {
        next = seen.next().await;
    }
    assert_eq!(next, "expiration.complete 3");
}

#[tokio::test]
async fn a_stream_that_is_not_there_yet_or_was_wiped_is_watched_as_soon_as_it_is() {
    let infra = Infra::start().await;
    infra.nats.wipe().await;
    let mut seen = watch(&infra, &[Stream::Expiration]).await;
    infra.bus().create_streams().await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    for version in 1..4 {
        infra.bus().publish(&expired(&infra, version)).await;
        assert_eq!(seen.next().await, format!("expiration.complete {version}"));
    }
    // The stream's numbers begin at 1 again: whoever waited for the fourth message would wait for long.
    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    infra.bus().publish(&expired(&infra, 5)).await;
    assert_eq!(seen.next().await, "expiration.complete 5");
}

#[tokio::test]
async fn a_stream_that_was_deleted_under_a_running_broker_is_watched_again() {
    let infra = Infra::start().await;
    let mut seen = watch(&infra, &[Stream::Expiration]).await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    infra.bus().delete_stream(Stream::Expiration).await;
    infra.bus().create_streams().await;
    assert_eq!(seen.next().await, "EXPIRATION begins");
    infra.bus().publish(&expired(&infra, 1)).await;
    assert_eq!(seen.next().await, format!("{} 1", ExpirationComplete::SUBJECT));
}
