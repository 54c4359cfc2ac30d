//! How many commands `POST /api/orders` sends to MongoDB, read from its profiler.

use bson::{Document, doc};
use common::events::Ticket;
use futures::TryStreamExt as _;
use httpkit::Service;
use mongodb::Database;
use orders::app;
use serde_json::json;
use service::HttpState;
use testkit::{Infra, TestService};

use crate::world::World;

/// A listing of so many places, and a replica that serves requests and does nothing else: all that the profiler records
/// are its requests.
async fn serve_requests(places: u16) -> (Infra, TestService, Ticket) {
    let world = World::start().await;
    let ticket = world.listing_of(places).await;
    let World { infra, app, service, .. } = world;
    service.stop().await;
    let routes = app::routes(HttpState { app, verifier: infra.verifier() });
    let service = TestService::serve(Service::new("orders", routes)).await;
    (infra, service, ticket)
}

/// Records every command from now on.
async fn profile(infra: &Infra) -> Database {
    let database = infra.database("orders").await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    database.collection::<Document>("system.profile").drop().await.unwrap();
    let capped = database.create_collection("system.profile");
    capped.capped(true).size(64 * 1024 * 1024).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    database
}

/// What was sent since [`profile`]: the commands' names and collections.
async fn recorded(database: &Database) -> Vec<String> {
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let ours = doc! { "ns": { "$not": { "$regex": "system.profile$" } }, "command.profile": { "$exists": false } };
    let entries = profile.find(ours).sort(doc! { "ts": 1 }).await.unwrap();
    let entries: Vec<Document> = entries.try_collect().await.unwrap();
    let name = |entry: &Document| {
        let command = entry.get_document("command").unwrap();
        let (name, collection) = command.iter().next().unwrap();
        format!("{name} {}", collection.as_str().unwrap_or_default())
    };
    entries.iter().map(name).collect()
}

#[tokio::test]
async fn an_order_takes_one_find_and_one_insert_in_the_common_case() {
    for quantity in [1, 1000] {
        let (infra, service, ticket) = serve_requests(quantity).await;
        let database = profile(&infra).await;
        let client = service.client_as(&infra.user());
        client.post("/api/orders", json!({ "ticketId": ticket.id })).await.expect(201);
        assert_eq!(recorded(&database).await, ["find tickets", "insert orders"], "{quantity}");
    }
}

#[tokio::test]
async fn few_commands_are_enough_while_many_places_are_taken() {
    const PLACES: u16 = 1000;
    const ORDERS: usize = 50;
    let (infra, service, ticket) = serve_requests(PLACES).await;
    let mut taken = 0;
    for (share, limit) in [(30, 3.0), (90, 5.0)] {
        while taken < PLACES / 100 * share {
            let buyer = infra.user();
            let body = json!({ "ticketId": ticket.id, "quantity": 10 });
            service.client_as(&buyer).post("/api/orders", body).await.expect(201);
            taken += 10;
        }
        let database = profile(&infra).await;
        for _ in 0..ORDERS {
            let client = service.client_as(&infra.user());
            client.post("/api/orders", json!({ "ticketId": ticket.id })).await.expect(201);
            taken += 1;
        }
        let commands = recorded(&database).await;
        let mean = commands.len() as f64 / ORDERS as f64;
        println!("{share} % taken: {mean} commands per order");
        assert!(mean <= limit, "{share} % taken: {mean} commands per order: {commands:?}");
    }
}
