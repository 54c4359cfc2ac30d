//! A market with ten thousand tickets on sale.

use bson::{Document, doc};
use mongodb::{Client, Database};
use system_tests::{Browser, Stack};
use uuid::Uuid;

const MANY: usize = 10_000;
const FEW: usize = 10;

/// What it takes to show `/` to somebody who comes for the first time.
struct Visit {
    shown: usize,
    /// With all assets.
    bytes: u64,
    /// What the database looked at for it.
    examined: i64,
}

#[tokio::test]
async fn one_page_of_ten_thousand_tickets_is_as_small_and_as_cheap_as_one_of_ten() {
    let start = || Stack::start("browser-many", &[]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let seller = stack.person("seller").await;
    for number in 0..FEW {
        seller
            .offers(&format!("A night at the opera, number {number}, in the stalls"), "20.50")
            .await;
    }
    let tickets = Client::with_uri_str(stack.mongo_uri()).await.unwrap().database("tickets");
    let few = visit(&stack, &tickets).await;
    assert_eq!(few.shown, FEW);

    multiply(&tickets).await;
    let many = visit(&stack, &tickets).await;
    assert!((FEW + 1..=100).contains(&many.shown), "{} are on one page", many.shown);
    assert!(many.bytes < 60_000, "{} bytes", many.bytes);
    // One more than it shows, to know whether there is a next page.
    assert!(many.examined <= i64::try_from(many.shown).unwrap() + 1, "{} documents", many.examined);
    println!(
        "first visit: {} bytes with {} tickets, {} with {}",
        few.bytes, few.shown, many.bytes, many.shown
    );
}

async fn visit(stack: &Stack, tickets: &Database) -> Visit {
    profile(tickets, 2).await;
    let browser = Browser::open(&stack.url()).await;
    browser.visit("/").await;
    let shown = browser
        .evaluate("return document.querySelectorAll('main li a[href^=\"/tickets/\"]').length")
        .await;
    profile(tickets, 0).await;
    // The browser doesn't say what its tab's picture took: it is asked for once more.
    let icons = "return Promise.all([...document.querySelectorAll('link[rel~=icon]')]
        .map(async link => (await (await fetch(link.href, { cache: 'reload' })).arrayBuffer()).byteLength))";
    browser.evaluate(icons).await;
    let bytes = browser.transferred().await;
    let seen = tickets.collection::<Document>("system.profile");
    let sum = [
        doc! { "$match": { "ns": "tickets.tickets" } },
        doc! { "$group": { "_id": null, "sum": { "$sum": "$docsExamined" } } },
    ];
    let mut sum = seen.aggregate(sum).await.unwrap();
    assert!(sum.advance().await.unwrap(), "the database was asked");
    let examined = sum.deserialize_current().unwrap();
    seen.drop().await.unwrap();
    Visit {
        shown: usize::try_from(shown.as_u64().unwrap()).unwrap(),
        bytes,
        examined: examined
            .get_i32("sum")
            .map(i64::from)
            .or_else(|_| examined.get_i64("sum"))
            .unwrap(),
    }
}

/// Has the database note down what it does, or stop it.
async fn profile(database: &Database, level: i32) {
    database.run_command(doc! { "profile": level }).await.unwrap();
}

/// As many tickets as the market is to have, each as the service has written one, told apart by id and name.
async fn multiply(tickets: &Database) {
    let collection = tickets.collection::<Document>("tickets");
    let one = collection.find_one(doc! {}).await.unwrap().unwrap();
    let copies = (FEW..MANY).map(|number| {
        let mut copy = one.clone();
        copy.insert("_id", Uuid::now_v7().to_string());
        copy.insert("title", format!("A night at the opera, number {number}, in the stalls"));
        copy
    });
    collection.insert_many(copies).await.unwrap();
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), MANY as u64);
}
