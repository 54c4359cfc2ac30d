//! A buyer can have a few unpaid orders at once.

use std::time::Duration;

use futures::future::join_all;
use orders::domain::Order;
use orders::store::ONE_ORDER_PER_SLOT;

use crate::world::{RESERVATION, World};

const LIMIT: u8 = 5;

async fn unpaid_orders(world: &World) -> Vec<Order> {
    world.app.store.unpaid_orders_of(world.buyer.id).await.unwrap()
}

#[tokio::test]
async fn twenty_parallel_requests_of_one_buyer_reserve_at_most_five() {
    let world = World::with_reservations_per_buyer(LIMIT).await;
    let ticket = world.listing_of(100).await;
    let requests = (0..20).map(|_| world.try_to_order(&world.buyer, ticket.id));
    let responses = join_all(requests).await;
    let won = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(won, 5);
    for response in responses.iter().filter(|response| response.status != 201) {
        response.problem(409, "too-many-reservations");
    }
    assert_eq!(unpaid_orders(&world).await.len(), 5);
    assert_eq!(world.occupied(&ticket).await.len(), 5);
    // Everybody else can order.
    world.order_as(&world.infra.user(), &ticket).await;
}

/// The control run: without the guard the same requests reserve more.
#[tokio::test]
async fn without_the_unique_index_the_same_requests_reserve_more() {
    let world = World::with_reservations_per_buyer(LIMIT).await;
    world.app.store.documents().collection().drop_index(ONE_ORDER_PER_SLOT).await.unwrap();
    let ticket = world.listing_of(100).await;
    join_all((0..20).map(|_| world.try_to_order(&world.buyer, ticket.id))).await;
    assert!(world.occupied(&ticket).await.len() > 5);
}

#[tokio::test]
async fn a_slot_is_free_again_when_its_order_is_paid_cancelled_or_expired() {
    let world = World::with_reservations_per_buyer(LIMIT).await;
    let ticket = world.listing_of(100).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(world.order(&ticket).await);
        world.infra.clock.advance(Duration::from_secs(1));
    }
    let refused = async || {
        let response = world.try_to_order(&world.buyer, ticket.id).await;
        response.problem(409, "too-many-reservations")
    };
    let first_end = orders[0].created_at + RESERVATION;
    assert_eq!(refused().await["until"], first_end.to_string());
    world.pay(&orders[4]).await;
    world.order(&ticket).await;
    refused().await;
    world.cancel(&orders[3]).await;
    world.order(&ticket).await;
    refused().await;

    // To the millisecond, although nothing has recorded the expiry.
    world.infra.clock.advance(world.infra.clock.now().until(first_end) - Duration::from_millis(1));
    refused().await;
    world.infra.clock.advance(Duration::from_millis(1));
    world.order(&ticket).await;
    refused().await;
    assert_eq!(world.events_of(&orders[0]).await, [("created", 1), ("cancelled", 2)]);
    assert_eq!(world.events_of(&orders[1]).await, [("created", 1)]);
}
