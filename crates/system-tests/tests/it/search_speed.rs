//! How long searches take in a large catalogue. Not a test of a promise: `cargo xtask bench` measures the same on a quiet
//! machine; the promise is held by counts (`services/tickets/tests/it/search_bounds.rs`).

use common::events::Stream;
use service::Microservice as _;
use system_tests::search_load::{self, Catalogue, SearchQuery};
use testkit::{Infra, TestService};
use tickets::app::Tickets;

#[tokio::test]
#[ignore = "measures for minutes"]
async fn searches_of_a_large_catalogue() {
    let listings = std::env::var("LISTINGS").ok().and_then(|count| count.parse().ok());
    let rounds = std::env::var("ROUNDS").ok().and_then(|count| count.parse().ok());
    let infra = Infra::start().await;
    let mut args = infra.args("tickets");
    args.extend(["--admission-keys".to_owned(), infra.admission_key_file().display().to_string()]);
    let settings = clap::Parser::parse_from(args);
    let service = Tickets::build(settings, infra.clock.clone()).await.unwrap();
    let service = TestService::serve(service).await;
    infra.bus().wait_for_consumers("tickets", &[Stream::Orders]).await;

    let database = infra.database("tickets").await;
    let seller = infra.user();
    let catalogue = Catalogue { seller: seller.id, now: infra.clock.now() };
    let start = std::time::Instant::now();
    catalogue.insert_listings(&database, listings.unwrap_or(10_000)).await.unwrap();
    println!("inserted in {:?}", start.elapsed());
    let stats = database.run_command(bson::doc! { "collStats": "tickets" }).await.unwrap();
    println!("{} {:?}", stats.get("size").unwrap(), stats.get_document("indexSizes").unwrap());

    let (anyone, seller) = (service.client(), service.client_as(&seller));
    let ask = async |query: &SearchQuery, path: &str| {
        let client = if query.is_own { &seller } else { &anyone };
        let page = client.get(path).await.expect(200);
        Ok::<_, std::convert::Infallible>(page["next"].as_str().map(str::to_owned))
    };
    let queries = catalogue.queries();
    let Ok(measured) = search_load::measure(&queries, rounds.unwrap_or(20), ask).await;
    for latency in &measured {
        println!("{:45} {:>10.1?} {:>10.1?}", latency.name, latency.median, latency.p99);
    }
}
