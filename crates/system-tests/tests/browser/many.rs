//! A market with ten thousand tickets on sale. How long its front page takes is measured by the bench `front_page`.

use bson::{Document, doc};
use mongodb::Database;
use system_tests::{Browser, Stack};

/// What it takes to show `/` to somebody who comes for the first time.
struct Visit {
    shown: u64,
    /// With all assets, as they went over the network.
    bytes: u64,
    /// How many tickets the database looked at for it.
    examined: i64,
}

#[tokio::test]
async fn a_page_of_ten_thousand_tickets_is_small_and_costs_what_it_shows() {
    let start = || Stack::start("browser-many", &[]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let seller = stack.person("seller").await;
    for number in 0..10 {
        seller
            .offers(&format!("A night at the opera, number {number}, in the stalls"), "20.50")
            .await;
    }
    let few = visit(&stack).await;
    assert_eq!((few.shown, few.examined), (10, 10));

    stack.fill_with_listings(10_000).await;
    let many = visit(&stack).await;
    println!(
        "{} tickets: {} bytes; {} of 10,000: {} bytes",
        few.shown, few.bytes, many.shown, many.bytes
    );
    assert!((11..=100).contains(&many.shown), "{} are on one page", many.shown);
    assert!(many.bytes < 60_000, "{} bytes", many.bytes);
    // One more than it shows, to know whether there is a next page.
    assert_eq!(many.examined, i64::try_from(many.shown).unwrap() + 1);
}

async fn visit(stack: &Stack) -> Visit {
    let tickets = stack.database_of_tickets().await;
    profile(&tickets, 2).await;
    let browser = Browser::open(&stack.url()).await;
    browser.visit("/").await;
    let cards = "return document.querySelectorAll('main li a[href^=\"/tickets/\"]').length";
    let shown = browser.evaluate(cards).await.as_u64().unwrap();
    profile(&tickets, 0).await;
    // The browser doesn't say what the picture in its tab took: it is asked for once more.
    let pictures = "return Promise.all([...document.querySelectorAll('link[rel~=icon]')]
        .map(async link => (await (await fetch(link.href, { cache: 'reload' })).arrayBuffer()).byteLength))";
    browser.evaluate(pictures).await;
    Visit { shown, bytes: browser.transferred().await, examined: examined(&tickets).await }
}

/// Has the database note down what it does, or stop it.
async fn profile(database: &Database, level: i32) {
    database.run_command(doc! { "profile": level }).await.unwrap();
}

async fn examined(database: &Database) -> i64 {
    let notes = database.collection::<Document>("system.profile");
    let sum = doc! { "$group": { "_id": null, "sum": { "$sum": { "$toLong": "$docsExamined" } } } };
    let of_tickets = doc! { "$match": { "ns": "tickets.tickets", "op": "query" } };
    let mut sum = notes.aggregate([of_tickets, sum]).await.unwrap();
    assert!(sum.advance().await.unwrap(), "the database was asked for tickets");
    let examined = sum.deserialize_current().unwrap().get_i64("sum").unwrap();
    notes.drop().await.unwrap();
    examined
}
