use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Client, Method, TestUser};

use crate::world::{World, path, text};

pub async fn list(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("/api/tickets?{query}")).await.expect(200);
    page["tickets"].as_array().unwrap().clone()
}

pub async fn titles(client: &Client, query: &str) -> Vec<String> {
    let tickets = list(client, query).await;
    tickets.iter().map(|ticket| text(&ticket["title"]).to_owned()).collect()
}

/// Those that the list has now: others may be shown one that is a second old.
pub async fn titles_now(client: &Client, query: &str) -> Vec<String> {
    let request = client.request(Method::GET, &format!("/api/tickets?{query}"));
    let page = request.header("cache-control", "no-cache").send().await.expect(200);
    let tickets = page["tickets"].as_array().unwrap().iter();
    tickets.map(|ticket| text(&ticket["title"]).to_owned()).collect()
}

/// All pages, one after the other, as a client would request them.
async fn all_pages(client: &Client, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/tickets?{query}&cursor={cursor}")).await.expect(200);
        let tickets = page["tickets"].as_array().unwrap();
        assert!(!tickets.is_empty() || all.is_empty(), "an empty page");
        all.extend(tickets.iter().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

/// 23 tickets, many of which have the same price, date or creation time.
async fn many_tickets(world: &World, seller: &TestUser) -> Vec<Value> {
    let mut tickets = Vec::new();
    for number in 0..23_u64 {
        if number % 4 == 0 {
            world.clock().advance(Duration::from_millis(1));
        }
        let day = world.clock().now() + Duration::from_secs(86_400 * (1 + number % 5));
        let date = (number % 3 != 0).then_some(day);
        let body =
            json!({ "title": format!("Ticket {number}"), "price": 1 + number % 4, "date": date });
        tickets.push(world.list_ticket(seller, body).await);
    }
    tickets
}

fn in_order(tickets: &[Value], sort: &str) -> Vec<Value> {
    let cents = |ticket: &Value| text(&ticket["price"]).replace('.', "").parse::<i64>().unwrap();
    let date = |ticket: &Value| ticket["date"].as_str().unwrap_or("9999-12-31").to_owned();
    let id = |ticket: &Value| text(&ticket["id"]).to_owned();
    let created = |ticket: &Value| text(&ticket["createdAt"]).to_owned();
    let mut sorted = tickets.to_vec();
    match sort {
        "price" => sorted.sort_by_key(|ticket| (cents(ticket), id(ticket))),
        "-price" => sorted.sort_by_key(|ticket| std::cmp::Reverse((cents(ticket), id(ticket)))),
        "date" => sorted.sort_by_key(|ticket| (date(ticket), id(ticket))),
        _ => sorted.sort_by_key(|ticket| std::cmp::Reverse((created(ticket), id(ticket)))),
    }
    sorted
}

#[tokio::test]
async fn the_pages_of_every_sort_contain_each_ticket_once() {
    let world = World::start().await;
    let seller = world.user();
    let tickets = many_tickets(&world, &seller).await;
    for sort in ["", "-createdAt", "price", "-price", "date"] {
        let expected = in_order(&tickets, sort);
        for limit in [1, 4, 23, 100] {
            for (client, whose) in
                [(world.service.client(), ""), (world.client_as(&seller), "&mine=true")]
            {
                let query = format!("sort={sort}&limit={limit}{whose}");
                assert_eq!(all_pages(&client, &query).await, expected, "{query}");
            }
        }
    }
    let searched = all_pages(&world.service.client(), "q=ticket&sort=price&limit=5").await;
    assert_eq!(searched, in_order(&tickets, "price"));
}

#[tokio::test]
async fn tickets_added_or_removed_between_two_pages_do_not_shift_the_next_page() {
    let world = World::start().await;
    let seller = world.user();
    let tickets = in_order(&many_tickets(&world, &seller).await, "-createdAt");
    let client = world.client_as(&seller);
    let first = client.get("/api/tickets?limit=10").await.expect(200);
    world.clock().advance(Duration::from_secs(1));
    world.default_ticket(&seller).await;
    client.delete(&path(&tickets[9])).await.expect(204);

    let cursor = text(&first["next"]);
    let rest = list(&client, &format!("limit=100&cursor={cursor}")).await;
    assert_eq!(rest, tickets[10..]);
}

#[tokio::test]
async fn a_page_has_twenty_tickets_by_default() {
    let world = World::start().await;
    many_tickets(&world, &world.user()).await;
    let client = world.service.client();
    assert_eq!(list(&client, "").await.len(), 20);
    assert_eq!(list(&client, "limit=").await.len(), 20);
    assert_eq!(list(&client, "limit=100").await.len(), 23);
}

#[tokio::test]
async fn a_cursor_is_valid_only_with_its_own_filters() {
    let world = World::start().await;
    let (seller, other) = (world.user(), world.user());
    many_tickets(&world, &seller).await;
    let client = world.client_as(&seller);
    let page = client.get("/api/tickets?q=tick&min_price=1&limit=2").await.expect(200);
    let cursor = text(&page["next"]);
    client
        .get(&format!("/api/tickets?q=tick&min_price=1&limit=7&cursor={cursor}"))
        .await
        .expect(200);
    for filters in [
        "",
        "q=ticke&min_price=1",
        "q=tick",
        "q=tick&min_price=2",
        "q=tick&min_price=1&max_price=9",
        "q=tick&min_price=1&sort=price",
        "q=tick&min_price=1&from=2020-01-01T00:00:00Z",
        "q=tick&min_price=1&mine=true",
    ] {
        let response = client.get(&format!("/api/tickets?{filters}&cursor={cursor}")).await;
        assert_eq!(response.invalid_fields(), ["cursor"], "{filters}");
    }

    let mine = client.get("/api/tickets?mine=true&limit=2").await.expect(200);
    let stolen = format!("/api/tickets?mine=true&cursor={}", text(&mine["next"]));
    assert_eq!(world.client_as(&other).get(&stolen).await.invalid_fields(), ["cursor"]);
    for cursor in ["x", "%00", "e30", "eyJrZXkiOjF9", &"A".repeat(5000)] {
        let response = client.get(&format!("/api/tickets?cursor={cursor}")).await;
        assert_eq!(response.invalid_fields(), ["cursor"], "{cursor}");
    }
}

#[tokio::test]
async fn an_invalid_parameter_is_reported_by_its_name() {
    let world = World::start().await;
    let client = world.client_as(&world.user());
    let long = "x".repeat(201);
    let long = long.as_str();
    let values: &[(&str, &[&str])] = &[
        ("q", &[long]),
        ("min_price", &["x", "-1", "1.234", "1e3", "NaN", "%7B%22$gt%22:%22%22%7D"]),
        ("max_price", &["x", "-1", "99999999999999999999"]),
        ("from", &["x", "2026-02-30", "2026-02-30T00:00:00Z", "0"]),
        ("to", &["yesterday", "2026-01-01T00:00:00"]),
        ("sort", &["createdAt", "-date", "PRICE", "__proto__"]),
        ("limit", &["0", "-1", "101", "1.5", "x", "99999999999999999999"]),
        ("mine", &["yes", "1", "TRUE"]),
    ];
    for (name, values) in values {
        for value in *values {
            let response = client.get(&format!("/api/tickets?{name}={value}")).await;
            assert_eq!(response.invalid_fields(), [*name], "{value}");
        }
    }
    let response = client.get("/api/tickets?min_price=x&to=x&sort=x").await;
    assert_eq!(response.invalid_fields(), ["min_price", "sort", "to"]);
    client.get("/api/tickets?sort=price&sort=date").await.problem(400, "invalid");
    for fine in
        ["color=red", "q=&min_price=&max_price=&from=&to=&sort=&limit=&cursor=&mine=", "%FF=1"]
    {
        client.get(&format!("/api/tickets?{fine}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_price_and_date() {
    let world = World::start().await;
    let (seller, client) = (world.user(), world.service.client());
    let day = |days: u64| world.clock().now() + Duration::from_secs(86_400 * days);
    for (title, price, date) in [
        ("cheap", "0.50", Some(day(1))),
        ("middle", "20.00", Some(day(2))),
        ("dear", "100.00", Some(day(3))),
        ("undated", "30.00", None),
    ] {
        world.list_ticket(&seller, json!({ "title": title, "price": price, "date": date })).await;
    }
    let (first, second) = (day(1), day(2));
    for (query, expected) in [
        ("sort=price&min_price=20".to_owned(), vec!["middle", "undated", "dear"]),
        ("sort=price&max_price=30".to_owned(), vec!["cheap", "middle", "undated"]),
        ("min_price=20&max_price=19.99".to_owned(), vec![]),
        (format!("sort=date&from={second}"), vec!["middle", "dear"]),
        (format!("sort=date&to={second}"), vec!["cheap", "middle"]),
        (format!("from={first}&to={first}"), vec!["cheap"]),
        (format!("from={second}&to={first}"), vec![]),
        ("sort=date".to_owned(), vec!["cheap", "middle", "dear", "undated"]),
        (format!("q=dear&min_price=100.00&from={first}"), vec!["dear"]),
    ] {
        assert_eq!(titles(&client, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_ticket_is_on_sale_unless_it_is_sold_or_its_date_has_passed() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let soon = world.clock().now() + Duration::from_secs(3600);
    let create = |title: &str| {
        let body = json!({ "title": title, "price": 1, "date": soon });
        world.list_ticket(&seller, body)
    };
    let (reserved, sold) = (create("reserved").await, create("sold").await);
    world.list_ticket(&seller, json!({ "title": "undated", "price": 1 })).await;
    world.deliver(&world.order(&buyer, &reserved).created(1)).await;
    world.deliver(&world.order(&buyer, &sold).completed(2)).await;
    let (anyone, client) = (world.service.client(), world.client_as(&seller));

    let listed = list(&anyone, "sort=date").await;
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["status"], listed[0].get("orderId")), (&json!("reserved"), None));
    assert!(listed[0]["reservedUntil"].is_string());
    assert_eq!(listed[1]["status"], "available");

    world.clock().advance(Duration::from_secs(3600));
    assert_eq!(list(&anyone, "").await.len(), 2, "its date has come, but hasn't passed");
    world.clock().advance(Duration::from_millis(1));
    assert_eq!(titles(&anyone, "").await, ["undated"]);
    let mut mine = titles(&client, "mine=true").await;
    mine.sort();
    assert_eq!(mine, ["reserved", "sold", "undated"]);
    client.get(&path(&reserved)).await.expect(200);
}

#[tokio::test]
async fn mine_lists_only_the_users_own_tickets() {
    let world = World::start().await;
    let (seller, other) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    world.default_ticket(&other).await;
    world.service.client().get("/api/tickets?mine=true").await.problem(401, "not-signed-in");
    let response = world.client_as(&seller).get("/api/tickets?mine=true").await;
    assert_eq!(response.expect(200), json!({ "tickets": [ticket], "next": null }));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("vary"), Some("Cookie, Authorization"));

    let all = world.service.client().get("/api/tickets?mine=false").await;
    assert_eq!(all.expect(200)["tickets"].as_array().unwrap().len(), 2);
    assert_eq!(all.header("cache-control"), Some("no-cache"));
    assert_eq!(all.header("vary"), Some("Cookie, Authorization"));
}

#[tokio::test]
async fn a_filter_by_day_means_the_day_at_the_ticket_s_own_place() {
    let world = World::start().await;
    let seller = world.user();
    for (title, date, zone) in [
        ("New York", "2099-01-30T20:00:00-05:00", "America/New_York"),
        ("Kiritimati", "2099-01-30T00:00:00+14:00", "Pacific/Kiritimati"),
        ("Midway", "2099-01-30T23:59:59-11:00", "Pacific/Midway"),
        ("Berlin", "2099-01-31T00:00:00+01:00", "Europe/Berlin"),
    ] {
        let body = json!({ "title": title, "price": 1, "date": date, "timeZone": zone });
        world.list_ticket(&seller, body).await;
    }
    world.list_ticket(&seller, json!({ "title": "Any day", "price": 1 })).await;
    let client = world.client_as(&seller);
    for whose in ["", "&mine=true"] {
        let found = async |filter: &str| {
            let query = format!("sort=date&{filter}{whose}");
            let all = all_pages(&client, &format!("{query}&limit=1")).await;
            assert_eq!(all, list(&client, &query).await, "{query}");
            all.iter().map(|ticket| text(&ticket["title"]).to_owned()).collect::<Vec<_>>()
        };
        let thirtieth = ["Kiritimati", "New York", "Midway"];
        assert_eq!(found("from=2099-01-30&to=2099-01-30").await, thirtieth);
        assert_eq!(found("to=2099-01-30").await, thirtieth);
        assert_eq!(found("from=2099-01-31").await, ["Berlin"]);
        assert_eq!(found("from=2099-01-31&to=2099-01-31T00:00:00Z").await, ["Berlin"]);
        assert_eq!(found("from=2099-02-01").await, [""; 0]);
        assert_eq!(found("to=2099-01-29").await, [""; 0]);
    }
}

#[tokio::test]
async fn a_plus_that_was_lost_in_the_query_is_explained() {
    let world = World::start().await;
    let client = world.service.client();
    for query in ["from=2099-01-30T20:00:00+01:00", "to=2099-01-30T20:00:00+01:00"] {
        let problem = client.get(&format!("/api/tickets?{query}")).await.problem(400, "invalid");
        assert!(problem["detail"].to_string().contains("%2B"), "{problem}");
    }
    client.get("/api/tickets?from=2099-01-30T20:00:00%2B01:00").await.expect(200);
    for query in ["from=2099-01-30T20:00:00%2B25:00", "from=2099-01-30T20", "from=20990130"] {
        let problem = client.get(&format!("/api/tickets?{query}")).await.problem(400, "invalid");
        assert!(!problem["detail"].to_string().contains("%2B"), "{problem}");
    }
}
