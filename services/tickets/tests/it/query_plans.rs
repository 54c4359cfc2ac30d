//! The query plans of the lists, read from MongoDB's profiler, which records the queries that the service sends.

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::json;
use testkit::{Client, Profile};

use crate::world::World;

/// The plans of the queries that a list sends, and how many documents they examined.
async fn plan(database: &Database, client: &Client, query: &str) -> (String, i64) {
    let profile = database.collection::<Document>("system.profile");
    // The relay's queries have no $and.
    let lists = doc! { "command.find": "tickets", "command.filter.$and": { "$exists": true } };
    let before = profile.count_documents(lists.clone()).await.unwrap();
    client.get(&format!("/api/tickets?{query}")).await.expect(200);
    let sent = profile.find(lists).sort(doc! { "$natural": 1 }).skip(before).await.unwrap();
    let sent: Vec<Document> = sent.try_collect().await.unwrap();
    let read = sent.iter().map(|sent| i64::from(sent.get_i32("docsExamined").unwrap())).sum();
    let plans = sent.iter().map(|sent| sent.get_document("execStats").unwrap().to_string());
    (plans.collect::<Vec<_>>().join(" "), read)
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
            // The documents of one word are examined.
            let query = format!("q=roc%20night&sort={sort}&limit=3{filters}");
            let (plan, read) = plan(&database, &client, &query).await;
            assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
            let bounds = [r#"["roc", "roc"]"#, r#"["nig", "nig"]"#];
            assert!(bounds.iter().any(|bound| plan.contains(bound)), "{query}: {plan}");
            assert!(read <= 40, "{query}: {read}");
            let query = format!("q=roc&mine=true&sort={sort}{filters}");
            let (plan, _) = self::plan(&database, &client, &query).await;
            assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
        }
    }
}

/// With one filter, a list fetches the documents of its page, however many others there are.
#[tokio::test]
async fn a_list_with_one_filter_examines_few_documents() {
    const LIMIT: i64 = 3;
    let world = World::start().await;
    let (seller, other) = (world.user(), world.user());
    let now = world.clock().now();
    for number in 0..40_u64 {
        let owner = if number % 4 == 0 { &seller } else { &other };
        let title = if number % 2 == 0 { "Jazz night" } else { "Rock night" };
        let date = now + Duration::from_secs(3600 * (1 + number * 7 % 40));
        let price = 1 + number * 3 % 40;
        let body = json!({ "title": title, "price": price, "date": date });
        world.list_ticket(owner, body).await;
    }
    let database = world.infra.database("tickets").await;
    let profile = Profile::start(&database).await;
    let client = world.client_as(&seller);
    let later = now + Duration::from_secs(3600 * 20);
    let from = format!("from={later}");
    let to = format!("to={later}");
    for sort in ["-createdAt", "price", "-price", "date"] {
        let filters =
            ["", "min_price=30", "max_price=10", &from, &to, "mine=true", "q=night", "q=jaz"];
        for filter in filters {
            let mut query = format!("sort={sort}&limit={LIMIT}&{filter}");
            for _ in 0..2 {
                let (plan, read) = plan(&database, &client, &query).await;
                assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
                assert!(read <= 3 * LIMIT, "{query}: {read} documents: {plan}");
                let page = client.get(&format!("/api/tickets?{query}")).await.expect(200);
                assert_eq!(page["tickets"].as_array().unwrap().len(), 3, "{query}");
                query = format!("{query}&cursor={}", page["next"].as_str().unwrap());
            }
        }
    }
    profile.assert_bounded().await;
}

/// A day is each ticket's own local one, which no index has: the tickets within 16 hours of it are examined, whatever else
/// is on sale.
#[tokio::test]
async fn a_list_of_one_day_examines_the_tickets_around_it() {
    let world = World::start().await;
    let seller = world.user();
    let hour = Duration::from_secs(3600);
    let days = world.clock().now() + hour * 24 * 10;
    let day = days.to_string()[..10].to_owned();
    for number in 0..40 {
        let date = world.clock().now() + hour * (1 + 12 * number);
        world.list_ticket(&seller, json!({ "title": "Jazz", "price": 1, "date": date })).await;
    }
    let database = world.infra.database("tickets").await;
    Profile::start(&database).await;
    let client = world.client_as(&seller);
    for sort in ["-createdAt", "price", "-price", "date"] {
        let query = format!("sort={sort}&from={day}&to={day}");
        let (plan, read) = plan(&database, &client, &query).await;
        assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{query}: {plan}");
        // One ticket every 12 hours, in 16 + 24 + 16 hours.
        assert!((2..=5).contains(&read), "{query}: {read} documents: {plan}");
        let page = client.get(&format!("/api/tickets?{query}")).await.expect(200);
        assert_eq!(page["tickets"].as_array().unwrap().len(), 2, "{query}: {page}");
    }
}

#[tokio::test]
async fn broken_promises_are_found_by_indexes() {
    let world = World::start().await;
    let (database, now) = (world.infra.database("tickets").await, world.infra.clock.now());
    testkit::assert_promises_have_indexes(&database, &tickets::promises::PROMISES, now).await;
}
