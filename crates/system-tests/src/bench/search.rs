//! Searches in a catalogue that grows: of all queries, the latency of a page.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::{Clock, ids::UserId};
use http::StatusCode;

use super::figures::Figure;
use super::visitor::Visitor;
use crate::Stack;
use crate::search_load::{self, Catalogue};

const SIZES: [u64; 3] = [10_000, 100_000, 300_000];
/// How often each query is asked, for two pages each time.
const ROUNDS: usize = 100;
/// What that may take for each size. A slow version is asked less often.
const TIME_LIMIT: Duration = Duration::from_secs(90);

pub async fn measure(stack: &Stack) -> Result<Vec<Figure>> {
    let (auth, tickets) = (stack.url_of("auth"), stack.url_of("tickets"));
    let anyone = Visitor::new();
    let seller = anyone.sign_up(&auth).await?;
    let user = seller.get(&format!("{auth}/api/users/currentuser")).await?.json();
    let id = user["currentUser"]["id"].as_str().context("the seller's id")?;
    let id: UserId = id.parse().ok().context("the seller's id")?;
    let catalogue = Catalogue { seller: id, now: Clock::system().now() };
    let database = stack.database("tickets").await;
    let (mut listed, mut figures) = (0, Vec::new());
    for size in SIZES {
        catalogue.insert_listings(&database, size - listed).await?;
        listed = size;
        let ask = async |query: &search_load::SearchQuery, path: &str| {
            let visitor = if query.is_own { &seller } else { &anyone };
            let answer = visitor.get_new(&format!("{tickets}{path}")).await?;
            ensure!(answer.status == StatusCode::OK, "{path}: {}", answer.status);
            anyhow::Ok(answer.json()["next"].as_str().map(str::to_owned))
        };
        let queries = catalogue.queries();
        // Once, to fill the caches.
        search_load::measure(&queries, 1, TIME_LIMIT, ask).await?;
        let subject = format!("search, {size} listings");
        let latencies = search_load::measure(&queries, ROUNDS, TIME_LIMIT, ask).await?;
        let slowest = latencies.iter().max_by_key(|it| it.p99).context("queries")?;
        println!("    {subject}: the slowest is {}", slowest.name);
        figures.push(Figure::millis(&subject, "p99 of the slowest query", slowest.p99));
        for latency in &latencies {
            figures.push(Figure::millis(&subject, latency.name, latency.median));
        }
    }
    Ok(figures)
}
