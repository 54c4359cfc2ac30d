//! Many at once, on the whole marketplace.

use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::{Ledger, Person};
use testkit::eventually;

use crate::shared;

#[tokio::test]
async fn of_many_buyers_at_once_one_gets_the_ticket_and_sixteen_payments_charge_once() {
    let stack = shared::usual().await;
    let seller = stack.person("seller").await;
    let buyers = join_all((0..24).map(|_| stack.person("buyer"))).await;
    for _ in 0..3 {
        let ticket = seller.offers("Salome", "20.50").await;
        let answers = join_all(buyers.iter().map(|buyer| buyer.orders(&ticket))).await;
        let won = answers.iter().position(|answer| answer.status == 201).unwrap();
        for (index, answer) in answers.iter().enumerate().filter(|(index, _)| *index != won) {
            assert_eq!(answer.status, 409, "buyer {index}: {}", answer.text);
        }
        let order = answers[won].body["id"].as_str().unwrap().to_owned();
        let payments = join_all((0..16).map(|_| buyers[won].pays(&order, "tok_visa"))).await;
        assert_eq!(payments.iter().filter(|answer| answer.status == 201).count(), 1);
        let intent = buyers[won].payment(&order).await["stripeId"].clone();
        assert_eq!(charges(&stack.stripe_ledger().await, &order), [intent]);
    }
}

#[tokio::test]
async fn ten_equal_requests_at_once_under_one_key_are_one_ticket_order_charge_and_refund() {
    let stack = shared::usual().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ten = async |person: &Person, path: &str, body: Value, status: u16| {
        let client = person.client.with_idempotency_key(path);
        let answers = join_all((0..10).map(|_| client.post(path, body.clone()))).await;
        for answer in &answers {
            assert_eq!(answer.stored_parts(), answers[0].stored_parts());
        }
        answers[0].expect(status)["id"].as_str().unwrap().to_owned()
    };
    let ticket = json!({ "title": "Lulu", "price": "20.50" });
    let ticket = ten(&seller, "/api/tickets", ticket, 201).await;
    let order = ten(&buyer, "/api/orders", json!({ "ticketId": ticket }), 201).await;
    let card = json!({ "orderId": order, "token": "tok_visa" });
    let payment = ten(&buyer, "/api/payments", card.clone(), 201).await;
    ten(&seller, &format!("/api/payments/{payment}/refund"), json!({}), 202).await;

    eventually("the money to be given back", || async {
        (buyer.payment(&order).await["status"] == "refunded").then_some(())
    })
    .await;
    assert_eq!(ten(&buyer, "/api/payments", card, 201).await, payment);
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&order).len(), ledger.refunds(&order).len()), (1, 1));
    let orders = buyer.client.get("/api/orders").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_payment_and_a_cancel_at_once_agree_on_the_order_and_the_money() {
    let stack = shared::usual().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    for round in 0..20 {
        let ticket = seller.offers("Otello", "20.50").await;
        let order = buyer.holds(&ticket).await;
        if round % 2 == 0 {
            // Half of the rounds race at the very beginning, half when everybody knows of the order.
            buyer.sees_order(&order, "awaiting:payment").await;
        }
        let (paid, cancelled) = tokio::join!(buyer.pays(&order, "tok_visa"), buyer.cancels(&order));
        assert!([201, 202, 409].contains(&paid.status.as_u16()), "{}", paid.text);
        assert!([204, 409].contains(&cancelled.status.as_u16()), "{}", cancelled.text);

        // It is complete and charged once, or cancelled and nothing of it is kept.
        eventually("the order and the money to agree", || async {
            let status = buyer.order(&order).await["status"].clone();
            let ledger = stack.stripe_ledger().await;
            let kept = ledger.charges(&order).len() - ledger.refunds(&order).len();
            let ticket = seller.ticket(&ticket).await["status"].clone();
            match (status.as_str(), kept, ticket.as_str()) {
                (Some("complete"), 1, Some("sold")) | (Some("cancelled"), 0, Some("available")) => {
                    Some(())
                }
                _ => None,
            }
        })
        .await;
    }
}

/// The PaymentIntents on which an order was charged.
fn charges(ledger: &Ledger, order: &str) -> Vec<Value> {
    let charges = ledger.charges(order).into_iter();
    charges.map(|charge| charge["payment_intent"].clone()).collect()
}
