//! The query plans of the lists, read from MongoDB's profiler, which records the queries that the service sends.

use std::time::Duration;

use bson::{Document, doc};
use common::ids::{OrderId, TicketId};
use mongodb::Database;
use testkit::{Client, Profile};

use crate::world::World;

/// The plan of the query that a list sends, and how many documents it examined.
async fn plan(database: &Database, client: &Client, query: &str) -> (String, i64) {
    client.get(&format!("/api/orders?{query}")).await.expect(200);
    let profile = database.collection::<Document>("system.profile");
    let lists = doc! { "command.find": "orders", "command.sort.createdAt": -1 };
    let newest = profile.find_one(lists).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
    let read = i64::from(newest.get_i32("docsExamined").unwrap());
    (newest.get_document("execStats").unwrap().to_string(), read)
}

/// Stores many orders like this one, of which few have the status that is searched for.
async fn store_orders(world: &World, database: &Database) {
    let orders = database.collection::<Document>("orders");
    let first = world.order(&world.ticket().await).await;
    world.published().await;
    let like = orders.find_one(doc! { "_id": first.id }).await.unwrap().unwrap();
    let (now, hour) = (world.infra.clock.now(), Duration::from_secs(3600));
    // The oldest are the live ones, and one unpaid order in four has expired.
    for (status, count, age) in [
        ("complete", 30, 400),
        ("created", 40, 300),
        ("awaiting:payment", 40, 200),
        ("cancelled", 150, 0),
    ] {
        let copies = (0..count).map(|number| {
            let created = now - hour * (age + number);
            let expires = if number % 4 == 0 { now - hour } else { now + hour };
            let mut copy = like.clone();
            copy.insert("_id", OrderId::new(created));
            copy.insert("ticketId", TicketId::new(created));
            copy.insert("createdAt", created);
            copy.insert("expiresAt", expires);
            copy.insert("status", status);
            copy.insert("occupies", status != "cancelled");
            copy.insert("slot", bson::Bson::Null);
            copy.insert("unpaid", status == "created" || status == "awaiting:payment");
            copy
        });
        orders.insert_many(copies).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_fetches_the_documents_of_its_page_and_its_index_has_the_order() {
    const LIMIT: usize = 5;
    let world = World::start().await;
    let database = world.infra.database("orders").await;
    store_orders(&world, &database).await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    for (user, side) in [(&world.buyer, "buyer"), (&world.seller, "seller")] {
        let client = world.client(user);
        for filter in [
            "",
            "&status=created",
            "&status=awaiting:payment",
            "&status=complete",
            "&status=cancelled",
            "&status=active",
            "&status=active&status=cancelled",
        ] {
            let mut query = format!("as={side}&limit={LIMIT}{filter}");
            for _ in 0..3 {
                let (plan, read) = plan(&database, &client, &query).await;
                assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
                assert!(!plan.contains("\"SORT\""), "{query}: the index has the order: {plan}");
                let most = i64::try_from(3 * LIMIT).unwrap();
                assert!(read <= most, "{query}: {read} documents: {plan}");
                let page = client.get(&format!("/api/orders?{query}")).await.expect(200);
                assert_eq!(page["orders"].as_array().unwrap().len(), LIMIT, "{query}");
                let next = page["next"].as_str().unwrap();
                query = format!("as={side}&limit={LIMIT}{filter}&cursor={next}");
            }
        }
    }
}

#[tokio::test]
async fn every_query_has_a_time_limit_and_an_index() {
    let world = World::start().await;
    let profile = Profile::start(&world.infra.database("orders").await).await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    world.pay(&order).await;
    world.seen(&order).await;
    let other = world.order(&world.ticket().await).await;
    world.cancel(&other).await;
    world.client(&world.buyer).get("/api/orders?status=active").await.expect(200);
    let handover = format!("/api/orders/{}/handover", order.id);
    let problem = serde_json::json!({ "state": "problem", "message": "x" });
    world.client(&world.buyer).put(&handover, problem).await.expect(200);
    let problems = world.client(&world.infra.admin()).get("/api/orders/problems").await;
    assert_eq!(problems.expect(200)["orders"].as_array().unwrap().len(), 1);
    world.published().await;
    let expired = world.order(&world.ticket().await).await;
    world.expire(&expired).await;
    orders::sweep::sweep(&world.app).await.unwrap();
    profile.assert_bounded().await;
}

#[tokio::test]
async fn broken_promises_are_found_by_indexes() {
    let world = World::start().await;
    let (database, now) = (world.infra.database("orders").await, world.infra.clock.now());
    testkit::assert_promises_have_indexes(&database, &orders::promises::PROMISES, now).await;
}
