//! `ticket.updated`: updates the replica.

use std::time::Duration;

use common::Money;
use common::events::{Ticket, TicketUpdated};
use common::listing::Listing;
use orders::listeners::follow_tickets;
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, reserved_for};

#[tokio::test]
async fn an_older_update_does_not_overwrite_a_newer_one() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for (version, price) in [(3, 3000), (2, 2000)] {
        let price = Money::from_minor(price);
        let update = ticket.clone().with_price(price).with_version(version);
        world.bus().publish(&TicketUpdated(update)).await;
        world.settled().await;
    }
    let order = world.order(&ticket).await;
    assert_eq!(order.ticket.listing.price, Money::from_minor(3000));
}

#[tokio::test]
async fn an_update_without_date_and_venue_clears_them_in_the_replica() {
    let world = World::start().await;
    let mut ticket = world.ticket().await;
    ticket.listing.date = Some(world.infra.clock.now() + Duration::from_secs(3600));
    ticket.listing.venue = Some("Olympia".to_owned());
    let cleared = Ticket {
        listing: Listing { date: None, venue: None, ..ticket.listing.clone() },
        ..ticket.clone()
    };
    for (version, update) in [(2, ticket.clone()), (3, cleared)] {
        world.bus().publish(&TicketUpdated(update.with_version(version))).await;
        world.settled().await;
    }
    let order = world.order(&ticket).await;
    assert_eq!((order.ticket.listing.date, order.ticket.listing.venue), (None, None));
}

/// Only `ticket.reserved` confirms a reservation: an update may be of another order, and arrive late.
#[tokio::test]
async fn an_update_says_nothing_about_orders() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let cancelled = world.order(&ticket).await;
    world.cancel(&cancelled).await;
    let order = world.order(&ticket).await;
    let before = [world.stored(cancelled.id).await, world.stored(order.id).await];
    for order in [&cancelled, &order] {
        world.bus().publish(&TicketUpdated(reserved_for(&ticket, order))).await;
        world.settled().await;
    }
    assert_eq!([world.stored(cancelled.id).await, world.stored(order.id).await], before);
}

#[tokio::test]
async fn several_tickets_are_followed_together_by_their_newest_versions() {
    let world = World::start().await;
    let [one, two] = [world.ticket().await, world.ticket().await];
    let at = |ticket: &Ticket, version| Ticket { version, ..ticket.clone() };
    let batch = vec![at(&one, 5), at(&one, 3), Ticket { version: 2, ..two.clone() }];
    for _ in 0..2 {
        follow_tickets(world.app.clone(), batch.clone()).await.unwrap();
        let versions = [&one, &two].map(|ticket| world.app.store.ticket(ticket.id));
        let versions = futures::future::join_all(versions).await.into_iter();
        let versions: Vec<i64> = versions.map(|ticket| ticket.unwrap().unwrap().version).collect();
        assert_eq!(versions, [5, 2]);
    }
}
