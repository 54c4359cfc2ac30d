//! Many tickets make pages neither larger nor slower.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::json;
use system_tests::{PlainBrowser, Stack};
use testkit::Client;

/// The median time of a page.
async fn time_of(browser: &PlainBrowser, address: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        browser.opens(address).await.expect(200);
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// The bytes of a first visit: the page and its assets, compressed.
async fn weight(browser: &PlainBrowser, client: &Client) -> usize {
    let home = browser.opens("/").await;
    let mut addresses = vec!["/".to_owned()];
    addresses.extend(home.attributes("link[rel='stylesheet'], link[rel='icon']", "href"));
    addresses.extend(home.attributes("script[src]", "src"));
    let icons = home.attributes("use", "href");
    addresses.extend(icons.iter().filter_map(|href| href.split('#').next()).map(str::to_owned));
    addresses.sort();
    addresses.dedup();
    let mut sum = 0;
    for address in &addresses {
        sum += client.header("accept-encoding", "br").bytes(address).await;
    }
    sum
}

#[tokio::test]
async fn ten_thousand_tickets_are_one_light_page_as_fast_as_with_ten() {
    const MANY: usize = 10_000;
    let stack = tokio::task::spawn_blocking(|| Stack::start("crowded", &[])).await.unwrap();
    let (seller, visitor) = (stack.person("ada").await, stack.browser());
    let offer = |number: usize| {
        let client = seller.client.clone();
        let body = json!({
            "title": format!("Concert no {number}: the long night of the {number} tuned pianos"),
            "price": format!("{}.{:02}", 5 + number % 200, number % 100),
            "venue": format!("Hall {}, City {}", number % 17, number % 101),
            "date": format!("2099-{:02}-{:02}T19:30:00Z", 1 + number % 12, 1 + number % 28),
        });
        async move { client.post("/api/tickets", body).await.expect(201) }
    };
    for number in 0..10 {
        offer(number).await;
    }
    let with_ten = time_of(&visitor, "/").await;
    futures::stream::iter(10..MANY).map(offer).buffer_unordered(48).count().await;
    // More cards are shown than ten; the other tickets must not count. The events of ten thousand tickets keep all
    // services busy for a while.
    let bound = with_ten * 3 + Duration::from_millis(20);
    let mut with_many = time_of(&visitor, "/").await;
    for _ in 0..30 {
        if with_many < bound {
            break;
        }
        with_many = time_of(&visitor, "/").await;
    }
    assert_eq!(visitor.opens("/").await.texts(".card").len(), 24);
    let weight = weight(&visitor, &Client::new(&stack.url())).await;
    println!("with ten {with_ten:?}, with {MANY} {with_many:?}, {weight} bytes");
    assert!(weight < 60 * 1024, "{weight} bytes");
    assert!(with_many < bound, "{with_ten:?}, {with_many:?}");
    let search = time_of(&visitor, "/?q=hall+city&sort=price&min_price=50").await;
    assert!(search < Duration::from_secs(1), "{search:?}");
}
