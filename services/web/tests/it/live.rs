//! Streams, as far as web itself decides: how long they last, and what they send after a disconnection from the bus.

use std::time::{Duration, Instant};

use common::events::{Ticket, TicketUpdated};
use common::ids::TicketId;
use serde_json::json;
use testkit::fixtures::{self, TicketChanges as _};
use testkit::{Infra, Method, StatusCode, TestUser, eventually};

use crate::world::alone;

/// The lifetime of a test user's session (`testkit::Infra::user`).
const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn ticket(infra: &Infra, version: i64) -> Ticket {
    fixtures::ticket(infra.clock.now()).with_version(version)
}

#[tokio::test]
async fn a_stream_ends_with_the_session_and_then_only_public_topics_are_allowed() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let me: TestUser = infra.user();
    let client = web.client_as(&me);
    infra.clock.advance(SESSION - Duration::from_secs(2));
    let opened = Instant::now();
    let mut stream = client.request(Method::GET, "/live?topic=me").open().await.unwrap();
    while stream.next().await.is_some() {}
    assert!(opened.elapsed() < Duration::from_secs(10), "{:?}", opened.elapsed());

    infra.clock.advance(Duration::from_secs(2));
    let over = client.request(Method::GET, "/live?topic=me").open().await;
    assert_eq!(over.err(), Some(StatusCode::UNAUTHORIZED));
    let public = format!("/live?topic=ticket:{}", TicketId::new(infra.clock.now()));
    assert!(client.request(Method::GET, &public).open().await.is_ok());
}

#[tokio::test]
async fn an_order_can_t_be_subscribed_to_while_orders_is_down() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let client = web.client_as(&infra.user());
    let order = common::ids::OrderId::new(infra.clock.now());
    let refused = client.request(Method::GET, &format!("/live?topic=order:{order}")).open().await;
    assert_eq!(refused.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn a_burst_is_sent_as_few_events_and_a_wiped_broker_causes_a_resync() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let mut ticket = ticket(&infra, 0);
    let topic = format!("ticket:{}", ticket.id);
    let address = format!("/live?topic={topic}");
    let mut stream = web.client().request(Method::GET, &address).open().await.unwrap();
    // Until the hub receives what is published.
    eventually("the hub to subscribe to the bus", || async {
        (infra.bus().consumers(common::events::Stream::Tickets).await > 0).then_some(())
    })
    .await;
    for _ in 0..200 {
        ticket.version += 1;
        infra.bus().publish(&TicketUpdated(ticket.clone())).await;
    }
    let mut events = 0;
    loop {
        let changed = stream.event("changed").await;
        events += 1;
        if changed["version"] == ticket.version {
            break;
        }
    }
    assert!(events < 100, "{events}");

    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    while stream.event("changed").await != json!({}) {}
}
