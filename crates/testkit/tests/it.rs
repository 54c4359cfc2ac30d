//! Tests of the kit itself: a test that relies on it must be able to fail.

use std::time::Duration;

use bus::{ConsumerHealth, Failure, Listeners, NatsSettings, StreamSettings};
use common::clock::Clock;
use common::events::{ExpirationComplete, Stream, UserCreated};
use common::ids::OrderId;
use httpkit::auth::Verifier;
use testkit::{Forgery, Infra, PUBLIC_URL, eventually, fixtures};
use tokio_util::sync::CancellationToken;

fn a_user(clock: &Clock) -> UserCreated {
    UserCreated(fixtures::user(clock.now()))
}

/// A service's consumers, one of which fails permanently for expirations.
async fn listen(infra: &Infra) -> CancellationToken {
    let settings = NatsSettings {
        nats_url: infra.nats.url(),
        nats_monitor_url: None,
        streams: StreamSettings::default(),
    };
    let bus = bus::Bus::connect(&settings, "orders").await.expect("an address");
    let listeners = Listeners::new(()).on(|(), _: UserCreated| async { Ok(()) }).on(
        |(), event: ExpirationComplete| async move {
            Err(Failure::Permanent(std::io::Error::other(event.0.order_id.to_string()).into()))
        },
    );
    let stop = CancellationToken::new();
    tokio::spawn(listeners.run(ConsumerHealth::of(&bus), infra.clock.clone(), stop.clone()));
    stop
}

#[tokio::test]
async fn an_event_is_dropped_as_a_duplicate_unless_it_is_published_again() {
    let infra = Infra::start().await;
    let event = a_user(&infra.clock);
    infra.bus().publish(&event).await;
    infra.bus().publish(&event).await;
    assert_eq!(infra.bus().published::<UserCreated>().await, std::slice::from_ref(&event));
    infra.bus().publish_again(&event).await;
    assert_eq!(infra.bus().published::<UserCreated>().await.len(), 2);
    assert_eq!(infra.bus().headers::<UserCreated>().await[1]["ce-type"], "user.created");
}

#[tokio::test]
async fn a_message_that_can_not_be_handled_becomes_a_dead_letter() {
    let infra = Infra::start().await;
    let stop = listen(&infra).await;
    infra.bus().wait_for_consumers("orders", &[Stream::Users, Stream::Expiration]).await;

    infra.bus().publish(&a_user(&infra.clock)).await;
    infra.bus().publish_raw("user.created", "{").await;
    let order_id = OrderId::new(infra.clock.now());
    infra.bus().publish(&ExpirationComplete(fixtures::expiration(order_id))).await;
    infra.bus().settled("orders").await;

    let mut dead = infra.bus().dead_letters().await;
    dead.sort_by(|a, b| a.subject.cmp(&b.subject));
    let seen: Vec<_> = dead.iter().map(|one| (one.stream.as_str(), one.sequence)).collect();
    assert_eq!(seen, [("EXPIRATION", 1), ("USERS", 2)]);
    assert_eq!(dead[0].reason, order_id.to_string());
    assert_eq!((dead[1].service.as_str(), dead[1].body.as_str()), ("orders", "{"));
    stop.cancel();
}

#[tokio::test]
async fn a_killed_broker_keeps_its_streams_and_a_wiped_one_loses_them() {
    let infra = Infra::start().await;
    let event = a_user(&infra.clock);
    infra.bus().publish(&event).await;
    infra.nats.kill();
    infra.nats.restart().await;
    infra.bus().wait_for::<UserCreated>(|seen| *seen == event).await;

    infra.nats.wipe().await;
    infra.bus().create_streams().await;
    assert!(infra.bus().published::<UserCreated>().await.is_empty());
}

#[tokio::test]
async fn redis_keeps_its_data_when_killed_and_loses_it_when_flushed() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    let address = url.trim_start_matches("redis://").to_owned();
    let send = |command: &'static str| {
        let address = address.clone();
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            socket.write_all(command.as_bytes()).await.unwrap();
            let mut reply = [0; 64];
            let length = socket.read(&mut reply).await.unwrap();
            String::from_utf8_lossy(&reply[..length]).into_owned()
        }
    };
    assert_eq!(send("SET key value\r\n").await, "+OK\r\n");
    infra.redis().await.restart().await;
    assert_eq!(send("EXISTS key\r\n").await, ":1\r\n");
    infra.redis().await.flush().await;
    assert_eq!(send("EXISTS key\r\n").await, ":0\r\n");
}

#[tokio::test]
async fn every_forged_token_is_refused() {
    let infra = Infra::start().await;
    let url = PUBLIC_URL.parse().unwrap();
    let verifier =
        Verifier::from_file(&infra.public_key_file(), &url, infra.clock.clone()).unwrap();
    let user = infra.user();
    assert_eq!(verifier.verify(&user.token).unwrap().id, user.id);
    assert!(verifier.verify(&infra.admin().token).unwrap().is_admin());
    for forgery in Forgery::ALL {
        let forged = infra.forged(&user, forgery);
        assert_eq!(verifier.verify(&forged.token), None, "{forgery:?}");
    }
    infra.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    assert_eq!(verifier.verify(&user.token), None);
}

#[tokio::test]
async fn a_database_is_empty_at_first_and_dropped_after_the_test() {
    let infra = Infra::start().await;
    let database = infra.database("orders").await;
    let name = database.name().to_owned();
    let documents = database.collection::<Document>("documents");
    documents.insert_one(Document { n: 1 }).await.unwrap();
    assert_eq!(infra.mongo_uri("orders"), infra.mongo_uri("orders"));
    drop(infra);
    eventually("the database to be dropped", || async {
        let names = database.client().list_database_names().await.unwrap();
        (!names.contains(&name)).then_some(())
    })
    .await;
}

#[derive(serde::Serialize)]
struct Document {
    n: i32,
}
