//! `GET /api/payments/{id}` and `GET /api/payments?orderId=`.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_buyer_the_seller_and_an_admin_see_a_payment_and_nobody_else() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let one = format!("/api/payments/{}", payment["id"].as_str().unwrap());
    let of_order = format!("/api/payments?orderId={}", order.id);

    for user in [world.buyer.clone(), world.seller.clone(), world.infra.admin()] {
        let client = world.service.client_as(&user);
        let response = client.get(&one).await;
        assert_eq!(response.expect(200)["id"], payment["id"]);
        assert_eq!(response.header("etag"), Some(&*format!("\"{}\"", payment["version"])));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(client.get(&of_order).await.expect(200)["payments"][0]["id"], payment["id"]);
    }
    let other = world.service.client_as(&world.infra.user());
    for path in [&one, &of_order] {
        other.get(path).await.problem(403, "not-allowed");
        world.service.client().get(path).await.problem(401, "not-signed-in");
    }
}

#[tokio::test]
async fn unknown_payments_and_orders_are_not_found() {
    let world = World::start().await;
    let client = world.as_buyer();
    for id in
        ["nonsense", "00000000-0000-0000-0000-000000000000", "0190a0a0-0000-7000-8000-000000000000"]
    {
        client.get(&format!("/api/payments/{id}")).await.problem(404, "not-found");
        client.get(&format!("/api/payments?orderId={id}")).await.problem(404, "not-found");
    }
    let response = client.get("/api/payments").await;
    response.problem(400, "invalid");
    assert_eq!(response.invalid_fields(), ["orderId"]);
    client.get("/api/payments/a/b").await.problem(404, "not-found");
}

#[tokio::test]
async fn an_order_without_an_attempt_has_no_payments() {
    let world = World::start().await;
    let order = world.order().await;
    let list =
        world.as_buyer().get(&format!("/api/payments?orderId={}", order.id)).await.expect(200);
    assert_eq!(list, json!({ "payments": [] }));
}
