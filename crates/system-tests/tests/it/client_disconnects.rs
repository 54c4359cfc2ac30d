//! A client that disconnects in the middle of a write: the write is executed once, and a repeat observes it.

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::{Person, Stack};
use testkit::{Client, Method, eventually};

use crate::shared;

/// Sends a write, and disconnects while the database is frozen.
async fn disconnect_during(
    stack: &Stack,
    client: &Client,
    method: Method,
    path: &str,
    body: Value,
) {
    let frozen = stack.freeze("mongod").await;
    client.request(method, path).json(body).disconnect_after(Duration::from_millis(300)).await;
    drop(frozen);
}

/// Waits until the resource has this value of a member.
async fn wait_for(client: &Client, path: &str, member: &str, value: &str) -> Value {
    eventually(&format!("{member} of {path} to be {value}"), || async {
        Some(client.get(path).await.body).filter(|body| body[member] == value)
    })
    .await
}

#[tokio::test]
async fn a_ticket_is_offered_edited_and_deleted_once() {
    let stack = shared::exclusive().await;
    let Person { client, .. } = stack.person("seller").await;
    let offer = json!({ "title": "Parsifal", "price": "20.50" });
    disconnect_during(&stack, &client, Method::POST, "/api/tickets", offer).await;
    let mine = eventually("the ticket to exist", || async {
        let mine = client.get("/api/tickets?mine=true").await.expect(200)["tickets"].clone();
        mine.as_array().cloned().filter(|mine| !mine.is_empty())
    })
    .await;
    assert_eq!(mine.len(), 1);

    let path = format!("/api/tickets/{}", mine[0]["id"].as_str().unwrap());
    let edit = json!({ "title": "Lohengrin", "price": "20.50" });
    disconnect_during(&stack, &client, Method::PUT, &path, edit).await;
    assert_eq!(wait_for(&client, &path, "title", "Lohengrin").await["version"], 2);

    disconnect_during(&stack, &client, Method::DELETE, &path, json!({})).await;
    wait_for(&client, &path, "type", "/problems/not-found").await;
    client.delete(&path).await.problem(404, "not-found");
}

#[tokio::test]
async fn an_order_is_placed_paid_and_refunded_once() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Rienzi", "20.50").await;
    buyer.sees_ticket(&ticket, "available").await;
    disconnect_during(
        &stack,
        &buyer.client,
        Method::POST,
        "/api/orders",
        json!({ "ticketId": ticket }),
    )
    .await;
    let ours = eventually("the order to exist", || async {
        let ours = buyer.client.get("/api/orders").await.expect(200)["orders"].clone();
        ours.as_array().cloned().filter(|ours| !ours.is_empty())
    })
    .await;
    assert_eq!(ours.len(), 1);
    let order = ours[0]["id"].as_str().unwrap().to_owned();
    let again = buyer.orders(&ticket).await.problem(409, "ticket-reserved");
    assert_eq!(again["orderId"], json!(order));
    buyer.sees_order(&order, "awaiting:payment").await;

    let pay = json!({ "orderId": order, "token": "tok_visa" });
    disconnect_during(&stack, &buyer.client, Method::POST, "/api/payments", pay).await;
    let payment = buyer.sees_payment(&order, "completed").await;
    buyer.pays(&order, "tok_visa").await.problem(409, "already-paid");
    assert_eq!(stack.stripe_ledger().await.charges(&order).len(), 1);

    let payment = payment["id"].as_str().unwrap();
    let path = format!("/api/payments/{payment}/refund");
    buyer.sees_order(&order, "complete").await;
    disconnect_during(&stack, &seller.client, Method::POST, &path, json!({})).await;
    buyer.sees_payment(&order, "refunded").await;
    seller.refunds(payment).await.problem(409, "not-refundable");
    assert_eq!(stack.stripe_ledger().await.refunds(&order).len(), 1);
    assert_eq!(buyer.sees_order(&order, "cancelled").await["cancelReason"], "refunded");
}

#[tokio::test]
async fn a_card_is_charged_once_even_while_stripe_is_slow() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let order = buyer.reserves(&seller.offers("Siegfried", "20.50").await).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    stack.inject_stripe_fault("/v1/payment_intents/*/confirm", "slow", Some(1), 2000).await;
    let pay = buyer.client.request(Method::POST, "/api/payments");
    let pay = pay.json(json!({ "orderId": order, "token": "tok_visa" }));
    pay.disconnect_after(Duration::from_millis(1000)).await;
    buyer.pays(&order, "tok_visa").await.problem(409, "payment-in-progress");
    buyer.sees_payment(&order, "completed").await;
    assert_eq!(stack.stripe_ledger().await.charges(&order).len(), 1);
    stack.clear_stripe_faults().await;
}

#[tokio::test]
async fn an_order_is_cancelled_once() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let order = buyer.reserves(&seller.offers("Parsifal", "20.50").await).await;
    let path = format!("/api/orders/{order}");
    let before = buyer.sees_order(&order, "awaiting:payment").await["version"].as_i64().unwrap();
    disconnect_during(&stack, &buyer.client, Method::DELETE, &path, json!({})).await;
    let ended = buyer.sees_order(&order, "cancelled").await;
    assert_eq!((&ended["cancelReason"], &ended["version"]), (&json!("user"), &json!(before + 1)));
    buyer.cancels(&order).await.expect(204);
    assert_eq!(buyer.order(&order).await["version"], before + 1);
}

#[tokio::test]
async fn a_user_signs_up_and_refreshes_a_session_once() {
    let stack = shared::exclusive().await;
    let client = stack.visitor();
    let email = format!("kundry-{}@example.com", uuid::Uuid::now_v7());
    let body = json!({ "email": email, "password": "correct horse" });
    disconnect_during(&stack, &client, Method::POST, "/api/users/signup", body.clone()).await;
    // Unless its client was gone before its password was hashed, the first one has created the user.
    let repeat = client.post("/api/users/signup", body.clone()).await;
    assert!([201, 409].contains(&repeat.status.as_u16()), "{repeat:?}");
    client.post("/api/users/signin", body.clone()).await.expect(200);
    client.post("/api/users/signup", body).await.problem(409, "email-in-use");

    // The response with the new tokens is lost: the old token still returns the same ones.
    disconnect_during(&stack, &client, Method::POST, "/api/users/refresh", json!({})).await;
    client.post("/api/users/refresh", json!({})).await.expect(200);
    assert_eq!(
        client.get("/api/users/currentuser").await.expect(200)["currentUser"]["email"],
        email
    );

    disconnect_during(&stack, &client, Method::POST, "/api/users/signout", json!({})).await;
    eventually("the session to be revoked", || async {
        let response = client.post("/api/users/refresh", json!({})).await;
        (response.status == 401).then_some(())
    })
    .await;
}
