use std::time::Duration;

use serde_json::json;
use testkit::TestUser;

use crate::market::{Market, path};

#[tokio::test]
async fn anyone_looks_at_a_ticket() {
    let market = Market::open().await;
    let ticket = market.any_ticket(&market.user()).await;
    let answer = market.service.client().get(&path(&ticket)).await;
    assert_eq!(answer.expect(200), ticket);
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("vary"), Some("Cookie"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));

    let signed_in = market.look(&market.user(), &ticket).await;
    assert_eq!(signed_in.expect(200), ticket);
    assert_eq!(signed_in.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn what_is_not_there_or_can_not_be_is_not_found() {
    let market = Market::open().await;
    let client = market.service.client();
    let unknown = common::ids::TicketId::new(market.clock().now()).to_string();
    let capitals = unknown.to_uppercase();
    let ids =
        [unknown.as_str(), &capitals, "1", "%00", "null", "a%2Fb", "%FF", "..%2F", "%7B$gt:1%7D"];
    for id in ids {
        let answer = client.get(&format!("/api/tickets/{id}")).await;
        answer.problem(404, "not-found");
        assert_eq!(answer.header("vary"), Some("Cookie"));
    }
}

#[tokio::test]
async fn an_order_shows_itself_to_those_whom_it_concerns() {
    let market = Market::open().await;
    let (seller, buyer, other) = (market.user(), market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    let buying = market.buying(&buyer, &ticket);
    let order_of =
        async |user: &TestUser| market.look(user, &ticket).await.expect(200)["orderId"].clone();
    let admin = market.infra.admin();

    for order in [buying.created(1, 1), buying.completed(1, 2)] {
        market.tell(&order).await;
        for user in [&seller, &buyer, &admin] {
            assert_eq!(order_of(user).await, buying.id());
        }
        assert_eq!(order_of(&other).await, json!(null));
        let anyone = market.service.client().get(&path(&ticket)).await.expect(200);
        assert_eq!(anyone["orderId"], json!(null));
    }
}

#[tokio::test]
async fn a_ticket_is_reserved_until_its_hold_runs_out_and_then_available_at_once() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    let until = market.clock().now() + Duration::from_secs(900);
    market.tell(&market.buying(&buyer, &ticket).created(1, 1)).await;

    let held = market.look(&buyer, &ticket).await.expect(200);
    assert_eq!((&held["status"], &held["reservedUntil"]), (&json!("reserved"), &json!(until)));
    assert_eq!(held["version"], 2);

    market.clock().advance(Duration::from_millis(899_999));
    assert_eq!(market.look(&buyer, &ticket).await.expect(200)["status"], "reserved");
    market.clock().advance(Duration::from_millis(1));
    let free = market.look(&buyer, &ticket).await.expect(200);
    assert_eq!(free["status"], "available");
    assert_eq!((free.get("reservedUntil"), free.get("orderId")), (None, None));
}
