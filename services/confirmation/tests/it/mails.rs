//! `GET /api/orders/{id}/mails`.

use common::ids::OrderId;
use serde_json::Value;

use crate::world::World;

fn kinds(list: &Value) -> Vec<&str> {
    let mails = list["mails"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = mails.map(|mail| mail["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test]
async fn the_buyer_sees_the_mails_to_them_and_an_administrator_all() {
    let world = World::start().await;
    let order = world.sale().await;
    world.all_final().await;
    let path = format!("/api/orders/{}/mails", order.id);

    let response = world.client(&world.buyer).get(&path).await;
    let list = response.expect(200);
    assert_eq!(kinds(&list), ["paid"]);
    assert_eq!(list["mails"][0]["status"], "sent");
    assert_eq!(list["mails"][0]["to"], "buyer@example.org");
    assert!(list["mails"][0]["sentAt"].is_string());
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(!response.text.contains("seller@example.org"));

    let admin = world.client(&world.infra.admin()).get(&path).await.expect(200);
    assert_eq!(kinds(&admin), ["paid", "sold"]);
    for other in [&world.seller, &world.infra.user()] {
        world.client(other).get(&path).await.problem(403, "not-allowed");
    }
    world.service.client().get(&path).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_new_order_has_none_and_an_unknown_one_is_not_found() {
    let world = World::start().await;
    let order = world.order();
    world.bus().publish(&common::events::OrderCreated(order.clone())).await;
    // It is waited for.
    let client = world.client(&world.buyer);
    let list = client.get(&format!("/api/orders/{}/mails", order.id)).await.expect(200);
    assert_eq!(kinds(&list), Vec::<&str>::new());

    world.infra.clock.advance(std::time::Duration::from_secs(60));
    let unknown = OrderId::new(common::Time::from_millis(1_700_000_000_000));
    client.get(&format!("/api/orders/{unknown}/mails")).await.problem(404, "not-found");
    client.get("/api/orders/x/mails").await.problem(404, "not-found");
}
