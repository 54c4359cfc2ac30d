//! Requests and background tasks have connections of their own, and their queries a time limit.

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use store::{Documents, TimedCollection, mongo};
use testkit::Infra;

use crate::outbox::relayed;
use crate::thing::{Thing, bus, relay_by};

/// Takes as long as MongoDB allows.
fn slow() -> Document {
    doc! { "$where": "sleep(60000) || true" }
}

#[tokio::test]
async fn a_rush_of_requests_does_not_delay_the_relay() {
    let infra = Infra::start().await;
    let uri = infra.mongo_uri("expiration");
    let database = mongo::connect(&uri, "expiration").await.unwrap();
    let background = mongo::connect_in_background(&uri, "expiration").await.unwrap();
    let things: Documents<Thing> =
        Documents::open(&database, infra.clock.clone(), []).await.unwrap();
    let change = Thing::new(infra.clock.now());
    things.insert(&change.thing, &change.events).await.unwrap();

    // More than the pool has connections: half of them wait for one.
    let requests: Vec<_> = (0..40)
        .map(|_| {
            let things = things.collection();
            tokio::spawn(async move { things.find_one(slow()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    relay_by(bus(&infra, "expiration").await, &things.in_background(&background));
    relayed(&infra).await;
    assert!(requests.iter().all(|request| !request.is_finished()), "the requests still run");
    for request in requests {
        let stopped = request.await.unwrap();
        assert!(stopped.is_err(), "MongoDB ends it: {stopped:?}");
    }
}

#[tokio::test]
async fn a_query_ends_before_the_request_does() {
    let infra = Infra::start().await;
    let database = infra.database("expiration").await;
    let things = TimedCollection::<Document>::new(&database, "things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let begun = std::time::Instant::now();
    let (one, many) = tokio::join!(things.find_one(slow()), async {
        things.find(slow()).await?.try_collect::<Vec<_>>().await
    });
    // Of a consumer and of a request, an operation that MongoDB has ended is one of a dependency that is too slow.
    let one: httpkit::Error = store::Error::from(one.unwrap_err()).into();
    assert!(matches!(one, httpkit::Error::Unavailable(_)), "{one:?}");
    let many: bus::Failure = store::Error::from(many.unwrap_err()).into();
    assert!(matches!(many, bus::Failure::DependencyDown(_)), "{many:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
