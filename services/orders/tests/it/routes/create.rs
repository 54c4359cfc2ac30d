//! `POST /api/orders`.

use std::time::Duration;
use testkit::fixtures::TicketChanges as _;

use common::events::{OrderCreated, OrderStatus, TicketCreated, TicketUpdated};
use common::ids::TicketId;
use common::{Money, Place};
use serde_json::{Value, json};
use testkit::{Method, Request, eventually};

use crate::world::{RESERVATION, World};

#[tokio::test]
async fn an_available_ticket_is_reserved_for_15_minutes() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let response = world.try_to_order(&world.buyer, ticket.id).await;
    let order = response.expect(201);
    let now = world.infra.clock.now();
    assert_eq!(
        order,
        json!({
            "id": order["id"],
            "userId": world.buyer.id,
            "status": "created",
            "expiresAt": now + RESERVATION,
            "quantity": 1,
            "places": [1],
            "total": "20.50",
            "ticket": {
                "id": ticket.id, "title": "Aida", "price": "20.50", "currency": "usd",
                "timeZone": "Europe/Berlin", "venue": "Arena", "delivery": "seller_delivers",
            },
            "version": 1,
            "createdAt": now,
        })
    );
    let location = format!("/api/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(response.header("location"), Some(&*location));
    assert_eq!(response.header("etag"), Some("\"1\""));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.media_type(), Some("application/json"));
    assert_eq!(world.client(&world.buyer).get(&location).await.expect(200), order);
}

#[tokio::test]
async fn a_reserved_ticket_is_refused_and_its_own_buyer_gets_the_order_id() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let other = world.infra.user();

    let refused = world.try_to_order(&other, ticket.id).await.problem(409, "ticket-reserved");
    assert_eq!(refused["orderId"], Value::Null);
    let refused = world.try_to_order(&world.buyer, ticket.id).await.problem(409, "ticket-reserved");
    assert_eq!(refused["orderId"], json!(order.id));

    world.confirm_reserved(&order).await;
    world.try_to_order(&other, ticket.id).await.problem(409, "ticket-reserved");
    world.pay(&order).await;
    for user in [&other, &world.buyer] {
        world.try_to_order(user, ticket.id).await.problem(409, "ticket-sold");
    }
}

#[tokio::test]
async fn a_cancelled_ticket_can_be_ordered_again() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    for _ in 1..=3 {
        let order = world.order(&ticket).await;
        assert_eq!(order.places, [Place::FIRST]);
        world.cancel(&order).await;
    }
}

#[tokio::test]
async fn nobody_buys_their_own_ticket_admins_included() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    world.try_to_order(&world.seller, ticket.id).await.problem(403, "own-ticket");

    let admin = world.infra.admin();
    let mut own = world.unpublished_ticket();
    own.user_id = admin.id;
    world.publish_ticket(&own).await;
    world.try_to_order(&admin, own.id).await.problem(403, "own-ticket");
    world.try_to_order(&admin, ticket.id).await.expect(201);
}

#[tokio::test]
async fn a_ticket_past_its_date_is_refused_from_that_moment_on() {
    let world = World::start().await;
    let mut ticket = world.unpublished_ticket();
    ticket.listing.date = Some(world.infra.clock.now() + Duration::from_secs(60));
    world.publish_ticket(&ticket).await;
    let order = world.order(&ticket).await;
    assert_eq!(world.seen(&order).await["ticket"]["date"], json!(ticket.listing.date));
    world.cancel(&order).await;

    world.infra.clock.advance(Duration::from_millis(59_999));
    let order = world.order(&ticket).await;
    world.cancel(&order).await;
    world.infra.clock.advance(Duration::from_millis(1));
    world.try_to_order(&world.buyer, ticket.id).await.problem(409, "ticket-past");
}

#[tokio::test]
async fn a_price_that_is_not_the_expected_one_is_refused_with_the_current_one() {
    let world = World::start().await;
    let mut ticket = world.ticket().await;
    ticket.listing.price = Money::from_minor(3000);
    ticket.version = 2;
    world.bus().publish(&TicketUpdated(ticket.clone())).await;
    world.settled().await;

    let order = async |price: Value| {
        let body = json!({ "ticketId": ticket.id, "price": price });
        world.client(&world.buyer).post("/api/orders", body).await
    };
    for seen in [json!("20.50"), json!(20.5), json!(0), json!("999999.99")] {
        let refused = order(seen).await.problem(409, "price-changed");
        assert_eq!(refused["price"], "30.00");
    }
    assert_eq!(world.holder(ticket.id).await, None);
    for seen in [json!("30.00"), json!("30"), json!(30), json!(30.0), json!(null)] {
        let ordered = order(seen).await.expect(201);
        assert_eq!(ordered["ticket"]["price"], "30.00");
        let id = ordered["id"].as_str().unwrap();
        world.client(&world.buyer).delete(&format!("/api/orders/{id}")).await.expect(204);
    }
}

#[tokio::test]
async fn an_edit_after_the_order_does_not_change_what_was_ordered() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let edited = ticket.with_title("Tosca").with_price(Money::from_minor(1)).with_version(2);
    world.bus().publish(&TicketUpdated(edited)).await;
    world.settled().await;
    assert_eq!(world.seen(&order).await["ticket"]["title"], "Aida");
    assert_eq!(world.seen(&order).await["ticket"]["price"], "20.50");
}

#[tokio::test]
async fn an_invalid_body_is_refused_with_the_name_of_the_field() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let client = world.client(&world.buyer);
    for (body, field) in [
        (json!({}), "ticketId"),
        (json!([]), ""),
        (json!("ticketId"), ""),
        (json!(null), ""),
        (json!({ "ticketId": null }), "ticketId"),
        (json!({ "ticketId": 7 }), "ticketId"),
        (json!({ "ticketId": true }), "ticketId"),
        (json!({ "ticketId": [ticket.id] }), "ticketId"),
        (json!({ "ticketId": { "$gt": "" } }), "ticketId"),
        (json!({ "ticketId": ticket.id, "price": true }), "price"),
        (json!({ "ticketId": ticket.id, "price": [20.5] }), "price"),
        (json!({ "ticketId": ticket.id, "price": { "$gt": 0 } }), "price"),
        (json!({ "ticketId": ticket.id, "price": "NaN" }), "price"),
        (json!({ "ticketId": ticket.id, "price": "Infinity" }), "price"),
        (json!({ "ticketId": ticket.id, "price": "" }), "price"),
        (json!({ "ticketId": ticket.id, "price": " 20.50" }), "price"),
        (json!({ "ticketId": ticket.id, "price": "20,50" }), "price"),
        (json!({ "ticketId": ticket.id, "price": "20.505" }), "price"),
        (json!({ "ticketId": ticket.id, "price": 20.505 }), "price"),
        (json!({ "ticketId": ticket.id, "price": -1 }), "price"),
        (json!({ "ticketId": ticket.id, "price": 1e300 }), "price"),
        (json!({ "ticketId": ticket.id, "price": "9".repeat(10_000) }), "price"),
    ] {
        let response = client.post("/api/orders", body.clone()).await;
        assert_eq!(response.invalid_fields(), [field], "{body}");
    }
    for id in ["", "nonsense", "00000000-0000-0000-0000-000000000000", &"x".repeat(60_000)] {
        client.post("/api/orders", json!({ "ticketId": id })).await.problem(404, "not-found");
    }
    assert_eq!(world.holder(ticket.id).await, None);
}

#[tokio::test]
async fn a_body_that_is_malformed_missing_or_too_large_is_refused() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let client = world.client(&world.buyer);
    let post = || client.request(Method::POST, "/api/orders");
    let json = |request: Request| request.header("content-type", "application/json");
    let nan = format!(r#"{{"ticketId":"{}","price":NaN}}"#, ticket.id);
    let twice = format!(r#"{{"ticketId":"{}"}} {{}}"#, ticket.id);
    for body in ["", "{", "ticketId=1", "\u{0}", "{\"ticketId\": \"\\ud800\"}", &nan, &twice] {
        let response = json(post()).body(body).send().await;
        response.problem(400, "malformed");
    }
    json(post()).body(vec![0xff, 0xfe]).send().await.problem(400, "malformed");
    let deep = format!(r#"{{"ticketId":{}"#, "[".repeat(60_000));
    let response = json(post()).body(deep).send().await;
    assert_eq!(response.invalid_fields(), ["ticketId"]);
    let deep = format!(r#"{{"other":{}"#, "[".repeat(60_000));
    json(post()).body(deep).send().await.problem(400, "malformed");
    json(post()).body(vec![b' '; 3_000_000]).send().await.problem(413, "too-large");

    let good = json!({ "ticketId": ticket.id }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let response = post().header("content-type", kind).body(good.clone()).send().await;
        response.problem(415, "unsupported-media-type");
    }
    post().body(good.clone()).send().await.problem(415, "unsupported-media-type");
    let utf8 = post().header("content-type", "application/json; charset=utf-8");
    utf8.body(good).send().await.expect(201);
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let body = json!({
        "ticketId": ticket.id, "id": "x", "userId": world.seller.id, "status": "complete",
        "expiresAt": "9999-01-01T00:00:00Z", "holds": [7], "__proto__": {}, "$set": {},
    });
    let order = world.client(&world.buyer).post("/api/orders", body).await.expect(201);
    assert_eq!(order["userId"], json!(world.buyer.id));
    assert_eq!(order["status"], "created");
    assert_eq!(order["expiresAt"], json!(world.infra.clock.now() + RESERVATION));
}

#[tokio::test]
async fn a_ticket_whose_event_arrives_after_the_request_is_waited_for() {
    let world = World::start().await;
    let ticket = world.unpublished_ticket();
    let (response, ()) = tokio::join!(world.try_to_order(&world.buyer, ticket.id), async {
        // The request is sent before the event.
        tokio::task::yield_now().await;
        world.bus().publish(&TicketCreated(ticket.clone())).await;
    });
    response.expect(201);
}

#[tokio::test]
async fn a_missing_ticket_is_unavailable_after_a_wait_if_recent_and_not_found_at_once_otherwise() {
    let world = World::start().await;
    let start = std::time::Instant::now();
    // It may well exist: its event may be late.
    let response = world.try_to_order(&world.buyer, world.unpublished_ticket().id).await;
    response.problem(503, "unavailable");
    assert!(response.header("retry-after").is_some());
    assert!(start.elapsed() >= Duration::from_secs(2));

    let now = world.infra.clock.now();
    for created_at in [now - Duration::from_secs(10), now + Duration::from_secs(3600)] {
        let start = std::time::Instant::now();
        let id = TicketId::new(created_at);
        world.try_to_order(&world.buyer, id).await.problem(404, "not-found");
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn while_nats_is_down_an_unknown_ticket_is_unavailable_and_known_ones_can_be_ordered() {
    let world = World::start().await;
    let known = world.ticket().await;
    let old = TicketId::new(world.infra.clock.now() - Duration::from_secs(60));
    world.try_to_order(&world.buyer, old).await.problem(404, "not-found");

    world.infra.nats.kill();
    let response = eventually("orders to notice that it is disconnected", || async {
        let response = world.try_to_order(&world.buyer, old).await;
        (response.status != 404).then_some(response)
    })
    .await;
    response.problem(503, "unavailable");
    assert!(response.header("retry-after").is_some());
    let order = world.order(&known).await;
    assert_eq!(order.status, OrderStatus::Created);

    world.infra.nats.restart().await;
    world.bus().wait_for::<OrderCreated>(|event| event.0.id == order.id).await;
    eventually("orders to consume again", || async {
        (world.try_to_order(&world.buyer, old).await.status == 404).then_some(())
    })
    .await;
}

/// A buyer sees a price that has just been changed; its event is still on the way to orders.
#[tokio::test]
async fn the_version_that_the_buyer_saw_is_waited_for_before_the_price_is_judged() {
    let world = World::start().await;
    let mut ticket = world.ticket().await;
    for (price, version) in [("25.00", 2), ("20.00", 3)] {
        let body = json!({ "ticketId": ticket.id, "price": price, "ticketVersion": version });
        let client = world.client(&world.buyer);
        let order = client.post("/api/orders", body);
        ticket.listing.price = Money::from_minor(price.replace('.', "").parse().unwrap());
        ticket.version = version;
        let update = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.bus().publish(&TicketUpdated(ticket.clone())).await;
        };
        let (order, ()) = tokio::join!(order, update);
        let order = order.expect(201);
        assert_eq!(order["ticket"]["price"], price);
        let path = format!("/api/orders/{}", order["id"].as_str().unwrap());
        world.client(&world.buyer).delete(&path).await.expect(204);
    }
    // The price that was seen before is judged by the newer version.
    let stale = json!({ "ticketId": ticket.id, "price": "25.00", "ticketVersion": 2 });
    let refused = world.client(&world.buyer).post("/api/orders", stale).await;
    refused.problem(409, "price-changed");
    let unknown = json!({ "ticketId": ticket.id, "price": "20.00", "ticketVersion": 4 });
    let refused = world.client(&world.buyer).post("/api/orders", unknown).await;
    refused.problem(503, "unavailable");
}

#[tokio::test]
async fn an_address_that_nobody_has_confirmed_buys_nothing_while_that_is_required() {
    for world in [World::start().await, World::with_verified_emails().await] {
        let ticket = world.ticket().await;
        let response = world.try_to_order(&world.infra.unverified_user(), ticket.id).await;
        if world.app.require_verified_email {
            response.problem(403, "email-not-verified");
            world.try_to_order(&world.buyer, ticket.id).await.expect(201);
        } else {
            response.expect(201);
        }
    }
}
