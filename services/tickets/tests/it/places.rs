//! Listings of many places: what tickets shows of their reservations, and how they can be changed.

use std::time::Duration;

use bson::{Document, doc};
use common::events::{OrderCreated, TicketDeleted, TicketReserved, TicketUpdated};
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Method, TestUser};
use tickets::domain::Reservation;

use crate::world::{TestOrder, World, path, text};

/// An order of these places, by a new buyer.
fn order(world: &World, ticket: &Value, places: impl IntoIterator<Item = u16>) -> TestOrder {
    world.order(&world.user(), ticket).at(places)
}

async fn put(world: &World, seller: &TestUser, ticket: &Value, body: Value) -> testkit::Response {
    world.client_as(seller).put(&path(ticket), body).await
}

#[tokio::test]
async fn a_listing_of_many_shows_how_many_are_available_reserved_and_sold() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.listing_of(&seller, 10).await;
    assert_eq!((&ticket["quantity"], &ticket["available"]), (&json!(10), &json!(10)));
    let (first, second) = (order(&world, &ticket, [1, 2, 3]), order(&world, &ticket, [7]));
    world.deliver(&first.created(1)).await;
    world.deliver(&second.created(1)).await;
    world.shows(&ticket, [6, 4, 0]).await;
    world.deliver(&first.completed(2)).await;
    let shown = world.shows(&ticket, [6, 1, 3]).await;
    assert_eq!((&shown["status"], shown.get("orderId")), (&json!("available"), None));
    world.deliver(&first.withdrawn(3)).await;
    world.shows(&ticket, [6, 1, 0]).await;
    world.deliver(&second.cancelled(2)).await;
    world.shows(&ticket, [7, 0, 0]).await;
}

#[tokio::test]
async fn a_listing_without_a_free_place_is_reserved_until_the_first_of_them_ends() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.listing_of(&seller, 2).await;
    let until = world.clock().now() + Duration::from_secs(900);
    world.deliver(&order(&world, &ticket, [1]).created(1)).await;
    world.clock().advance(Duration::from_secs(60));
    let second = order(&world, &ticket, [2]);
    world.deliver(&second.created(1)).await;
    let shown = world.shows(&ticket, [0, 2, 0]).await;
    assert_eq!((&shown["status"], &shown["reservedUntil"]), (&json!("reserved"), &json!(until)));
    let listed = async || {
        let page = world.service.client().get("/api/tickets").await.expect(200);
        page["tickets"].as_array().unwrap().clone()
    };
    assert_eq!(listed().await.len(), 1);

    // By the clock, although no event has ended the reservation.
    world.clock().advance(Duration::from_millis(839_999));
    assert_eq!(world.get(&seller, &ticket).await.expect(200)["available"], 0);
    world.clock().advance(Duration::from_millis(1));
    let shown = world.get(&seller, &ticket).await.expect(200);
    assert_eq!((&shown["available"], &shown["reserved"]), (&json!(1), &json!(1)));
    assert_eq!(listed().await[0]["available"], 1);
    let seen = world.service.client().header("if-none-match", &format!("\"{}\"", shown["version"]));
    assert_eq!(seen.get(&path(&ticket)).await.status, 200, "it has changed without a new version");
    world.clock().advance(Duration::from_secs(60));
    assert_eq!(world.get(&seller, &ticket).await.expect(200)["available"], 2);

    let [one, two] = [[1], [2]].map(|places| order(&world, &ticket, places));
    for order in [one.completed(2), two.completed(2)] {
        world.deliver(&order).await;
    }
    world.deliver(&second.cancelled(2)).await;
    let sold = world.shows(&ticket, [0, 0, 2]).await;
    assert_eq!(sold["status"], "sold");
    assert!(listed().await.is_empty());
}

#[tokio::test]
async fn each_reservation_is_published_once_and_summaries_in_new_versions() {
    let world = World::start().await;
    let ticket = world.listing_of(&world.user(), 100).await;
    let orders: Vec<_> = (1..=40).map(|place| order(&world, &ticket, [place])).collect();
    let bus = world.infra.bus();
    // Concurrently, each of them twice.
    let created: Vec<_> = orders.iter().map(|order| OrderCreated(order.created(1))).collect();
    join_all(created.iter().chain(&created).map(|event| bus.publish_again(event))).await;
    bus.settled("tickets").await;
    let shown = world.shows(&ticket, [60, 40, 0]).await;
    testkit::eventually("all reservations to be published", || async {
        (bus.published::<TicketReserved>().await.len() >= 40).then_some(())
    })
    .await;
    let mut reserved: Vec<_> =
        bus.published::<TicketReserved>().await.iter().map(|event| event.0.order_id).collect();
    reserved.sort_unstable();
    let mut expected: Vec<_> = created.iter().map(|event| event.0.id).collect();
    expected.sort_unstable();
    assert_eq!(reserved, expected);
    let newest = shown["version"].as_i64().unwrap();
    bus.wait_for::<TicketUpdated>(|event| event.0.version == newest).await;
    let updates = bus.published::<TicketUpdated>().await.len();
    assert!(updates < 20, "{updates} events for 80: summaries are coalesced");
}

/// A process died after it had written a reservation, and before it marked the listing.
#[tokio::test]
async fn a_reservation_that_was_not_marked_is_summarised_when_its_event_is_redelivered() {
    let world = World::start().await;
    let ticket = world.listing_of(&world.user(), 10).await;
    let created = order(&world, &ticket, [4]).created(1);
    let database = world.infra.database("tickets").await;
    let mut document = store::mongo::document(&Reservation::of(&created)).unwrap();
    document.extend(doc! { "outbox": [], "outboxPending": false });
    database.collection::<Document>("reservations").insert_one(document).await.unwrap();
    world.shows(&ticket, [10, 0, 0]).await;
    world.deliver(&created).await;
    world.shows(&ticket, [9, 1, 0]).await;
}

/// A process died after it had marked the listing, and before it summarised it.
#[tokio::test]
async fn a_listing_that_was_left_dirty_is_summarised_by_another_process() {
    let world = World::start().await;
    let ticket = world.listing_of(&world.user(), 10).await;
    world.deliver(&order(&world, &ticket, [4]).created(1)).await;
    world.shows(&ticket, [9, 1, 0]).await;
    let database = world.infra.database("tickets").await;
    let reservations = database.collection::<Document>("reservations");
    reservations.update_many(doc! {}, doc! { "$set": { "places": [4, 5] } }).await.unwrap();
    let tickets = database.collection::<Document>("tickets");
    let mark = doc! { "$inc": { "changes": 1_i64 }, "$set": { "dirty": true } };
    tickets.update_many(doc! {}, mark).await.unwrap();
    world.shows(&ticket, [8, 2, 0]).await;
}

#[tokio::test]
async fn buyers_can_rely_on_the_details_of_what_they_have_reserved() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.listing_of(&seller, 10).await;
    let retitled = json!({ "title": "Hawkwind", "price": "20.50", "quantity": 10 });
    put(&world, &seller, &ticket, retitled.clone()).await.expect(200);
    world.deliver(&order(&world, &ticket, [4]).created(1)).await;
    world.shows(&ticket, [9, 1, 0]).await;

    let moved = json!({ "title": "Motörhead", "price": "20.50", "venue": "Elsewhere" });
    let refused = put(&world, &seller, &ticket, moved).await;
    assert_eq!(refused.problem(409, "details-fixed")["fields"], json!(["title", "venue"]));
    let fewer = json!({ "title": "Hawkwind", "price": "20.50", "quantity": 9 });
    assert_eq!(put(&world, &seller, &ticket, fewer).await.invalid_fields(), ["quantity"]);
    let more = json!({
        "title": "Hawkwind", "price": "25", "quantity": 12, "maxPerOrder": 4, "description": "New",
    });
    let edited = put(&world, &seller, &ticket, more).await.expect(200);
    assert_eq!((&edited["price"], &edited["available"]), (&json!("25.00"), &json!(11)));
    assert_eq!(edited["maxPerOrder"], 4);
    let client = world.client_as(&seller);
    client.delete(&path(&ticket)).await.problem(409, "ticket-reserved");
}

#[tokio::test]
async fn a_listing_can_be_closed_and_reopened() {
    let world = World::start().await;
    let seller = world.user();
    for quantity in [1, 10] {
        let ticket = world.listing_of(&seller, quantity).await;
        let mut body = json!({ "title": "Motörhead", "price": "20.50", "closed": true });
        let closed = put(&world, &seller, &ticket, body.clone()).await.expect(200);
        assert_eq!((&closed["status"], &closed["quantity"]), (&json!("closed"), &json!(quantity)));
        let listed = async || {
            let page = world.service.client().get("/api/tickets").await.expect(200);
            page["tickets"].as_array().unwrap().len()
        };
        assert_eq!(listed().await, 0);
        let mine = world.client_as(&seller).get("/api/tickets?mine=true&limit=1").await;
        assert_eq!(mine.expect(200)["tickets"][0]["id"], ticket["id"]);
        let id = text(&ticket["id"]).to_owned();
        let bus = world.infra.bus();
        let event = bus.wait_for::<TicketUpdated>(|event| event.0.id.to_string() == id).await;
        assert!(event.0.listing.closed);

        body["closed"] = Value::Null;
        let still = put(&world, &seller, &ticket, body.clone()).await.expect(200);
        assert_eq!(still["status"], "closed", "what is omitted stays");
        body["closed"] = json!(false);
        let reopened = put(&world, &seller, &ticket, body).await.expect(200);
        assert_eq!(reopened["status"], "available");
        assert_eq!(listed().await, 1);
        world.client_as(&seller).delete(&path(&ticket)).await.expect(204);
    }
}

/// The summary of a listing of many may be computed later; whether it can be deleted is decided on all reservations.
#[tokio::test]
async fn a_reservation_that_is_not_summarised_yet_prevents_the_deletion() {
    let world = World::start().await;
    let seller = world.user();
    let client = world.client_as(&seller);
    let bus = world.infra.bus();
    for _ in 0..10 {
        let ticket = world.listing_of(&seller, 100).await;
        // The first is summarised at once, the second with the next pass.
        for place in [1, 2] {
            let reserved = order(&world, &ticket, [place]);
            bus.publish_again(&OrderCreated(reserved.created(1))).await;
            bus.settled("tickets").await;
            client.delete(&path(&ticket)).await.problem(409, "ticket-reserved");
        }
        let ticket = world.listing_of(&seller, 100).await;
        let reserved = OrderCreated(order(&world, &ticket, [1]).created(1));
        let path = path(&ticket);
        let (deleted, ()) = tokio::join!(client.delete(&path), bus.publish_again(&reserved));
        bus.settled("tickets").await;
        match deleted.status.as_u16() {
            // The deletion was first: it is published again, which ends the order.
            204 => {
                bus.wait_for::<TicketDeleted>(|event| event.0.id == reserved.0.ticket.id).await;
            }
            409 => drop(world.shows(&ticket, [99, 1, 0]).await),
            _ => panic!("{deleted:?}"),
        }
    }
}

/// A popular listing is sold all the time, which must not keep its seller from editing it.
#[tokio::test]
async fn sales_are_no_conflict_with_an_edit_and_another_edit_is() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.listing_of(&seller, 10).await;
    let client = world.client_as(&seller);
    let put_if = async |seen: &str, price: &str| {
        let request = client.request(Method::PUT, &path(&ticket)).header("if-match", seen);
        request.json(json!({ "title": "Motörhead", "price": price })).send().await
    };
    for place in [1, 2] {
        world.deliver(&order(&world, &ticket, [place]).created(1)).await;
        world.shows(&ticket, [10 - place, place, 0]).await;
    }
    let edited = put_if("\"1\"", "21").await.expect(200);
    put_if("\"1\"", "22").await.problem(412, "precondition-failed");
    world.deliver(&order(&world, &ticket, [3]).created(1)).await;
    world.shows(&ticket, [7, 3, 0]).await;
    put_if(&format!("\"{}\"", edited["version"]), "23").await.expect(200);
}

#[tokio::test]
async fn a_sale_that_was_refunded_without_relisting_is_closed() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&world.user(), &ticket);
    world.deliver(&order.completed(2)).await;
    world.deliver(&order.withdrawn(3)).await;
    let shown = world.get(&seller, &ticket).await.expect(200);
    assert_eq!((&shown["status"], &shown["available"]), (&json!("closed"), &json!(0)));
    assert_eq!(shown.get("orderId"), None);
    // Late events don't put it on sale.
    world.deliver(&order.created(1)).await;
    world.deliver(&order.cancelled(2)).await;
    assert_eq!(world.get(&seller, &ticket).await.expect(200)["status"], "closed");
    let more = json!({ "title": "Motörhead", "price": "20.50", "quantity": 2 });
    let relisted = put(&world, &seller, &ticket, more).await.expect(200);
    assert_eq!((&relisted["status"], &relisted["available"]), (&json!("available"), &json!(1)));
}
