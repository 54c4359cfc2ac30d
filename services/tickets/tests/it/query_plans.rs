//! The query plans of the lists, read from MongoDB's profiler, which records the queries that the service sends.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::Database;
use serde_json::json;
use testkit::Client;

use crate::world::World;

/// The plan of the query that a list sends, and how many documents it examined.
async fn plan(database: &Database, client: &Client, query: &str) -> (String, i64) {
    client.get(&format!("/api/tickets?{query}")).await.expect(200);
    let profile = database.collection::<Document>("system.profile");
    // The relay's queries have no $and.
    let lists = doc! { "command.find": "tickets", "command.filter.$and": { "$exists": true } };
    let newest = profile.find_one(lists).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
    let read = i64::from(newest.get_i32("docsExamined").unwrap());
    (newest.get_document("execStats").unwrap().to_string(), read)
}

#[tokio::test]
async fn an_idempotency_key_is_found_by_its_index() {
    let world = World::start().await;
    let database = world.infra.database("tickets").await;
    let find = doc! { "find": "tickets", "filter": { "requests.id": "x" } };
    let plan = database.run_command(doc! { "explain": find }).await.unwrap();
    let plan = plan.get_document("queryPlanner").unwrap().get_document("winningPlan").unwrap();
    assert!(plan.to_string().contains(r#""indexName": "requests""#), "{plan}");
}

#[tokio::test]
async fn every_list_uses_an_index() {
    let world = World::start().await;
    let (seller, other) = (world.user(), world.user());
    for number in 0..40 {
        let date = world.clock().now() + Duration::from_secs(3600 * (number + 1));
        let title = if number % 10 == 0 { "Rock night" } else { "Jazz night" };
        let owner = if number % 2 == 0 { &seller } else { &other };
        world
            .list_ticket(owner, json!({ "title": title, "price": number + 1, "date": date }))
            .await;
    }
    let database = world.infra.database("tickets").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let client = world.client_as(&seller);

    let from = world.clock().now();
    let filters = format!("&min_price=2&max_price=39&from={from}&to=2999-01-01T00:00:00Z");
    for sort in ["-createdAt", "price", "-price", "date"] {
        for filters in ["", filters.as_str()] {
            for whose in ["", "&mine=true"] {
                let query = format!("sort={sort}&limit=3{whose}{filters}");
                let (plan, read) = plan(&database, &client, &query).await;
                assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
                assert!(
                    !plan.contains("\"SORT\""),
                    "{query}: the index provides the order: {plan}"
                );
                assert!(read <= 6, "{query}: {read} documents for a page of three: {plan}");
                let next = client.get(&format!("/api/tickets?{query}")).await.expect(200);
                let next = format!("{query}&cursor={}", next["next"].as_str().unwrap());
                let (plan, read) = self::plan(&database, &client, &next).await;
                assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{next}: {plan}");
                assert!(read <= 6, "{next}: {read} documents for a page of three: {plan}");
            }
            let query = format!("q=roc%20night&sort={sort}&limit=3{filters}");
            let (plan, read) = plan(&database, &client, &query).await;
            assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
            let bounds = [r#"["roc", "rod")"#, r#"["night", "nighu")"#];
            assert!(bounds.iter().any(|bound| plan.contains(bound)), "{query}: {plan}");
            assert!(read <= 40, "{query}: {read}");
            let query = format!("q=roc&mine=true&sort={sort}{filters}");
            let (plan, _) = self::plan(&database, &client, &query).await;
            assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
        }
    }
}
