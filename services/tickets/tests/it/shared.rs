//! Reads that requests share: who gets which, and when.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use futures::future::join_all;
use mongodb::Database;
use serde_json::{Value, json};
use service::HttpState;
use testkit::{Client, Infra, TestService};
use tickets::app;
use tickets::state::App;

use crate::list::{list, titles};
use crate::world::{World, path, settings, text};

/// As old as a result may be.
const MAX_AGE: Duration = httpkit::shared_reads::MAX_AGE;
const REQUESTS: usize = 200;

/// How many queries of lists and of tickets by their ids are sent meanwhile.
async fn queries(database: &Database, meanwhile: impl Future<Output = ()>) -> u64 {
    let profile = database.collection::<Document>("system.profile");
    let count = async || {
        let list = doc! { "command.filter.$and": { "$exists": true } };
        let ticket = doc! { "command.filter._id": { "$type": "string" } };
        let reads = doc! { "command.find": "tickets", "$or": [list, ticket] };
        profile.count_documents(reads).await.unwrap()
    };
    let before = count().await;
    meanwhile.await;
    count().await - before
}

async fn all_at_once(client: &Client, address: &str) {
    let requests = (0..REQUESTS).map(async |_| {
        client.get(address).await.expect(200);
    });
    join_all(requests).await;
}

async fn price(client: &Client, ticket: &Value) -> Value {
    client.get(&path(ticket)).await.expect(200)["price"].clone()
}

#[tokio::test]
async fn many_concurrent_requests_cost_as_much_as_one() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let database = world.infra.database("tickets").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let anyone = world.service.client();
    for address in ["/api/tickets?q=mot", &path(&ticket)] {
        let fresh = anyone.header("cache-control", "no-cache");
        let one = queries(&database, async {
            fresh.get(address).await.expect(200);
        });
        let one = one.await;
        let many = queries(&database, all_at_once(&anyone, address)).await;
        // On a slow machine a second may pass meanwhile.
        assert!(one > 0 && many <= 4 * one, "{address}: {one}, and {many} for {REQUESTS}");
        // Those that want what is there now wait for the same read, too: for one that begins after they have come.
        let current = queries(&database, all_at_once(&fresh, address)).await;
        assert!(current <= one * REQUESTS as u64 / 4, "{address}: {current}");
        println!("{address}: {one} for one request, {many} and {current} for {REQUESTS}");
    }
}

#[tokio::test]
async fn what_a_seller_has_done_is_seen_at_once() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let (own, anyone) = (world.client_as(&seller), world.service.client());
    let is_listed = async || !list(&anyone, "q=motor").await.is_empty();
    for cents in 10..40 {
        let body = json!({ "title": "Motörhead", "price": format!("20.{cents}") });
        own.put(&path(&ticket), body).await.expect(200);
        assert_eq!(price(&anyone, &ticket).await, format!("20.{cents}"));
        assert_eq!(list(&anyone, "q=motor").await[0]["price"], format!("20.{cents}"));
    }
    world.list_ticket(&seller, json!({ "title": "Motörhead II", "price": 1 })).await;
    assert_eq!(list(&anyone, "q=motor").await.len(), 2);
    own.delete(&path(&ticket)).await.expect(204);
    assert_eq!(titles(&anyone, "q=motor").await, ["Motörhead II"]);
    anyone.get(&path(&ticket)).await.problem(404, "not-found");
    assert!(is_listed().await);
}

/// Edits a ticket again and again while others read it all the time: whether anyone is shown an older price after a seller has
/// got the response to an edit.
async fn is_outdated(service: &TestService, infra: &Infra) -> bool {
    let seller = infra.user();
    let (own, anyone) = (service.client_as(&seller), service.client());
    let new = json!({ "title": "Motörhead", "price": "20.50" });
    let ticket = own.post("/api/tickets", new).await.expect(201);
    let readers = (0..4).map(|_| {
        let (anyone, address) = (anyone.clone(), path(&ticket));
        tokio::spawn(async move {
            loop {
                anyone.get(&address).await.expect(200);
                anyone.get("/api/tickets").await.expect(200);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut outdated = false;
    for cents in 10..60 {
        let expected = format!("30.{cents}");
        let body = json!({ "title": "Motörhead", "price": expected });
        own.put(&path(&ticket), body).await.expect(200);
        let (shown, listed) = (price(&anyone, &ticket).await, list(&anyone, "").await);
        outdated |= shown != expected || listed[0]["price"] != expected;
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    outdated
}

#[tokio::test]
async fn a_read_that_was_begun_before_an_edit_doesnt_answer_who_comes_after_it() {
    let world = World::start().await;
    assert!(!is_outdated(&world.service, &world.infra).await);
}

#[tokio::test]
async fn without_forgetting_it_does() {
    let infra = Infra::start().await;
    let app = App::connect(&settings(&infra).state, infra.clock.clone()).await.unwrap();
    let state = HttpState { app: app.without_forgetting(), verifier: infra.verifier() };
    let keys = settings(&infra).admissions.read().unwrap();
    let service = httpkit::Service::new("tickets", app::routes(state, keys));
    assert!(is_outdated(&TestService::serve(service).await, &infra).await);
}

#[tokio::test]
async fn a_copy_of_a_list_is_sent_again_only_if_it_has_changed() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    for client in [world.service.client(), world.client_as(&world.user()), world.client_as(&seller)]
    {
        let first = client.get("/api/tickets").await;
        let tag = first.header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"'), "a strong one: {tag}");
        let again = client.header("if-none-match", &tag);
        let copy = again.get("/api/tickets").await;
        assert_eq!((copy.status.as_u16(), copy.text.as_str()), (304, ""));
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(copy.header(name), first.header(name));
        }
        let body = json!({ "title": format!("Not {tag}"), "price": 1 });
        world.client_as(&seller).put(&path(&ticket), body).await.expect(200);
        let changed = again.get("/api/tickets").await;
        assert_ne!(changed.expect(200), first.expect(200));
        assert_ne!(changed.header("etag"), Some(&*tag));
    }
}

#[tokio::test]
async fn nobody_is_shown_what_others_may_see() {
    let world = World::start().await;
    let (seller, buyer, other) = (world.user(), world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    let parties = [seller, buyer, world.infra.admin()].map(|user| world.client_as(&user));
    let others = [world.client_as(&other), world.service.client()];
    // In either order.
    for order_of_requests in [0, 1] {
        world.clock().advance(MAX_AGE);
        for turn in 0..4 {
            let (clients, expected) = if turn % 2 == order_of_requests {
                (&parties[..], json!(order.id()))
            } else {
                (&others[..], Value::Null)
            };
            for client in clients {
                let shown = client.get(&path(&ticket)).await;
                assert_eq!(shown.expect(200)["orderId"], expected);
                assert_eq!(list(client, "").await[0]["orderId"], expected);
            }
        }
    }
    for client in &parties[..] {
        let shown = client.get("/api/tickets").await;
        assert_eq!(shown.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_reservation_ends_and_an_event_begins_on_time() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let begins = world.clock().now() + Duration::from_secs(3600);
    let body = json!({ "title": "Aida", "price": 1, "date": begins });
    let ticket = world.list_ticket(&seller, body).await;
    world.deliver(&world.order(&buyer, &ticket).created(1)).await;
    let anyone = world.service.client();
    let shown = async || {
        let listed = list(&anyone, "").await.first().map(|ticket| ticket["status"].clone());
        (anyone.get(&path(&ticket)).await.expect(200)["status"].clone(), listed)
    };
    let (reserved, available) = (json!("reserved"), json!("available"));
    world.clock().advance(Duration::from_millis(899_999));
    assert_eq!(shown().await, (reserved.clone(), Some(reserved)));
    world.clock().advance(Duration::from_millis(1));
    assert_eq!(shown().await, (available.clone(), Some(available.clone())));
    world.clock().advance(Duration::from_secs(2700));
    assert_eq!(shown().await, (available.clone(), Some(available.clone())));
    world.clock().advance(Duration::from_millis(1));
    assert_eq!(shown().await, (available, None));
}

/// What is written elsewhere is seen a second later, or at once by who asks for it, and by the seller.
#[tokio::test]
async fn what_another_replica_has_changed_is_seen_a_second_later() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let anyone = world.service.client();
    let database = world.infra.database("tickets").await;
    let write = async |cents: i64| {
        let update = doc! { "$set": { "price": cents }, "$inc": { "version": 1_i64 } };
        let id = doc! { "_id": text(&ticket["id"]) };
        database.collection::<Document>("tickets").update_one(id, update).await.unwrap();
    };
    let prices = async |client: &Client| {
        (price(client, &ticket).await, list(client, "").await[0]["price"].clone())
    };
    let both = |price: &str| (json!(price), json!(price));
    // On a slow machine, more than a second may pass.
    let mut cents = 2000;
    loop {
        let begun = Instant::now();
        let before = prices(&anyone).await;
        cents += 1;
        write(cents).await;
        let after = prices(&anyone).await;
        if begun.elapsed() < MAX_AGE {
            assert_eq!(after, before);
            break;
        }
    }
    let expected = format!("20.{:02}", cents % 100);
    let own = price(&world.client_as(&seller), &ticket).await;
    assert_eq!(own, expected);
    for wanted in ["no-cache", "max-age=0"] {
        assert_eq!(prices(&anyone.header("cache-control", wanted)).await, both(&expected));
    }
    write(3000).await;
    testkit::eventually("the new price", || async {
        (prices(&anyone).await == both("30.00")).then_some(())
    })
    .await;
}
