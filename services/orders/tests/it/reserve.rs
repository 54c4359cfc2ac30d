//! Reserving: concurrent buyers, and expired reservations.

use common::events::{CancelReason, OrderCancelled, OrderCreated, OrderStatus, Ticket};
use futures::future::join_all;
use orders::store::ONE_ORDER_PER_PLACE;
use testkit::{Response, TestUser};

use crate::world::World;

const BUYERS: usize = 100;
const ROUNDS: usize = 20;

/// All buyers concurrently, for one available ticket.
async fn race(world: &World, buyers: &[TestUser], ticket: &Ticket) -> Vec<Response> {
    join_all(buyers.iter().map(|buyer| world.try_to_order(buyer, ticket.id))).await
}

async fn live_orders(world: &World, ticket: &Ticket) -> u64 {
    let live = bson::doc! { "ticketId": ticket.id, "occupies": true };
    world.app.store.documents().collection().count_documents(live).await.unwrap()
}

#[tokio::test]
async fn of_a_hundred_concurrent_buyers_exactly_one_gets_the_ticket() {
    let world = World::start().await;
    let buyers: Vec<_> = (0..BUYERS).map(|_| world.infra.user()).collect();
    for round in 0..ROUNDS {
        let ticket = world.ticket().await;
        let responses = race(&world, &buyers, &ticket).await;
        let won = responses.iter().filter(|response| response.status == 201).count();
        assert_eq!(won, 1, "round {round}");
        for response in responses.iter().filter(|response| response.status != 201) {
            response.problem(409, "ticket-reserved");
        }
        assert_eq!(live_orders(&world, &ticket).await, 1, "round {round}");
    }
    world.published().await;
    assert_eq!(world.bus().published::<OrderCreated>().await.len(), ROUNDS);
}

/// The control run: without the guard the same race sells a ticket twice, so the test above can fail.
#[tokio::test]
async fn without_the_unique_index_the_same_race_sells_a_ticket_twice() {
    let world = World::start().await;
    let orders = world.app.store.documents().collection();
    orders.drop_index(ONE_ORDER_PER_PLACE).await.unwrap();
    let buyers: Vec<_> = (0..BUYERS).map(|_| world.infra.user()).collect();
    for _ in 0..ROUNDS {
        let ticket = world.ticket().await;
        race(&world, &buyers, &ticket).await;
        if live_orders(&world, &ticket).await > 1 {
            return;
        }
    }
    panic!("in {ROUNDS} rounds no ticket was sold twice: the test has no race");
}

#[tokio::test]
async fn an_expired_reservation_is_available_to_the_next_buyer_at_that_moment() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let first = world.order(&ticket).await;
    let other = world.infra.user();
    world.infra.clock.advance(std::time::Duration::from_millis(899_999));
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-reserved");
    world.infra.clock.advance(std::time::Duration::from_millis(1));
    let second = world.order_as(&other, &ticket).await;

    let ended = world.stored(first.id).await;
    assert_eq!((ended.status, ended.version), (OrderStatus::Cancelled, 2));
    assert_eq!(ended.cancel_reason, Some(CancelReason::Expired));
    let event = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == first.id).await.0;
    assert_eq!((event.occupies, event.version), (false, 2));
    assert_eq!(world.events_of(&first).await, [("created", 1), ("cancelled", 2)]);
    assert_eq!(world.events_of(&second).await, [("created", 1)]);
}

#[tokio::test]
async fn a_reservation_expires_without_nats() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let first = world.order(&ticket).await;
    world.infra.nats.kill();
    world.advance_to_expiry();
    let second = world.order_as(&world.infra.user(), &ticket).await;
    world.infra.nats.restart().await;
    assert_eq!(world.events_of(&first).await, [("created", 1), ("cancelled", 2)]);
    assert_eq!(world.events_of(&second).await, [("created", 1)]);
}

#[tokio::test]
async fn of_a_hundred_concurrent_buyers_exactly_one_gets_an_expired_reservation() {
    let world = World::start().await;
    let buyers: Vec<_> = (0..BUYERS).map(|_| world.infra.user()).collect();
    let ticket = world.ticket().await;
    let mut holders = vec![world.order(&ticket).await];
    for _ in 0..5 {
        world.advance_to_expiry();
        let responses = race(&world, &buyers, &ticket).await;
        let won = responses.iter().filter(|response| response.status == 201).count();
        assert_eq!(won, 1);
        assert!(responses.iter().all(|response| [201, 409].contains(&response.status.as_u16())));
        holders.push(world.holder(ticket.id).await.unwrap());
    }
    for ended in &holders[..5] {
        assert_eq!(world.events_of(ended).await, [("created", 1), ("cancelled", 2)]);
    }
}
