//! `POST /api/payments/{id}/refund`.

use common::events::PaymentRefunded;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_seller_gives_the_money_back_once() {
    let world = World::start().await;
    let order = world.order().await;
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
    let refund =
        async |user: &testkit::TestUser| world.service.client_as(user).post(&path, json!({})).await;

    world.service.client().post(&path, json!({})).await.problem(401, "not-signed-in");
    for user in [&world.buyer, &world.infra.user()] {
        refund(user).await.problem(403, "not-allowed");
    }
    let answer = refund(&world.seller).await;
    assert_eq!(answer.expect(202)["status"], "refunding");
    assert_eq!(answer.header("location"), path.strip_suffix("/refund"));
    refund(&world.seller).await.problem(409, "not-refundable");

    world.payment_is(&order, "refunded").await;
    assert_eq!(
        world.infra.bus().wait_for::<PaymentRefunded>(|_| true).await.0.amount.minor(),
        2050
    );
    assert_eq!(world.taken().await, (1, 0));
    refund(&world.infra.admin()).await.problem(409, "not-refundable");
}

#[tokio::test]
async fn only_what_was_paid_can_be_given_back() {
    let world = World::start().await;
    let order = world.order().await;
    world.pay(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    let payment = world.payment(&order).await;
    let seller = world.service.client_as(&world.seller);
    let path = |id: &str| format!("/api/payments/{id}/refund");
    seller
        .post(&path(payment["id"].as_str().unwrap()), json!({}))
        .await
        .problem(409, "not-refundable");
    for id in ["nonsense", "0190a0a0-0000-7000-8000-000000000000"] {
        seller.post(&path(id), json!({})).await.problem(404, "not-found");
    }
}

/// Stripe fails before and after, breaks off and hesitates: the money is given back, and once.
#[tokio::test]
async fn a_refund_is_tried_until_stripe_has_given_the_money_back() {
    let world = World::start().await;
    for kind in ["error_before", "error_after", "cut", "cut_after", "rate_limit"] {
        let order = world.order().await;
        let payment = world.pay(&order, "tok_visa").await.expect(201);
        world.fault("POST", "/v1/refunds", kind, 1).await;
        let path = format!("/api/payments/{}/refund", payment["id"].as_str().unwrap());
        world.service.client_as(&world.seller).post(&path, json!({})).await.expect(202);
        world.payment_is(&order, "refunded").await;
        assert_eq!(world.taken().await.1, 0, "{kind}");
    }
    assert_eq!(world.ledger().await["refunds"].as_array().unwrap().len(), 5);
}
