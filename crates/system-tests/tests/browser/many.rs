//! A marketplace with ten thousand tickets on sale. The bench `front_page` measures how long its front page takes.

use bson::{Document, doc};
use mongodb::Database;
use system_tests::{Browser, Stack};

/// The cost of a first visit to `/`.
struct Visit {
    shown: u64,
    /// Transferred, with all assets.
    bytes: u64,
    /// How many documents the database examined.
    examined: i64,
}

#[tokio::test]
async fn the_cost_of_a_page_depends_on_what_it_shows_not_on_how_much_is_on_sale() {
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
    // One more than shown, to know whether there is a next page.
    assert_eq!(many.examined, i64::try_from(many.shown).unwrap() + 1);
}

async fn visit(stack: &Stack) -> Visit {
    let tickets = stack.database_of_tickets().await;
    // Without scripts: a page that is open is fetched again when something has changed.
    profile(&tickets, 2).await;
    stack.browser().opens("/").await;
    profile(&tickets, 0).await;
    let examined = examined(&tickets).await;
    let browser = Browser::open(&stack.url()).await;
    browser.visit("/").await;
    let cards = "return document.querySelectorAll('main li a[href^=\"/tickets/\"]').length";
    let shown = browser.evaluate(cards).await.as_u64().unwrap();
    // The browser doesn't count the favicon, so it is fetched once more.
    let icons = "return Promise.all([...document.querySelectorAll('link[rel~=icon]')]
        .map(async link => (await (await fetch(link.href, { cache: 'reload' })).arrayBuffer()).byteLength))";
    browser.evaluate(icons).await;
    Visit { shown, bytes: browser.transferred().await, examined }
}

/// Sets the level of the database's profiler.
async fn profile(database: &Database, level: i32) {
    database.run_command(doc! { "profile": level }).await.unwrap();
}

/// By queries of requests: what background tasks do meanwhile isn't the page's cost.
async fn examined(database: &Database) -> i64 {
    const LIMIT_OF_REQUESTS: i64 = 4000;
    let profile = database.collection::<Document>("system.profile");
    let sum = doc! { "$group": { "_id": null, "sum": { "$sum": { "$toLong": "$docsExamined" } } } };
    let of_tickets = doc! { "$match": {
        "ns": "tickets.tickets",
        "op": "query",
        "command.maxTimeMS": LIMIT_OF_REQUESTS,
    } };
    let mut sum = profile.aggregate([of_tickets, sum]).await.unwrap();
    assert!(sum.advance().await.unwrap(), "the database was asked for tickets");
    let examined = sum.deserialize_current().unwrap().get_i64("sum").unwrap();
    profile.drop().await.unwrap();
    examined
}
