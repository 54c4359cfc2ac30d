//! How many commands an event of an order sends to MongoDB, read from its profiler.

use bson::{Document, doc};
use common::Quantity;
use common::events::OrderCreated;
use mongodb::Database;
use testkit::Infra;
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _, with_places};
use tickets::domain::{Draft, Ticket};
use tickets::listeners::order_created;
use tickets::state::App;

use crate::world::settings;

const EVENTS: u16 = 20;

/// Lists so many places, and returns how their nth is ordered.
async fn listing(infra: &Infra, app: &App, places: u16) -> impl Fn(u16) -> OrderCreated {
    let now = infra.clock.now();
    let listing =
        common::listing::Listing { quantity: Quantity::new(places), ..fixtures::listing() };
    let draft = Draft { listing, description: None };
    let listed = Ticket::create(infra.user().id, draft, now);
    let id = listed.thing.id;
    let request = store::RequestIdentity::unique();
    let response = store::StoredResponse::created(String::new(), 1, &()).unwrap();
    app.store.insert(&request, &response, listed).await.unwrap();
    move |place| {
        let order = fixtures::order(&fixtures::ticket(now).with_id(id), now);
        OrderCreated(with_places(order.with_version(1), [place]))
    }
}

/// Records every command from now on.
async fn profile(infra: &Infra) -> Database {
    let database = infra.database("tickets").await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    database.collection::<Document>("system.profile").drop().await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    database
}

/// How many were sent since then.
async fn recorded(database: &Database) -> u64 {
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let ours = doc! {
        "ns": { "$not": { "$regex": "system.profile$" } },
        "command.profile": { "$exists": false },
    };
    database.collection::<Document>("system.profile").count_documents(ours).await.unwrap()
}

/// Handles some events of a listing of which half the places are reserved, and returns how many commands that took.
async fn commands_for(infra: &Infra, app: &App, places: u16) -> u64 {
    let order = listing(infra, app, places).await;
    let taken = places - EVENTS.min(places / 2);
    for place in 1..=taken {
        order_created::handle(app.clone(), order(place)).await.unwrap();
    }
    app.store.summarise_dirty().await.unwrap();

    infra.clock.advance(std::time::Duration::from_secs(1));
    let database = profile(infra).await;
    for event in 0..EVENTS {
        // Beyond the last place they are taken twice, which makes no difference here.
        let place = (taken + event) % places + 1;
        order_created::handle(app.clone(), order(place)).await.unwrap();
    }
    app.store.summarise_dirty().await.unwrap();
    recorded(&database).await
}

/// It reads the ticket, writes the reservation, reads the listing's reservations, and writes the summary.
#[tokio::test]
async fn an_event_of_a_listing_of_one_takes_four_commands() {
    let infra = Infra::start().await;
    let app = App::connect(&settings(&infra).state, infra.clock.clone()).await.unwrap();
    let order = listing(&infra, &app, 1).await;
    let database = profile(&infra).await;
    order_created::handle(app.clone(), order(1)).await.unwrap();
    assert_eq!(recorded(&database).await, 4);
}

#[tokio::test]
async fn an_event_takes_as_many_commands_for_a_thousand_places_as_for_ten() {
    let infra = Infra::start().await;
    let app = App::connect(&settings(&infra).state, infra.clock.clone()).await.unwrap();
    let mut commands = Vec::new();
    for places in [10, 100, 1000] {
        commands.push(commands_for(&infra, &app, places).await);
    }
    println!("{commands:?} commands for {EVENTS} events of 10, 100 and 1,000 places");
    assert_eq!(commands[0], commands[1]);
    assert_eq!(commands[1], commands[2]);
    // Each reads the ticket, writes the reservation and marks the ticket; the first and the last are summarised.
    assert!(commands[0] <= u64::from(EVENTS) * 3 + 8, "{commands:?}");
}
