//! `GET /api/orders`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use testkit::TestUser;

use crate::world::World;

async fn ids(world: &World, user: &TestUser, query: &str) -> Vec<String> {
    let page = world.client(user).get(&format!("/api/orders{query}")).await.expect(200);
    assert!(page.get("next").is_some(), "a page contains `next`");
    let orders = page["orders"].as_array().unwrap().iter();
    orders.map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_buyer_sees_their_own_orders_and_a_seller_those_on_their_tickets() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let other = world.infra.user();
    let others = world.order_as(&other, &world.ticket().await).await;
    let (order, others) = (order.id.to_string(), others.id.to_string());

    assert_eq!(ids(&world, &world.buyer, "").await, [&*order]);
    assert_eq!(ids(&world, &world.buyer, "?as=buyer").await, [&*order]);
    assert_eq!(ids(&world, &other, "").await, [&*others]);
    assert!(ids(&world, &world.seller, "").await.is_empty());
    let sold = ids(&world, &world.seller, "?as=seller").await;
    assert_eq!(BTreeSet::from_iter(sold), BTreeSet::from([order, others]));
    assert!(ids(&world, &world.buyer, "?as=seller").await.is_empty());
    // An admin sees no list of another user.
    assert!(ids(&world, &world.infra.admin(), "").await.is_empty());

    let response = world.client(&world.buyer).get("/api/orders").await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.body["next"], Value::Null);
}

#[tokio::test]
async fn a_seller_sees_the_orders_of_one_listing_page_by_page() {
    let world = World::start().await;
    let (ticket, another) = (world.ticket().await, world.ticket().await);
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = world.order(&ticket).await;
        world.cancel(&order).await;
        orders.insert(0, order.id.to_string());
        world.infra.clock.advance(Duration::from_secs(1));
    }
    world.order(&another).await;
    let query = format!("?as=seller&ticketId={}", ticket.id);
    assert_eq!(ids(&world, &world.seller, &query).await, orders);
    assert!(ids(&world, &world.infra.user(), &query).await.is_empty(), "not their listing");

    let client = world.client(&world.seller);
    let page = client.get(&format!("/api/orders{query}&limit=2")).await.expect(200);
    let next = page["next"].as_str().unwrap();
    let rest = ids(&world, &world.seller, &format!("{query}&limit=2&cursor={next}")).await;
    assert_eq!(rest, orders[2..]);
    // A cursor belongs to its query.
    let other = format!("/api/orders?as=seller&ticketId={}&cursor={next}", another.id);
    assert_eq!(client.get(&other).await.invalid_fields(), ["cursor"]);
    client.get("/api/orders?ticketId=1").await.expect(400);
}

#[tokio::test]
async fn the_list_is_filtered_by_state_and_by_several_states() {
    let world = World::start().await;
    let created = world.order(&world.ticket().await).await;
    let ticket = world.ticket().await;
    let awaiting = world.order(&ticket).await;
    world.confirm_reserved(&awaiting).await;
    let complete = world.order(&world.ticket().await).await;
    world.pay(&complete).await;
    let cancelled = world.order(&world.ticket().await).await;
    world.cancel(&cancelled).await;

    let [created, awaiting, complete, cancelled] =
        [created, awaiting, complete, cancelled].map(|order| order.id.to_string());
    let table: [(&str, &[&String]); 8] = [
        ("status=created", &[&created]),
        ("status=awaiting:payment", &[&awaiting]),
        ("status=awaiting%3Apayment", &[&awaiting]),
        ("status=complete", &[&complete]),
        ("status=cancelled", &[&cancelled]),
        ("status=created&status=cancelled", &[&created, &cancelled]),
        ("status=active", &[&created, &awaiting, &complete]),
        ("status=active&status=cancelled", &[&created, &awaiting, &complete, &cancelled]),
    ];
    for (query, expected) in table {
        for (user, side) in [(&world.buyer, "buyer"), (&world.seller, "seller")] {
            let found = ids(&world, user, &format!("?as={side}&{query}")).await;
            let found: BTreeSet<_> = found.iter().collect();
            assert_eq!(found, expected.iter().copied().collect(), "{query} as {side}");
        }
    }

    // At the moment of expiry, unpaid orders are cancelled for the filters too.
    world.advance_to_expiry();
    for (query, expected) in [
        ("status=created", BTreeSet::new()),
        ("status=awaiting:payment", BTreeSet::new()),
        ("status=active", BTreeSet::from([&complete])),
        ("status=cancelled", BTreeSet::from([&created, &awaiting, &cancelled])),
    ] {
        let found = ids(&world, &world.buyer, &format!("?{query}")).await;
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn paging_shows_each_order_once_newest_first_also_those_of_the_same_millisecond() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let mut created = Vec::new();
    for round in 0..25 {
        let order = world.order(&ticket).await;
        world.cancel(&order).await;
        created.push((order.created_at.millis(), order.id.to_string()));
        if round % 5 == 4 {
            world.infra.clock.advance(std::time::Duration::from_millis(1));
        }
    }
    created.sort();
    created.reverse();
    let created: Vec<_> = created.into_iter().map(|(_, id)| id).collect();

    for query in ["limit=1", "limit=4", "limit=24", "limit=25", "limit=7&status=cancelled"] {
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let url = format!("/api/orders?{query}{next}");
            let page = world.client(&world.buyer).get(&url).await.expect(200);
            let orders = page["orders"].as_array().unwrap();
            assert!(!orders.is_empty(), "{query}: a next page is not empty");
            seen.extend(orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, created, "{query}");
    }
    assert_eq!(ids(&world, &world.buyer, "").await, created[..20]);
    assert_eq!(ids(&world, &world.buyer, "?limit=100").await, created);
}

#[tokio::test]
async fn a_new_order_between_two_pages_neither_hides_nor_repeats_an_old_one() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let mut created = Vec::new();
    for _ in 0..4 {
        world.infra.clock.advance(std::time::Duration::from_millis(1));
        let order = world.order(&ticket).await;
        world.cancel(&order).await;
        created.insert(0, order.id.to_string());
    }
    let first = world.client(&world.buyer).get("/api/orders?limit=2").await.expect(200);
    world.infra.clock.advance(std::time::Duration::from_millis(1));
    world.order(&ticket).await;
    let cursor = first["next"].as_str().unwrap();
    let rest = ids(&world, &world.buyer, &format!("?limit=2&cursor={cursor}")).await;
    assert_eq!(rest, created[2..]);
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_the_query_that_returned_it() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for _ in 0..2 {
        let order = world.order(&ticket).await;
        world.cancel(&order).await;
    }
    let client = world.client(&world.buyer);
    let first = client.get("/api/orders?limit=1&status=cancelled").await.expect(200);
    let cursor = first["next"].as_str().unwrap();
    client.get(&format!("/api/orders?status=cancelled&cursor={cursor}")).await.expect(200);
    for query in ["", "status=active&", "as=seller&status=cancelled&", "status=complete&"] {
        let response = client.get(&format!("/api/orders?{query}cursor={cursor}")).await;
        assert_eq!(response.invalid_fields(), ["cursor"], "{query}");
    }
    let other = world.client(&world.infra.user());
    let response = other.get(&format!("/api/orders?status=cancelled&cursor={cursor}")).await;
    assert_eq!(response.invalid_fields(), ["cursor"]);
    for invalid in ["", "x", "e30", "%00", "null", &"A".repeat(2000)] {
        let response = client.get(&format!("/api/orders?cursor={invalid}")).await;
        assert_eq!(response.invalid_fields(), ["cursor"], "{invalid}");
    }
}

#[tokio::test]
async fn a_query_that_breaks_a_rule_is_refused() {
    let world = World::start().await;
    let client = world.client(&world.buyer);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("status=", "status"),
        ("status=paid", "status"),
        ("status=active&status=Created", "status"),
        ("as=admin", "as"),
        ("as=", "as"),
    ] {
        let response = client.get(&format!("/api/orders?{query}")).await;
        assert_eq!(response.invalid_fields(), [field], "{query}");
    }
    for query in ["limit=", "limit[$gt]=1", "status[$ne]=complete", "unknown=1", "&&=&"] {
        client.get(&format!("/api/orders?{query}")).await.expect(200);
    }
    client.get("/api/orders?limit=1").await.expect(200);
    client.get("/api/orders?limit=100").await.expect(200);
}
