//! What a search reads, counted by MongoDB: not more in a catalogue of twice the size, and never more than a bound that the
//! number of listings is no part of.

use std::time::Duration;

use bson::{Document, doc};
use common::Money;
use common::ids::UserId;
use common::listing::Listing;
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::Value;
use testkit::{Client, Profile, fixtures};
use tickets::domain::{Draft, Ticket};
use tickets::store::{SCAN, SHORT, SHORT_KEYS, TicketDocument};

use crate::search::url_encoded;
use crate::world::World;

/// Of each of three terms, the list in the search's order: two ranges of it. Of each of them, the counts in two other orders
/// and by its word. And one of all lists, which is sorted and read.
const MOST_KEYS: u64 =
    3 * 2 * SCAN + 3 * 2 * (SHORT_KEYS + 1) + 3 * (SHORT + 1) + 2 * SHORT_KEYS + SCAN + 100;
const MOST_DOCUMENTS: u64 = SCAN + 100;
const LIMIT: u64 = 20;

/// Adds listings as the service stores them, by a few sellers. Every word is in one of so many.
pub async fn add(world: &World, from: u64, count: u64, seller: UserId) {
    let now = world.clock().now();
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    let documents = (from..from + count).map(|number| {
        let every = |nth: u64, word: &'static str| if number % nth == 0 { word } else { "" };
        // The older half has other words than the newer one.
        let half = if number % 2 == 0 { "jazz" } else { "techno" };
        let words = [every(3, "concert"), every(50, "gala"), every(1000, "rarity"), half];
        let listing = Listing {
            title: format!("Arena {}", words.join(" ")),
            date: (number % 7 > 0)
                .then(|| now + Duration::from_secs(3600 * (1 + number * 37 % 5000))),
            ..Listing {
                price: Money::from_minor(100 + i64::try_from(number * 13 % 4001).unwrap()),
                ..fixtures::listing()
            }
        };
        let draft = Draft { listing, description: None };
        let listed = now - Duration::from_secs(number * 101 % 9973 + 1);
        let ticket = Ticket::create(seller, draft, listed).thing;
        let mut document = store::mongo::document(&TicketDocument::from(ticket)).unwrap();
        document.extend(doc! { "outbox": [], "outboxPending": false, "unanswered": false });
        document
    });
    tickets.insert_many(documents).await.unwrap();
}

/// How many keys and documents MongoDB examined for a request, and its answer.
async fn examined(database: &Database, client: &Client, query: &str) -> ((u64, u64), Value) {
    let mark = mark_profile(database).await;
    let page = client.get(&format!("/api/tickets?{query}")).await.expect(200);
    let profile = database.collection::<Document>("system.profile");
    let mut latest = profile.find(doc! {}).sort(doc! { "$natural": -1 }).await.unwrap();
    let (mut keys, mut documents) = (0, 0);
    while let Some(sent) = latest.try_next().await.unwrap() {
        let command = sent.get_document("command").unwrap();
        if command.get_str("comment").is_ok_and(|comment| comment == mark) {
            return ((keys, documents), page);
        }
        // The background has connections of its own.
        let is_ours = sent.get_str("appName").is_ok_and(|name| name == "tickets")
            && command.contains_key("hint");
        if is_ours {
            assert!(!sent.get_str("planSummary").unwrap().contains("COLLSCAN"), "{sent}");
            keys += u64::try_from(sent.get_i32("keysExamined").unwrap()).unwrap();
            documents += u64::try_from(sent.get_i32("docsExamined").unwrap()).unwrap();
        }
    }
    panic!("the profile is too small");
}

/// Marks this place in the profile.
async fn mark_profile(database: &Database) -> String {
    let mark = bson::oid::ObjectId::new().to_hex();
    let tickets = database.collection::<Document>("tickets");
    tickets.find_one(doc! { "_id": "" }).comment(mark.clone()).await.unwrap();
    mark
}

#[tokio::test]
async fn what_a_search_reads_does_not_grow_with_the_catalogue() {
    const LISTINGS: u64 = 6000;
    let world = World::start().await;
    let seller = world.user();
    add(&world, 0, LISTINGS, seller.id).await;
    let database = world.infra.database("tickets").await;
    let profile = database.create_collection("system.profile").capped(true);
    profile.size(32 << 20).await.unwrap();
    let profile = Profile::start(&database).await;
    let client = world.client_as(&seller);
    let now = world.clock().now();
    let from = (now + Duration::from_secs(3600 * 100)).to_string();
    let to = (now + Duration::from_secs(3600 * 4000)).to_string();
    let day = (now + Duration::from_secs(3600 * 2000)).to_string()[..10].to_owned();

    let words = ["", "arena", "ar", "arena concert", "jazz techno", "rarity"];
    let ranges = [
        String::new(),
        "min_price=2&max_price=30".to_owned(),
        "min_price=20&max_price=20.10".to_owned(),
        format!("from={from}&to={to}"),
        format!("from={day}&to={day}"),
        format!("max_price=1.50&from={from}&to={to}"),
    ];
    let mut queries = Vec::new();
    for q in words.map(url_encoded) {
        for range in &ranges {
            for sort in ["-createdAt", "-price", "date"] {
                for whose in ["", "&mine=true"] {
                    queries.push(format!("q={q}&{range}&sort={sort}&limit={LIMIT}{whose}"));
                }
            }
        }
    }
    // Nearly all of what these find is in the order of an index.
    let in_order = |query: &str| {
        ["q=&&", "q=%61%72%65%6E%61&&", "q=%61%72&&"].iter().any(|start| query.starts_with(start))
            && (!query.contains("mine") || query.starts_with("q=&"))
    };
    let mut once = Vec::new();
    for query in &queries {
        once.push(two_pages(&database, &client, query).await);
    }
    add(&world, LISTINGS, LISTINGS, seller.id).await;
    let mut most = (0, 0);
    for (query, once) in queries.iter().zip(once) {
        let twice = two_pages(&database, &client, query).await;
        for (keys, documents) in [once, twice].concat() {
            assert!(keys <= MOST_KEYS, "{query}: {keys} keys");
            assert!(documents <= MOST_DOCUMENTS, "{query}: {documents} documents");
            most = (most.0.max(keys), most.1.max(documents));
        }
        if in_order(query) {
            assert_eq!(once, twice, "{query}");
            let (keys, documents) = twice[0];
            assert!(keys <= 2 * LIMIT + 2 && documents <= 2 * LIMIT + 2, "{query}: {twice:?}");
        }
    }
    println!("{} queries; at most {most:?} keys and documents", queries.len());
    profile.assert_bounded_except(doc! { "command.comment": "sorts a short list" }).await;
}

/// What the first two pages of a search cost.
async fn two_pages(database: &Database, client: &Client, query: &str) -> [(u64, u64); 2] {
    let (first, page) = examined(database, client, query).await;
    let Some(next) = page["next"].as_str() else { return [first, (0, 0)] };
    let (second, _) = examined(database, client, &format!("{query}&cursor={next}")).await;
    [first, second]
}
