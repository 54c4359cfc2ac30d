//! The pages of searches in a catalogue in which a page doesn't read all that a list has.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::{Document, doc};
use serde_json::{Value, json};
use testkit::Client;

use crate::search::url_encoded;
use crate::search_bounds::add;
use crate::world::{World, path, text};

type Matches = Box<dyn Fn(&Value) -> bool>;

/// All pages, and how many of them were empty.
async fn all_pages(client: &Client, query: &str) -> (Vec<Value>, usize) {
    let (mut all, mut empty) = (Vec::new(), 0);
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/tickets?{query}&cursor={cursor}")).await.expect(200);
        let tickets = page["tickets"].as_array().unwrap();
        empty += usize::from(tickets.is_empty());
        all.extend(tickets.iter().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return (all, empty),
        }
    }
}

fn ids(tickets: &[Value]) -> Vec<&str> {
    tickets.iter().map(|ticket| text(&ticket["id"])).collect()
}

fn cents(ticket: &Value) -> i64 {
    text(&ticket["price"]).replace('.', "").parse().unwrap()
}

/// The tickets as a search has to list them, by their own fields.
fn in_order<'a>(
    tickets: &'a [Value],
    sort: &str,
    matches: impl Fn(&Value) -> bool,
) -> Vec<&'a str> {
    let date = |ticket: &Value| ticket["date"].as_str().unwrap_or("9999-12-31").to_owned();
    let mut found: Vec<&Value> = tickets.iter().filter(|ticket| matches(ticket)).collect();
    match sort {
        "price" => found.sort_by_key(|one| (cents(one), text(&one["id"]))),
        "-price" => found.sort_by_key(|one| std::cmp::Reverse((cents(one), text(&one["id"])))),
        "date" => found.sort_by_key(|one| (date(one), text(&one["id"]))),
        _ => found.sort_by_key(|one| {
            std::cmp::Reverse((text(&one["createdAt"]).to_owned(), text(&one["id"])))
        }),
    }
    found.into_iter().map(|ticket| text(&ticket["id"])).collect()
}

/// However a page is read, the pages together have each ticket once, in order.
#[tokio::test]
async fn the_pages_of_every_search_are_complete() {
    let world = World::start().await;
    let seller = world.user();
    add(&world, 0, 2600, seller.id).await;
    let client = world.client_as(&seller);
    let (tickets, _) = all_pages(&client, "limit=100").await;
    assert_eq!(tickets.len(), 2600);
    let now = world.clock().now();
    let from = (now + Duration::from_secs(3600 * 2400)).to_string();
    let to = (now + Duration::from_secs(3600 * 2600)).to_string();
    let dates = format!("&from={from}&to={to}");

    let words = ["", "concert gala", "jazz techno", "rarity"];
    let ranges: [(String, Matches); 4] = [
        (String::new(), Box::new(|_| true)),
        (
            "&min_price=20&max_price=22".to_owned(),
            Box::new(|one| (2000..=2200).contains(&cents(one))),
        ),
        ("&min_price=3".to_owned(), Box::new(|one| cents(one) >= 300)),
        (
            dates,
            Box::new(move |one| {
                one["date"].as_str().is_some_and(|date| (&*from..=&*to).contains(&date))
            }),
        ),
    ];
    for q in words {
        for (range, is_within) in &ranges {
            for sort in ["-createdAt", "price", "-price", "date"] {
                for whose in ["", "&mine=true"] {
                    let query = format!("q={}{range}&sort={sort}&limit=100{whose}", url_encoded(q));
                    let has_words = |ticket: &Value| {
                        let title = text(&ticket["title"]).to_lowercase();
                        q.split(' ').all(|word| title.contains(word))
                    };
                    let expected =
                        in_order(&tickets, sort, |ticket| has_words(ticket) && is_within(ticket));
                    let (found, empty) = all_pages(&client, &query).await;
                    assert_eq!(ids(&found), expected, "{query}");
                    assert!(empty <= 3, "{query}: {empty} empty pages");
                }
            }
        }
    }
}

/// Two common words that only the last ticket has both: a page says how far it has looked, and the next one goes on there.
#[tokio::test]
async fn a_search_that_reads_much_for_nothing_is_continued_by_its_cursor() {
    let world = World::start().await;
    let seller = world.user();
    let client = world.client_as(&seller);
    let last = world
        .list_ticket(
            &seller,
            json!({ "title": "Arena jazz techno", "price": "0.50", "date": null }),
        )
        .await;
    add(&world, 0, 9000, seller.id).await;
    let query = "q=jazz%20techno&sort=-price&limit=5";
    let first = client.get(&format!("/api/tickets?{query}")).await.expect(200);
    assert_eq!(first["tickets"], json!([]));
    assert!(first["next"].is_string(), "{first}");
    let (found, empty) = all_pages(&client, query).await;
    assert_eq!(ids(&found), [text(&last["id"])]);
    assert!((2..=3).contains(&empty), "{empty} empty pages");
    // The cursor is bound to its query, as that of a complete page.
    let next = text(&first["next"]);
    let other = format!("/api/tickets?q=jazz&sort=-price&cursor={next}");
    assert_eq!(client.get(&other).await.invalid_fields(), ["cursor"]);
}

/// While pages are read, listings are added, deleted, reserved and sold: those that stay are listed once.
#[tokio::test]
async fn what_stays_on_sale_is_listed_once_while_the_catalogue_changes() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let client = world.client_as(&seller);
    add(&world, 0, 2500, seller.id).await;
    let mut own = Vec::new();
    for number in 0..12 {
        let body = json!({ "title": "Arena concert night", "price": 10 + number });
        own.push(world.list_ticket(&seller, body).await);
    }
    let database = world.infra.database("tickets").await;
    let tickets = database.collection::<Document>("tickets");
    for query in [
        "q=arena&sort=price&limit=50",
        "q=concert%20arena&sort=-price&limit=30",
        "min_price=8&max_price=25&limit=10",
        "q=night&sort=date&limit=2",
    ] {
        let (before, _) = all_pages(&client, query).await;
        let (mut found, mut cursor) = (Vec::new(), String::new());
        let mut gone = BTreeSet::new();
        let mut page_number = 0;
        loop {
            let page =
                client.get(&format!("/api/tickets?{query}&cursor={cursor}")).await.expect(200);
            found.extend(page["tickets"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            next.clone_into(&mut cursor);
            page_number += 1;
            if page_number > 3 {
                continue;
            }
            world
                .list_ticket(&seller, json!({ "title": "Arena concert night", "price": 15 }))
                .await;
            if let Some(reserved) = own.first() {
                world.deliver(&world.order(&buyer, reserved).created(1)).await;
            }
            if own.len() > 3 {
                let sold = own.pop().unwrap();
                world.deliver(&world.order(&buyer, &sold).completed(2)).await;
                gone.insert(text(&sold["id"]).to_owned());
                let deleted = own.pop().unwrap();
                client.delete(&path(&deleted)).await.expect(204);
                gone.insert(text(&deleted["id"]).to_owned());
            }
        }
        let unique: BTreeSet<&str> = ids(&found).into_iter().collect();
        assert_eq!(unique.len(), found.len(), "{query}: a ticket is listed twice");
        for ticket in ids(&before) {
            assert!(
                unique.contains(ticket) || gone.contains(ticket),
                "{query}: {ticket} is missing"
            );
        }
    }
    let reserved = doc! { "reservedUntil": { "$ne": null } };
    assert!(tickets.count_documents(reserved).await.unwrap() >= 1);
}
