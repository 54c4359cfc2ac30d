//! Streams, as far as web itself decides: how long they last, and what is told when the bus is cut off.

use std::time::{Duration, Instant};

use common::events::{Ticket, TicketUpdated};
use common::ids::TicketId;
use serde_json::json;
use testkit::fixtures::{self, TicketChanges as _};
use testkit::{Infra, Method, StatusCode, TestUser, eventually};

use crate::world::alone;

/// For how long the test's users are signed in (`testkit::Infra::user`).
const SIGNED_IN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn ticket(infra: &Infra, version: i64) -> Ticket {
    fixtures::ticket(infra.clock.now()).with_version(version)
}

#[tokio::test]
async fn a_stream_ends_with_the_session_and_then_only_what_is_public_can_be_followed() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let me: TestUser = infra.user();
    let client = web.client_as(&me);
    infra.clock.advance(SIGNED_IN - Duration::from_secs(2));
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
async fn whose_order_it_is_can_t_be_told_while_orders_is_down() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let client = web.client_as(&infra.user());
    let order = common::ids::OrderId::new(infra.clock.now());
    let refused = client.request(Method::GET, &format!("/live?topic=order:{order}")).open().await;
    assert_eq!(refused.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn a_burst_is_told_in_few_words_and_a_wiped_broker_is_told_of() {
    let infra = Infra::start().await;
    let web = alone(&infra).await;
    let mut ticket = ticket(&infra, 0);
    let topic = format!("ticket:{}", ticket.id);
    let address = format!("/live?topic={topic}");
    let mut stream = web.client().request(Method::GET, &address).open().await.unwrap();
    // Until the hub hears what is published.
    eventually("the hub to watch the bus", || async {
        (infra.bus().consumers(common::events::Stream::Tickets).await > 0).then_some(())
    })
    .await;
    for _ in 0..200 {
        ticket.version += 1;
        infra.bus().publish(&TicketUpdated(ticket.clone())).await;
    }
    let mut words = 0;
    loop {
        let changed = stream.event("changed").await;
        words += 1;
        if changed["version"] == ticket.version {
            break;
        }
    }
    assert!(words < 100, "{words}");

    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    while stream.event("changed").await != json!({}) {}
}
