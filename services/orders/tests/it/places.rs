//! Listings of many places: concurrent buyers, limits, expiry, late payments, refunds.

use std::collections::BTreeSet;

use common::Quantity;
use common::events::{
    CancelReason, OrderCancelled, PaymentCreated, PaymentRefunded, RefundReason, Ticket,
    TicketUpdated,
};
use futures::future::join_all;
use orders::domain::Order;
use orders::store::ONE_ORDER_PER_PLACE;
use serde_json::json;
use testkit::fixtures::{RefundChanges as _, TicketChanges as _};
use testkit::{Response, TestUser};

use crate::world::{World, payment, refund};

const PLACES: u16 = 100;
const BUYERS: usize = 500;
const ROUNDS: usize = 5;

/// All buyers concurrently, each for one to four places.
async fn race(world: &World, buyers: &[TestUser], ticket: &Ticket) -> Vec<(u16, Response)> {
    let order = async |(number, buyer): (usize, &TestUser)| {
        let quantity = u16::try_from(number % 4).unwrap() + 1;
        (quantity, world.try_to_order_some(buyer, ticket, quantity).await)
    };
    join_all(buyers.iter().enumerate().map(order)).await
}

fn is_distinct(places: &[u16]) -> bool {
    places.iter().collect::<BTreeSet<_>>().len() == places.len()
}

#[tokio::test]
async fn five_hundred_concurrent_buyers_never_get_a_place_twice_and_leave_none_unsold() {
    let world = World::start().await;
    let buyers: Vec<_> = (0..BUYERS).map(|_| world.infra.user()).collect();
    for round in 0..ROUNDS {
        let ticket = world.listing_of(PLACES).await;
        let responses = race(&world, &buyers, &ticket).await;
        let occupied = world.occupied(&ticket).await;
        assert!(is_distinct(&occupied), "round {round}: {occupied:?}");
        assert!(occupied.iter().all(|place| (1..=PLACES).contains(place)), "{occupied:?}");
        let left = PLACES - u16::try_from(occupied.len()).unwrap();
        let mut sold = 0;
        for (quantity, response) in &responses {
            match response.status.as_u16() {
                201 => sold += quantity,
                409 => assert!(*quantity > left, "{quantity} are left of {left}: {response:?}"),
                503 => assert!(response.header("retry-after").is_some(), "{response:?}"),
                _ => panic!("round {round}: {response:?}"),
            }
        }
        let unavailable = responses.iter().filter(|(_, response)| response.status == 503).count();
        assert!(sold == PLACES - left || unavailable > 0, "{sold} of {PLACES}, {left} are left");
        // The second wave takes them one by one; whoever is asked to try again in a moment does so.
        let until_answered = async |buyer| loop {
            let response = world.try_to_order(buyer, ticket.id).await;
            if response.status != 503 {
                break response;
            }
        };
        let wave = buyers.iter().take(usize::from(left) + 5);
        let wave = join_all(wave.map(until_answered)).await;
        let won = wave.iter().filter(|response| response.status == 201).count();
        assert_eq!(won, usize::from(left), "round {round}");
        let occupied = world.occupied(&ticket).await;
        assert_eq!(occupied, (1..=PLACES).collect::<Vec<_>>(), "round {round}");
        println!("round {round}: {left} left for the second wave, {unavailable} unavailable");
    }
}

/// The control run: without the guard the same race sells places twice, so the test above can fail.
#[tokio::test]
async fn without_the_unique_index_the_same_race_oversells() {
    let world = World::start().await;
    world.app.store.documents().collection().drop_index(ONE_ORDER_PER_PLACE).await.unwrap();
    let buyers: Vec<_> = (0..BUYERS).map(|_| world.infra.user()).collect();
    let ticket = world.listing_of(PLACES).await;
    race(&world, &buyers, &ticket).await;
    let occupied = world.occupied(&ticket).await;
    assert!(!is_distinct(&occupied), "no place was sold twice: the test has no race");
    assert!(occupied.len() > usize::from(PLACES), "{}", occupied.len());
}

#[tokio::test]
async fn an_order_for_several_places_shows_them_and_their_total() {
    let world = World::start().await;
    let ticket = world.listing_of(50).await;
    let order = world.try_to_order_some(&world.buyer, &ticket, 3).await.expect(201);
    assert_eq!((&order["quantity"], &order["total"]), (&json!(3), &json!("61.50")));
    assert_eq!(order["ticket"]["price"], "20.50");
    let places = order["places"].as_array().unwrap();
    assert_eq!(places.len(), 3);
    assert_eq!(json!(world.occupied(&ticket).await), order["places"]);
}

#[tokio::test]
async fn fewer_places_than_wanted_are_refused_with_their_number_and_nothing_is_reserved() {
    let world = World::start().await;
    let ticket = world.listing_of(5).await;
    let first = world.order_some(&world.buyer, &ticket, 3).await;
    let other = world.infra.user();
    let refused = world.try_to_order_some(&other, &ticket, 3).await.problem(409, "not-enough-left");
    assert_eq!(refused["available"], 2);
    assert_eq!(world.occupied(&ticket).await.len(), 3);
    let rest = world.order_some(&other, &ticket, 2).await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-reserved");
    world.pay(&rest).await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-reserved");
    world.pay(&first).await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-sold");
}

#[tokio::test]
async fn the_limits_of_the_listing_apply() {
    let world = World::start().await;
    let mut ticket = world.unpublished_ticket().with_quantity(Quantity::new(50));
    ticket = ticket.with_max_per_order(Quantity::new(4));
    world.publish_ticket(&ticket).await;
    let client = world.client(&world.buyer);
    for quantity in [json!(5), json!(0), json!(-1), json!(1001), json!("2"), json!(1.5)] {
        let body = json!({ "ticketId": ticket.id, "quantity": quantity });
        let response = client.post("/api/orders", body).await;
        assert_eq!(response.invalid_fields(), ["quantity"], "{quantity}");
    }
    world.order_some(&world.buyer, &ticket, 4).await;

    let closed = ticket.with_closed(true).with_version(2);
    world.bus().publish(&TicketUpdated(closed.clone())).await;
    world.settled().await;
    world.try_to_order(&world.buyer, closed.id).await.problem(409, "ticket-closed");
    world.bus().publish(&TicketUpdated(closed.clone().with_closed(false).with_version(3))).await;
    world.settled().await;
    world.order_some(&world.buyer, &closed, 1).await;
}

#[tokio::test]
async fn a_total_beyond_what_one_payment_can_be_is_refused() {
    let world = World::start().await;
    let ticket = world.unpublished_ticket().with_quantity(Quantity::new(50));
    let ticket = ticket.with_price(common::Money::MAX);
    world.publish_ticket(&ticket).await;
    let response = world.try_to_order_some(&world.buyer, &ticket, 2).await;
    assert_eq!(response.invalid_fields(), ["quantity"]);
    world.order_some(&world.buyer, &ticket, 1).await;
}

#[tokio::test]
async fn tickets_that_are_sold_together_are_ordered_together() {
    let world = World::start().await;
    let pair = world.unpublished_ticket().with_quantity(Quantity::new(2)).with_sold_together(true);
    world.publish_ticket(&pair).await;
    let response = world.try_to_order_some(&world.buyer, &pair, 1).await;
    assert_eq!(response.invalid_fields(), ["quantity"]);
    let order = world.order(&pair).await;
    assert_eq!(world.occupied(&pair).await, [1, 2]);
    world.try_to_order(&world.infra.user(), pair.id).await.problem(409, "ticket-reserved");
    world.advance_to_expiry();
    let next = world.order_as(&world.infra.user(), &pair).await;
    assert_eq!(next.places, order.places);
}

#[tokio::test]
async fn expired_reservations_are_available_at_that_moment_and_only_as_many_end_as_are_needed() {
    let world = World::start().await;
    let ticket = world.listing_of(4).await;
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(world.order_as(&world.infra.user(), &ticket).await);
    }
    world.infra.clock.advance(std::time::Duration::from_millis(899_999));
    let other = world.infra.user();
    world.try_to_order_some(&other, &ticket, 3).await.problem(409, "ticket-reserved");
    world.infra.clock.advance(std::time::Duration::from_millis(1));
    world.order_some(&other, &ticket, 3).await;
    let mut ended = 0;
    for order in &first {
        let stored = world.stored(order.id).await;
        if !stored.occupies {
            ended += 1;
            assert_eq!(stored.cancel_reason, Some(CancelReason::Expired));
            assert_eq!(world.events_of(order).await, [("created", 1), ("cancelled", 2)]);
        }
    }
    assert_eq!(ended, 3);
    assert_eq!(world.occupied(&ticket).await, [1, 2, 3, 4]);
}

async fn assert_late(world: &World, order: &Order, why: Option<RefundReason>) {
    world.bus().publish(&PaymentCreated(payment(order))).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await.refund_required, why);
}

#[tokio::test]
async fn a_late_payment_takes_any_places_that_are_free_and_nobody_elses() {
    let world = World::start().await;
    let ticket = world.listing_of(4).await;
    let late = world.order_some(&world.buyer, &ticket, 2).await;
    world.expire(&late).await;
    let other = world.order_some(&world.infra.user(), &ticket, 2).await;
    assert_late(&world, &late, None).await;
    let retaken = world.stored(late.id).await;
    assert!(retaken.places.iter().all(|place| !other.places.contains(place)), "{retaken:?}");
    assert_eq!(world.occupied(&ticket).await, [1, 2, 3, 4]);

    let ticket = world.listing_of(4).await;
    let late = world.order_some(&world.buyer, &ticket, 2).await;
    world.expire(&late).await;
    world.order_some(&world.infra.user(), &ticket, 3).await;
    assert_late(&world, &late, Some(RefundReason::TooLate)).await;
    assert_eq!(world.occupied(&ticket).await.len(), 3);
}

/// What a buyer paid for isn't what is for sale now.
#[tokio::test]
async fn a_late_payment_takes_places_of_an_unchanged_listing_only() {
    let world = World::start().await;
    type Change = fn(Ticket) -> Ticket;
    let changes: [(Change, bool); 6] = [
        (|ticket| ticket.with_title("Another event"), false),
        (|ticket| ticket.with_venue(Some("Elsewhere".to_owned())), false),
        (|ticket| ticket.with_price(common::Money::from_minor(1)), false),
        (|ticket| ticket.with_closed(true), false),
        (|ticket| ticket.with_quantity(Quantity::new(9)), true),
        (|ticket| ticket.with_max_per_order(Quantity::ONE), true),
    ];
    for (number, (change, is_same)) in changes.into_iter().enumerate() {
        let ticket = world.listing_of(4).await;
        let late = world.order_some(&world.buyer, &ticket, 2).await;
        world.expire(&late).await;
        world.bus().publish(&TicketUpdated(change(ticket).with_version(2))).await;
        world.settled().await;
        println!("change {number}");
        assert_late(&world, &late, (!is_same).then_some(RefundReason::TooLate)).await;
    }
}

#[tokio::test]
async fn late_payments_and_buyers_at_once_never_get_a_place_twice() {
    let world = World::start().await;
    for _ in 0..5 {
        let ticket = world.listing_of(10).await;
        let mut late = Vec::new();
        for _ in 0..5 {
            late.push(world.order_some(&world.infra.user(), &ticket, 2).await);
        }
        world.advance_to_expiry();
        let buyers: Vec<_> = (0..5).map(|_| world.infra.user()).collect();
        let orders =
            join_all(buyers.iter().map(|buyer| world.try_to_order_some(buyer, &ticket, 2)));
        let charges = join_all(late.iter().map(async |order| {
            world.bus().publish(&PaymentCreated(payment(order))).await;
        }));
        let (orders, _) = tokio::join!(orders, charges);
        world.settled().await;
        let occupied = world.occupied(&ticket).await;
        assert!(is_distinct(&occupied), "{occupied:?}");
        let bought = orders.iter().filter(|response| response.status == 201).count();
        let mut honoured = 0;
        for order in &late {
            let stored = world.stored(order.id).await;
            honoured += usize::from(stored.occupies);
            assert_eq!(stored.occupies, stored.refund_required.is_none(), "each is answered");
        }
        assert_eq!((bought + honoured) * 2, occupied.len());
    }
}

#[tokio::test]
async fn places_that_were_refunded_without_relisting_are_not_sold_again() {
    let world = World::start().await;
    let ticket = world.listing_of(2).await;
    let order = world.order(&ticket).await;
    world.pay(&order).await;
    let withdrawn = refund(&payment(&order)).with_relist(false);
    for _ in 0..2 {
        world.bus().publish_again(&PaymentRefunded(withdrawn.clone())).await;
        world.settled().await;
    }
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(CancelReason::Refunded));
    assert!(stored.occupies);
    let event = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await.0;
    assert!(event.occupies, "tickets counts the place as withdrawn");

    let other = world.infra.user();
    let refused = world.try_to_order_some(&other, &ticket, 2).await;
    assert_eq!(refused.problem(409, "not-enough-left")["available"], 1);
    let second = world.order_as(&other, &ticket).await;
    assert_ne!(second.places, stored.places);
    world.pay(&second).await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-sold");
    world.bus().publish(&PaymentRefunded(refund(&payment(&second)).with_relist(false))).await;
    world.settled().await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-closed");
}
