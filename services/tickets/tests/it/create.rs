use std::time::Duration;

use common::events::TicketCreated;
use serde_json::{Value, json};
use service::Microservice as _;
use testkit::Method;

use crate::world::{World, path, text};

#[tokio::test]
async fn a_new_ticket_is_returned_stored_and_published() {
    let world = World::start().await;
    let seller = world.user();
    let date = world.clock().now() + Duration::from_secs(3600);
    let body = json!({
        "title": "  Motörhead ", "price": 20.5, "description": "Row 3\nSeat 7",
        "date": date, "timeZone": "europe/berlin", "venue": "Zénith", "color": "red",
    });
    let response = world.client_as(&seller).post("/api/tickets", body).await;
    let ticket = response.expect(201);

    assert_eq!(
        ticket,
        json!({
            "id": ticket["id"], "title": "Motörhead", "price": "20.50", "currency": "usd",
            "description": "Row 3\nSeat 7", "date": date, "timeZone": "Europe/Berlin",
            "venue": "Zénith", "userId": seller.id, "status": "available", "version": 1,
            "quantity": 1, "available": 1, "reserved": 0, "sold": 0, "maxPerOrder": 10,
            "soldTogether": false, "delivery": "seller_delivers",
            "createdAt": world.clock().now(),
        })
    );
    assert_eq!(response.header("location"), Some(path(&ticket).as_str()));
    assert_eq!(response.header("etag"), Some("\"1\""));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("vary"), Some("Cookie, Authorization"));
    assert_eq!(world.get(&seller, &ticket).await.expect(200), ticket);

    let event = world.infra.bus().wait_for::<TicketCreated>(|_| true).await.0;
    assert_eq!(event.id.to_string(), text(&ticket["id"]));
    assert_eq!((event.listing.price.minor(), event.version), (2050, 1));
    assert_eq!((event.user_id, event.listing.date, event.order_id), (seller.id, Some(date), None));
    assert_eq!(event.listing.venue.as_deref(), Some("Zénith"));
    assert_eq!(event.listing.time_zone, "Europe/Berlin");
}

#[tokio::test]
async fn members_that_are_omitted_null_or_blank_are_not_returned() {
    let world = World::start().await;
    let body = json!({ "title": "x", "price": "1", "date": null, "venue": " ", "description": "" });
    let ticket = world.list_ticket(&world.user(), body).await;
    for member in ["date", "venue", "description", "orderId", "reservedUntil"] {
        assert!(ticket.get(member).is_none(), "{member}");
    }
    assert_eq!(ticket["timeZone"], "UTC");
}

#[tokio::test]
async fn every_violation_is_reported_with_its_field() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    let good = json!({ "title": "x", "price": "20.50" });
    let long = |length: usize| "x".repeat(length);
    let rules: Vec<(&str, Value)> = vec![
        ("title", json!(null)),
        ("title", json!("")),
        ("title", json!(" \t ")),
        ("title", json!(long(201))),
        ("title", json!("a\u{0}b")),
        ("title", json!("a\nb")),
        ("price", json!(null)),
        ("price", json!("0.49")),
        ("price", json!(0.49)),
        ("price", json!(-1)),
        ("price", json!("-1")),
        ("price", json!(0)),
        ("price", json!("12.345")),
        ("price", json!(1e300)),
        ("price", json!("NaN")),
        ("price", json!("Infinity")),
        ("price", json!("1e2")),
        ("price", json!("1,50")),
        ("price", json!("")),
        ("price", json!("1000000.00")),
        ("price", json!("99999999999999999999999999")),
        ("description", json!(long(5001))),
        ("description", json!("a\u{0}b")),
        ("venue", json!(long(201))),
        ("venue", json!("a\rb")),
        ("date", json!("")),
        ("date", json!("tomorrow")),
        ("date", json!("2026-13-01T00:00:00Z")),
        ("date", json!("2020-01-01T00:00:00Z")),
        ("date", json!("2030-01-01T00:00:00")),
        ("delivery", json!("by_post")),
        ("timeZone", json!("")),
        ("timeZone", json!("Mars/Olympus")),
        ("timeZone", json!("../../etc/passwd")),
    ];
    for (field, value) in rules {
        let mut body = good.clone();
        body[field] = value.clone();
        let response = client.post("/api/tickets", body).await;
        assert_eq!(response.invalid_fields(), [field], "{value}");
    }

    let all = json!({
        "title": "", "price": "0", "description": long(5001), "date": "x", "timeZone": "x",
        "venue": long(201),
    });
    let response = client.post("/api/tickets", all).await;
    let fields = ["date", "description", "price", "timeZone", "title", "venue"];
    assert_eq!(response.invalid_fields(), fields);
    assert!(response.text.contains("between 0.50 and 999999.99"), "{}", response.text);
    assert_eq!(client.post("/api/tickets", json!({})).await.invalid_fields(), ["price", "title"]);

    let database = world.infra.database("tickets").await;
    let stored = database.collection::<bson::Document>("tickets");
    assert_eq!(stored.count_documents(bson::doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn the_bounds_themselves_are_valid() {
    let world = World::start().await;
    let seller = world.user();
    for (member, value) in [
        ("price", json!("0.50")),
        ("price", json!(0.5)),
        ("price", json!("999999.99")),
        ("price", json!(999_999.99)),
        ("title", json!("🎸".repeat(200))),
        ("description", json!("🎸".repeat(5000))),
        ("venue", json!("é".repeat(200))),
        ("date", json!(world.clock().now())),
    ] {
        let mut body = json!({ "title": "x", "price": "20.50" });
        body[member] = value;
        world.list_ticket(&seller, body).await;
    }
}

#[tokio::test]
async fn a_member_of_a_wrong_type_is_reported_by_its_name() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    let members = ["title", "price", "description", "date", "timeZone", "venue"];
    let wrong = [json!(true), json!([]), json!({ "$gt": "" })];
    for member in members {
        for value in &wrong {
            let mut body = json!({ "title": "x", "price": "20.50" });
            body[member] = value.clone();
            let response = client.post("/api/tickets", body).await;
            assert_eq!(response.invalid_fields(), [member], "{value}");
        }
    }
    for member in members.into_iter().filter(|member| *member != "price") {
        let mut body = json!({ "title": "x", "price": "20.50" });
        body[member] = json!(7);
        assert_eq!(client.post("/api/tickets", body).await.invalid_fields(), [member]);
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_refused() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    let send = |content_type: &'static str, body: Vec<u8>| {
        let request = client.request(Method::POST, "/api/tickets");
        request.header("content-type", content_type).body(body).send()
    };
    for body in ["", "{", "{\"title\":\"x\",\"price\":NaN}", "{\"title\":}", "{} {}"] {
        send("application/json", body.into()).await.problem(400, "malformed");
    }
    send("application/json", vec![b'{', b'"', 0xFF, b'"']).await.problem(400, "malformed");
    for body in ["null", "[]", "\"x\"", "7", "true"] {
        send("application/json", body.into()).await.problem(400, "invalid");
    }
    let good = br#"{"title":"x","price":1}"#.to_vec();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "json", ""] {
        send(content_type, good.clone()).await.problem(415, "unsupported-media-type");
    }
    send("application/json", vec![b' '; 3 << 20]).await.problem(413, "too-large");
    let nothing = client.request(Method::POST, "/api/tickets").send().await;
    nothing.problem(415, "unsupported-media-type");
    send("Application/JSON; charset=utf-8", good).await.expect(201);
}

#[tokio::test]
async fn creating_a_ticket_requires_signing_in() {
    let world = World::start().await;
    let response = world.service.client().post("/api/tickets", json!({ "title": "" })).await;
    response.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_a_byte_order_mark_is_skipped() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    let body = r#"{"title": "x", "price": 1}"#;
    let post = |encoding: &str, body: String| {
        let request = client.request(testkit::Method::POST, "/api/tickets");
        let request = request.header("content-type", "application/json");
        request.header("content-encoding", encoding).body(body).send()
    };
    for encoding in ["gzip", "br", "gzip, identity", "x-unknown"] {
        let refused = post(encoding, body.to_owned()).await.problem(415, "unsupported-media-type");
        assert!(refused["detail"].to_string().contains("Content-Encoding"), "{refused}");
    }
    post("identity", body.to_owned()).await.expect(201);
    post("identity", format!("\u{FEFF}{body}")).await.expect(201);
    post("identity", format!("\u{FEFF}\u{FEFF}{body}")).await.problem(400, "malformed");
}

#[tokio::test]
async fn an_address_that_nobody_has_confirmed_sells_nothing_while_that_is_required() {
    let World { service, infra } = World::start().await;
    let body = json!({ "title": "Motörhead", "price": "20.50" });
    let unverified = infra.unverified_user();
    service.client_as(&unverified).post("/api/tickets", body.clone()).await.expect(201);
    drop(service);
    let mut settings = crate::world::settings(&infra);
    settings.state.verification.require_verified_email = true;
    let service = tickets::app::Tickets::build(settings, infra.clock.clone()).await.unwrap();
    let service = testkit::TestService::serve(service).await;
    let refused = service.client_as(&unverified).post("/api/tickets", body.clone()).await;
    refused.problem(403, "email-not-verified");
    service.client_as(&infra.user()).post("/api/tickets", body).await.expect(201);
}
