//! `GET /api/payments/{id}/history`.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn it_says_what_has_happened_to_the_money() {
    let world = World::start().await;
    let order = world.order().await;
    world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let one = format!("/api/payments/{}", payment["id"].as_str().unwrap());
    let seller = world.service.client_as(&world.seller);
    seller.post(&format!("{one}/refund"), json!({})).await.expect(202);
    world.payment_is(&order, "refunded").await;

    let history = format!("{one}/history");
    for user in [world.buyer.clone(), world.seller.clone(), world.infra.admin()] {
        let response = world.service.client_as(&user).get(&history).await;
        let body = response.expect(200);
        let entries = body["history"].as_array().unwrap().iter();
        let entry = |it: &Value| (it["event"].clone(), it["detail"].clone());
        let expected = [
            (json!("payment.failed"), json!("declined")),
            (json!("payment.created"), Value::Null),
            (json!("payment.captured"), Value::Null),
            (json!("payment.refunded"), Value::Null),
        ];
        assert_eq!(entries.map(entry).collect::<Vec<_>>(), expected);
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let other = world.service.client_as(&world.infra.user());
    other.get(&history).await.problem(403, "not-allowed");
    world.service.client().get(&history).await.problem(401, "not-signed-in");
    let nowhere = "/api/payments/0190a0a0-0000-7000-8000-000000000000/history";
    world.as_buyer().get(nowhere).await.problem(404, "not-found");
}
