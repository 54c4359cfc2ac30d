//! The walkthroughs of ARCHITECTURE.md, each a test of the same name.

use std::time::Duration;

use common::Time;
use serde_json::json;
use testkit::eventually;

use crate::shared;

#[tokio::test]
async fn a_ticket_is_offered() {
    let stack = shared::usual().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let ticket = seller.offers("Čarodějná flétna", "20.5").await;

    let shown = visitor.get(&format!("/api/tickets/{ticket}")).await.expect(200);
    assert_eq!(shown["title"], "Čarodějná flétna");
    assert_eq!(shown["price"], "20.50");
    assert_eq!(shown["currency"], "usd");
    assert_eq!(shown["status"], "available");
    assert_eq!(shown["userId"], json!(seller.id));

    let found = visitor.get("/api/tickets?q=carodej&limit=100").await.expect(200);
    let ids =
        found["tickets"].as_array().unwrap().iter().map(|ticket| &ticket["id"]).collect::<Vec<_>>();
    assert!(ids.contains(&&json!(ticket)), "{found}");
}

#[tokio::test]
async fn a_ticket_is_held() {
    let stack = shared::usual().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Aida", "20.50").await;
    let order = buyer.holds(&ticket).await;

    other.orders(&ticket).await.problem(409, "ticket-reserved");
    let mine = buyer.orders(&ticket).await.problem(409, "ticket-reserved");
    assert_eq!(mine["orderId"], json!(order));

    let held = buyer.sees_ticket(&ticket, "reserved").await;
    assert_eq!(held["orderId"], json!(order));
    let seen = buyer.sees_order(&order, "awaiting:payment").await;
    assert_eq!(held["reservedUntil"], seen["expiresAt"]);
    assert!(
        other.ticket(&ticket).await.get("orderId").is_none(),
        "who holds it is nobody else's business"
    );
    seller.client.delete(&format!("/api/tickets/{ticket}")).await.problem(409, "ticket-reserved");

    // Given up, it is back on sale for the next one.
    buyer.cancels(&order).await.expect(204);
    other.holds(&ticket).await;
    let held = other.sees_ticket(&ticket, "reserved").await;
    assert_ne!(held["orderId"], json!(order));
}

#[tokio::test]
async fn a_ticket_is_paid() {
    let stack = shared::usual().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Tosca", "35.00").await;
    let order = buyer.holds(&ticket).await;

    // Without a pause: what has just been ordered can be paid.
    let declined = buyer.pays(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    assert_eq!(declined["attemptsLeft"], 2);
    let payment = buyer.pays(&order, "tok_visa").await.expect(201);
    assert_eq!(payment["status"], "completed");

    let complete = buyer.sees_order(&order, "complete").await;
    assert_eq!(complete["paymentId"], payment["id"]);
    other.sees_ticket(&ticket, "sold").await;
    other.orders(&ticket).await.problem(409, "ticket-sold");
    buyer.pays(&order, "tok_visa").await.problem(409, "already-paid");
    buyer.cancels(&order).await.problem(409, "order-complete");
    assert_eq!(seller.payment(&order).await["id"], payment["id"]);

    let charges = stack.stripe_ledger().await["charges"].clone();
    let ours = charges.as_array().unwrap().iter().filter(|charge| {
        charge["payment_intent"] == payment["stripeId"] && charge["status"] == "succeeded"
    });
    assert_eq!(ours.map(|charge| charge["amount"].clone()).collect::<Vec<_>>(), [json!(3500)]);
}

#[tokio::test]
async fn a_seller_refunds() {
    let stack = shared::usual().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Fidelio", "35.00").await;
    let order = buyer.holds(&ticket).await;
    let payment =
        buyer.pays(&order, "tok_visa").await.expect(201)["id"].as_str().unwrap().to_owned();
    buyer.sees_order(&order, "complete").await;
    seller.sees_ticket(&ticket, "sold").await;

    buyer.refunds(&payment).await.problem(403, "not-allowed");
    other.refunds(&payment).await.problem(403, "not-allowed");
    assert_eq!(seller.refunds(&payment).await.expect(202)["status"], "refunding");
    seller.refunds(&payment).await.problem(409, "not-refundable");

    let ended = buyer.sees_order(&order, "cancelled").await;
    assert_eq!(ended["cancelReason"], "refunded");
    let refunded = buyer.payment(&order).await;
    assert_eq!(refunded["status"], "refunded");
    assert!(refunded["stripeRefundId"].as_str().unwrap().starts_with("re_"));
    let ledger = stack.stripe_ledger().await;
    let mut refunds = ledger["refunds"].as_array().unwrap().iter();
    let ours = refunds.find(|refund| refund["id"] == refunded["stripeRefundId"]).unwrap();
    assert_eq!((&ours["amount"], &ours["status"]), (&json!(3500), &json!("succeeded")));

    other.sees_ticket(&ticket, "available").await;
    other.holds(&ticket).await;
}

#[tokio::test]
async fn a_hold_expires() {
    let stack = shared::hasty().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Norma", "20.50").await;
    let order = buyer.holds(&ticket).await;
    let held = buyer.sees_order(&order, "awaiting:payment").await;
    let end = Time::parse(held["expiresAt"].as_str().unwrap()).unwrap();

    // The order is cancelled, also in the database, and the ticket is back, within two seconds of the end.
    let written = eventually("the end to be written down", || async {
        let order = buyer.order(&order).await;
        (order["version"].as_i64() > held["version"].as_i64()).then_some(order)
    })
    .await;
    assert_eq!(
        (&written["status"], &written["cancelReason"]),
        (&json!("cancelled"), &json!("expired"))
    );
    seller.sees_ticket(&ticket, "available").await;
    let unlocked = eventually("the ticket to be unlocked", || async {
        let edit = json!({ "title": "Norma", "price": "21.00" });
        let answer = seller.client.put(&format!("/api/tickets/{ticket}"), edit).await;
        (answer.status == 200).then(|| common::Clock::system().now())
    })
    .await;
    assert!(
        unlocked <= end + Duration::from_secs(2),
        "the end was {end}, the ticket is back at {unlocked}"
    );

    buyer.pays(&order, "tok_visa").await.problem(409, "order-expired");
    buyer.cancels(&order).await.problem(409, "order-expired");
    other.holds(&ticket).await;
}
