//! MongoDB may be away when a service starts.

use std::net::TcpListener;
use std::time::Duration;

use clap::Parser;
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
