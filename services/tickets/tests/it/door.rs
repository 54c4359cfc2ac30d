//! Codes, and the door that they open once.

use std::time::Duration;

use bson::{Document, doc};
use common::ids::UserId;
use futures::future::join_all;
use serde_json::{Value, json};
use service::Microservice as _;
use testkit::{Client, Response, TestService, TestUser};
use tickets::app::Tickets;
use tickets::domain::{CheckIn, Reservation};
use tickets::promises::PROMISES;

use crate::world::{TestOrder, World, path, settings, text};

/// A listing that is checked in at its seller's own door, and a sold order of two of its places.
struct Event {
    world: World,
    seller: TestUser,
    buyer: TestUser,
    ticket: Value,
    order: TestOrder,
}

impl Event {
    async fn start() -> Event {
        let world = World::start().await;
        let (seller, buyer) = (world.user(), world.user());
        let ticket = list(&world, &seller).await;
        let order = world.order(&buyer, &ticket).at([2, 5]);
        world.deliver(&order.completed(2)).await;
        Event { world, seller, buyer, ticket, order }
    }

    async fn codes(&self) -> Vec<String> {
        codes(&self.world, &self.buyer, &self.order).await
    }

    async fn scan(&self, user: &TestUser, code: &str, gate: &str) -> Response {
        scan(&self.world.client_as(user), &self.ticket, code, gate).await
    }

    async fn counts(&self) -> (Value, Value) {
        let door = self.world.client_as(&self.seller).get(&door(&self.ticket)).await.expect(200);
        (door["in"].clone(), door["left"].clone())
    }
}

async fn list(world: &World, seller: &TestUser) -> Value {
    let body = json!({
        "title": "Motörhead", "price": "20.50", "quantity": 6, "delivery": "checked_in_here",
    });
    world.list_ticket(seller, body).await
}

async fn codes(world: &World, buyer: &TestUser, order: &TestOrder) -> Vec<String> {
    let path = format!("/api/orders/{}/admissions", order.id());
    let shown = world.client_as(buyer).get(&path).await.expect(200);
    let admissions = shown["admissions"].as_array().unwrap().iter();
    admissions.map(|one| text(&one["code"]).to_owned()).collect()
}

fn door(ticket: &Value) -> String {
    format!("{}/door", path(ticket))
}

async fn scan(client: &Client, ticket: &Value, code: &str, gate: &str) -> Response {
    let body = json!({ "code": code, "gate": gate });
    client.post(&format!("{}/checkin", path(ticket)), body).await
}

#[tokio::test]
async fn the_parties_see_who_has_come_in_and_nobody_sees_a_code_there() {
    let event = Event::start().await;
    let checkins = format!("/api/orders/{}/checkins", event.order.id());
    let shown = async |user: &TestUser| event.world.client_as(user).get(&checkins).await;
    assert_eq!(shown(&event.buyer).await.expect(200), json!({ "checkins": [] }));
    let codes = event.codes().await;
    let at = event.world.clock().now();
    event.scan(&event.seller, &codes[1], "Gate 2").await.expect(200);
    let expected = json!({ "checkins": [{ "place": 5, "at": at, "gate": "Gate 2" }] });
    for user in [&event.buyer, &event.seller, &event.world.infra.admin()] {
        assert_eq!(shown(user).await.expect(200), expected);
    }
    shown(&event.world.user()).await.problem(403, "not-allowed");
    event.world.service.client().get(&checkins).await.problem(401, "not-signed-in");
    let nowhere = "/api/orders/0190a0a0-0000-7000-8000-000000000000/checkins";
    event.world.client_as(&event.buyer).get(nowhere).await.problem(404, "not-found");
}

#[tokio::test]
async fn who_comes_in_unpaid_breaks_a_promise() {
    let event = Event::start().await;
    let database = event.world.infra.database("tickets").await;
    let promise = PROMISES.iter().find(|it| it.name == "only_paid_places_come_in").unwrap();
    let now = event.world.clock().now();
    let broken = async || store::promises::count(&database, promise, now).await.unwrap();
    event.scan(&event.seller, &event.codes().await[0], "Gate 2").await.expect(200);
    assert_eq!(broken().await, 0);
    let reservations = database.collection::<Document>("reservations");
    let unpaid = doc! { "$set": { "status": "reserved" } };
    reservations.update_one(doc! { "_id": event.order.id() }, unpaid).await.unwrap();
    assert_eq!(broken().await, 1);
}

#[tokio::test]
async fn a_code_is_admitted_once_and_a_second_scan_says_when_and_where() {
    let event = Event::start().await;
    assert_eq!(event.counts().await, (json!(0), json!(2)));
    let codes = event.codes().await;
    let at = event.world.clock().now();
    let admitted = event.scan(&event.seller, &codes[0], " Gate 2 ").await.expect(200);
    let expected = json!({
        "orderId": event.order.id(), "place": 2, "at": at, "gate": "Gate 2", "in": 1, "left": 1,
    });
    assert_eq!(admitted, expected);

    event.world.clock().advance(Duration::from_secs(60));
    let again = event.scan(&event.seller, &codes[0], "Gate 1").await;
    let again = again.problem(409, "already-checked-in");
    assert_eq!(
        (&again["at"], &again["gate"], &again["place"]),
        (&json!(at), &json!("Gate 2"), &json!(2))
    );
    assert!(!again.to_string().contains(&codes[0]));
    event.scan(&event.seller, &codes[1], "").await.expect(200);
    assert_eq!(event.counts().await, (json!(2), json!(0)));
    let path = format!("/api/orders/{}/admissions", event.order.id());
    let shown = event.world.client_as(&event.buyer).get(&path).await;
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let shown = shown.expect(200);
    assert_eq!(shown["admissions"][0]["checkedIn"], json!({ "at": at, "gate": "Gate 2" }));

    // What an event that is delivered again, or in a newer version, says of the order changes nothing.
    event.world.deliver(&event.order.completed(1_000_002)).await;
    event.scan(&event.seller, &codes[0], "").await.problem(409, "already-checked-in");
    // Refunded after they came in: the next person with it is refused for that.
    event.world.deliver(&event.order.withdrawn(1_000_003)).await;
    let refused = event.scan(&event.seller, &codes[0], "").await;
    assert_eq!(refused.problem(409, "not-admitted")["reason"], "not_sold");
}

#[tokio::test]
async fn a_scan_that_is_sent_again_under_its_key_is_one_scan() {
    let event = Event::start().await;
    let code = event.codes().await.remove(0);
    let client = event.world.client_as(&event.seller).header("idempotency-key", "scan-1");
    let first = scan(&client, &event.ticket, &code, "A").await.expect(200);
    event.world.clock().advance(Duration::from_secs(5));
    assert_eq!(scan(&client, &event.ticket, &code, "A").await.expect(200), first);
    event.scan(&event.seller, &code, "A").await.problem(409, "already-checked-in");
}

/// So many scans of one code at once, half of them at another replica. Returns how many were admitted.
async fn race(event: &Event) -> usize {
    let settings = settings(&event.world.infra);
    let second = Tickets::build(settings, event.world.clock().clone()).await.unwrap();
    let second = TestService::serve(second).await;
    let code = event.codes().await.remove(0);
    let clients = [event.world.client_as(&event.seller), second.client_as(&event.seller)];
    let scans = (0..50).map(|number| scan(&clients[number % 2], &event.ticket, &code, "A"));
    let answers = join_all(scans).await;
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.problem(409, "already-checked-in");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test]
async fn of_fifty_concurrent_scans_on_two_replicas_one_is_admitted() {
    let event = Event::start().await;
    assert_eq!(race(&event).await, 1);
    assert_eq!(event.counts().await, (json!(1), json!(1)));
}

/// The control run: the same decisions, written without the guard.
#[tokio::test]
async fn without_the_guard_of_the_write_the_same_scans_admit_more_than_one() {
    let event = Event::start().await;
    let database = event.world.infra.database("tickets").await;
    let stored = database.collection::<Document>("reservations");
    let id = doc! { "_id": event.order.id() };
    let decide = async |number: usize| {
        let found = stored.find_one(id.clone()).await.unwrap().unwrap();
        let known: Reservation = bson::deserialize_from_document(found).unwrap();
        let now = event.world.clock().now();
        let scan = CheckIn {
            place: known.places[0],
            at: now,
            gate: Some(number.to_string()),
            by: UserId::new(now),
            request: None,
        };
        known.check_in(&scan).ok().flatten().map(|change| change.thing)
    };
    let decided: Vec<_> = join_all((0..50).map(decide)).await.into_iter().flatten().collect();
    let writes = decided.iter().map(|next| {
        let check_ins = bson::serialize_to_bson(&next.check_ins).unwrap();
        stored.update_one(id.clone(), doc! { "$set": { "checkIns": check_ins } })
    });
    let written = join_all(writes.map(std::future::IntoFuture::into_future)).await;
    assert!(written.iter().filter(|one| one.as_ref().unwrap().matched_count == 1).count() > 1);
}

#[tokio::test]
async fn what_is_changed_of_another_listing_unpaid_or_refunded_is_refused() {
    let event = Event::start().await;
    let code = event.codes().await.remove(0);
    let reason = async |answer: Response| answer.problem(409, "not-admitted")["reason"].clone();
    let changed = if code.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{changed}", &code[..code.len() - 1]);
    for text in [changed.as_str(), "", "TOSCA", "é"] {
        assert_eq!(
            reason(event.scan(&event.seller, text, "").await).await,
            "unknown_code",
            "{text}"
        );
    }
    let other = list(&event.world, &event.seller).await;
    let elsewhere = scan(&event.world.client_as(&event.seller), &other, &code, "").await;
    assert_eq!(reason(elsewhere).await, "other_listing");

    let unpaid = event.world.order(&event.buyer, &event.ticket).at([1]);
    event.world.deliver(&unpaid.created(1)).await;
    let path = format!("/api/orders/{}/admissions", unpaid.id());
    let client = event.world.client_as(&event.buyer);
    client.get(&path).await.problem(409, "order-not-complete");

    // Refunded: with and without putting the places back on sale.
    event.world.deliver(&event.order.withdrawn(3)).await;
    assert_eq!(reason(event.scan(&event.seller, &code, "").await).await, "not_sold");
    event.world.deliver(&event.order.cancelled(4)).await;
    assert_eq!(reason(event.scan(&event.seller, &code, "").await).await, "not_sold");
    assert_eq!(event.counts().await, (json!(0), json!(0)));
    // Late news of the sale changes nothing.
    event.world.deliver(&event.order.completed(2)).await;
    assert_eq!(reason(event.scan(&event.seller, &code, "").await).await, "not_sold");
    // The next buyer of the place has another code.
    let next = event.world.order(&event.buyer, &event.ticket).at([2]);
    event.world.deliver(&next.completed(2)).await;
    let codes = codes(&event.world, &event.buyer, &next).await;
    assert_ne!(codes[0], code);
    event.scan(&event.seller, &codes[0], "").await.expect(200);
}

#[tokio::test]
async fn only_the_buyer_sees_the_codes() {
    let event = Event::start().await;
    let path = format!("/api/orders/{}/admissions", event.order.id());
    for user in [&event.seller, &event.world.user()] {
        event.world.client_as(user).get(&path).await.problem(403, "not-allowed");
    }
    event.world.service.client().get(&path).await.problem(401, "not-signed-in");
    assert_eq!(event.codes().await, event.codes().await, "they have no state");
    let unknown =
        format!("/api/orders/{}/admissions", common::ids::OrderId::new(event.world.clock().now()));
    event.world.client_as(&event.buyer).get(&unknown).await.problem(404, "not-found");

    // Where the seller delivers, there are none.
    let delivered = event.world.listing_of(&event.seller, 2).await;
    let order = event.world.order(&event.buyer, &delivered).at([1]);
    event.world.deliver(&order.completed(2)).await;
    let path = format!("/api/orders/{}/admissions", order.id());
    let client = event.world.client_as(&event.buyer);
    client.get(&path).await.problem(409, "not-checked-in-here");
    let seller = event.world.client_as(&event.seller);
    seller.get(&door(&delivered)).await.problem(409, "not-checked-in-here");
}

#[tokio::test]
async fn door_staff_joins_by_the_sellers_link_until_they_are_dismissed() {
    let event = Event::start().await;
    let (staff, other) = (event.world.user(), event.world.user());
    let door = door(&event.ticket);
    let invite = async || {
        let seller = event.world.client_as(&event.seller);
        let made = seller.post(&format!("{door}/invitation"), json!({})).await.expect(201);
        text(&made["invitation"]).to_owned()
    };
    let join = async |user: &TestUser, invitation: &str| {
        let body = json!({ "invitation": invitation, "name": "Kim" });
        event.world.client_as(user).post(&format!("{door}/staff"), body).await
    };
    let code = event.codes().await.remove(0);
    for user in [&staff, &event.buyer] {
        event.scan(user, &code, "").await.problem(403, "not-allowed");
        event.world.client_as(user).get(&door).await.problem(403, "not-allowed");
        let invitation = format!("{door}/invitation");
        event.world.client_as(user).post(&invitation, json!({})).await.problem(403, "not-allowed");
    }
    join(&staff, "").await.problem(403, "not-allowed");
    let old = invite().await;
    let new = invite().await;
    join(&staff, &old).await.problem(403, "not-allowed");
    join(&staff, &new).await.expect(204);
    join(&staff, &new).await.expect(204);
    event.scan(&staff, &code, "Gate 1").await.expect(200);
    let shown = event.world.client_as(&staff).get(&door).await.expect(200);
    assert_eq!(shown, json!({ "in": 1, "left": 1 }), "the link is the seller's");
    let shown = event.world.client_as(&event.seller).get(&door).await.expect(200);
    assert_eq!(shown["staff"].as_array().unwrap().len(), 1);
    assert_eq!(shown["staff"][0]["userId"], json!(staff.id));

    let dismissed = format!("{door}/staff/{}", staff.id);
    event.world.client_as(&other).delete(&dismissed).await.problem(403, "not-allowed");
    event.world.client_as(&event.seller).delete(&dismissed).await.expect(204);
    event.world.client_as(&event.seller).delete(&dismissed).await.expect(204);
    event.scan(&staff, &code, "").await.problem(403, "not-allowed");
    join(&staff, &new).await.problem(403, "not-allowed");
    join(&other, &new).await.problem(403, "not-allowed");
}
