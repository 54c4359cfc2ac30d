//! MongoDB may be away when a service starts.

use std::net::TcpListener;
use std::time::Duration;

use bson::{Document, doc};
use clap::Parser;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use orders::state::{App, Settings};
use testkit::Infra;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener as Listener, TcpStream};

#[tokio::test]
async fn mongodb_that_is_away_at_the_start_is_waited_for() {
    let infra = Infra::start().await;
    let uri = infra.mongo_uri("orders");
    let (_, rest) = uri.split_once("//").unwrap();
    let (mongod, rest) = rest.split_once('/').unwrap();
    let (database, _) = rest.split_once('?').unwrap();
    // Nothing listens there yet.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("mongodb://{free}/{database}?directConnection=true");
    let mut args = infra.args("orders");
    let value = args.iter().position(|arg| *arg == uri).unwrap();
    args[value] = away;
    let clock = infra.clock.clone();
    let connecting =
        tokio::spawn(async move { App::connect(&Settings::parse_from(args).state, clock).await });
    // More attempts than the driver makes before an operation fails.
    let listener = Listener::bind(free).await.unwrap();
    for _ in 0..12 {
        let attempt = tokio::time::timeout(Duration::from_secs(20), listener.accept());
        drop(attempt.await.expect("it has not given up").unwrap());
    }
    assert!(!connecting.is_finished(), "it has given up");

    let mongod = mongod.to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&mongod).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let connected = tokio::time::timeout(Duration::from_secs(20), connecting).await;
    connected.expect("it is back").unwrap().unwrap();
}

/// Its replicas may be running: to them a listing is one ticket, and a place that is sold is free.
#[tokio::test]
async fn a_database_of_the_first_version_stops_the_start() {
    let infra = Infra::start().await;
    let settings = Settings::parse_from(infra.args("orders")).state;
    let orders = infra.database("orders").await.collection::<Document>("orders");
    let name = IndexOptions::builder().name("one_live_order_per_ticket".to_owned()).build();
    let index = IndexModel::builder().keys(doc! { "ticketId": 1 }).options(name).build();
    orders.create_index(index).await.unwrap();
    let refused = App::connect(&settings, infra.clock.clone()).await;
    let refused = refused.err().expect("it doesn't start").to_string();
    assert!(refused.contains("Upgrading to listings of many"), "{refused}");
    orders.drop_index("one_live_order_per_ticket").await.unwrap();
    App::connect(&settings, infra.clock.clone()).await.unwrap();
}
