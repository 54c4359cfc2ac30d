//! Concurrent requests.

use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::{Ledger, Person};
use testkit::eventually;

use crate::shared;

#[tokio::test]
async fn one_of_many_concurrent_buyers_gets_the_ticket_and_sixteen_payments_charge_once() {
    let stack = shared::default().await;
    let seller = stack.person("seller").await;
    let buyers = stack.people(24).await;
    for _ in 0..3 {
        let ticket = seller.offers("Salome", "20.50").await;
        let responses = join_all(buyers.iter().map(|buyer| buyer.orders(&ticket))).await;
        let winner = responses.iter().position(|response| response.status == 201).unwrap();
        for (index, response) in responses.iter().enumerate().filter(|(index, _)| *index != winner)
        {
            assert_eq!(response.status, 409, "buyer {index}: {}", response.text);
        }
        let order = responses[winner].body["id"].as_str().unwrap().to_owned();
        let payments = join_all((0..16).map(|_| buyers[winner].pays(&order, "tok_visa"))).await;
        assert_eq!(payments.iter().filter(|response| response.status == 201).count(), 1);
        let intent = buyers[winner].payment(&order).await["stripeId"].clone();
        assert_eq!(charges(&stack.stripe_ledger().await, &order), [intent]);
    }
}

#[tokio::test]
async fn ten_concurrent_requests_under_one_key_make_one_ticket_order_charge_and_refund() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ten = async |person: &Person, path: &str, body: Value, status: u16| {
        let client = person.client.with_idempotency_key(path);
        let responses = join_all((0..10).map(|_| client.post(path, body.clone()))).await;
        for response in &responses {
            assert_eq!(response.stored_parts(), responses[0].stored_parts());
        }
        responses[0].expect(status)["id"].as_str().unwrap().to_owned()
    };
    let ticket = json!({ "title": "Lulu", "price": "20.50" });
    let ticket = ten(&seller, "/api/tickets", ticket, 201).await;
    let order = ten(&buyer, "/api/orders", json!({ "ticketId": ticket }), 201).await;
    let card = json!({ "orderId": order, "token": "tok_visa" });
    let payment = ten(&buyer, "/api/payments", card.clone(), 201).await;
    ten(&seller, &format!("/api/payments/{payment}/refund"), json!({}), 202).await;

    eventually("the refund", || async {
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
async fn a_concurrent_payment_and_cancellation_leave_order_and_charge_consistent() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    for round in 0..20 {
        let ticket = seller.offers("Otello", "20.50").await;
        let order = buyer.reserves(&ticket).await;
        if round % 2 == 0 {
            // Half of the rounds race immediately, half after all services have the order.
            buyer.sees_order(&order, "awaiting:payment").await;
        }
        let (paid, cancelled) = tokio::join!(buyer.pays(&order, "tok_visa"), buyer.cancels(&order));
        assert!([201, 202, 409].contains(&paid.status.as_u16()), "{}", paid.text);
        assert!([204, 409].contains(&cancelled.status.as_u16()), "{}", cancelled.text);

        // It is complete and charged once, or cancelled and no charge is kept.
        eventually("order and charge to be consistent", || async {
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

/// The PaymentIntents of an order's charges.
fn charges(ledger: &Ledger, order: &str) -> Vec<Value> {
    let charges = ledger.charges(order).into_iter();
    charges.map(|charge| charge["payment_intent"].clone()).collect()
}

#[tokio::test]
async fn sixty_concurrent_buyers_get_twenty_places_and_a_second_wave_gets_what_is_left() {
    const PLACES: u64 = 20;
    let stack = shared::default().await;
    let seller = stack.person("seller").await;
    let buyers = stack.people(60).await;
    for _ in 0..2 {
        let ticket = seller.offers_many("Salome", "20.50", 20).await;
        seller.sees_ticket(&ticket, "available").await;
        let orders = |quantity: fn(usize) -> u16| {
            let ticket = &ticket;
            let attempts = buyers.iter().enumerate();
            join_all(attempts.map(move |(index, buyer)| buyer.orders_many(ticket, quantity(index))))
        };
        let mut taken: Vec<u64> = Vec::new();
        // One to four each, and then whoever wants a single one.
        let first = orders(|index| u16::try_from(index % 4 + 1).unwrap()).await;
        let second = orders(|_| 1).await;
        for response in first.iter().chain(&second) {
            match response.status.as_u16() {
                201 => {
                    let places = response.body["places"].as_array().unwrap();
                    assert_eq!(Some(places.len() as u64), response.body["quantity"].as_u64());
                    taken.extend(places.iter().map(|place| place.as_u64().unwrap()));
                }
                409 => {}
                503 => assert!(response.header("retry-after").is_some(), "{}", response.text),
                _ => panic!("{}: {}", response.status, response.text),
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, (1..=PLACES).collect::<Vec<_>>());
        let shown = eventually("all places to be reserved", || async {
            Some(seller.ticket(&ticket).await).filter(|it| it["reserved"] == PLACES)
        })
        .await;
        assert_eq!((&shown["available"], &shown["status"]), (&json!(0), &json!("reserved")));
        // The slots are free again for the next round.
        for response in first.iter().chain(&second).filter(|response| response.status == 201) {
            let (order, buyer) = (&response.body["id"], &response.body["userId"]);
            let buyer = buyers.iter().find(|person| *buyer == person.id).unwrap();
            buyer.cancels(order.as_str().unwrap()).await.expect(204);
        }
    }
}
