//! The walkthroughs of docs/walkthroughs.md, each a test of the same name.

use std::collections::BTreeSet;
use std::time::Duration;

use common::Time;
use serde_json::json;
use system_tests::{Person, Stack, clock};
use testkit::{Response, eventually};

use crate::shared;

#[tokio::test]
async fn a_ticket_is_offered() {
    let stack = shared::default().await;
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
    let stack = shared::default().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Aida", "20.50").await;
    let order = buyer.reserves(&ticket).await;

    other.orders(&ticket).await.problem(409, "ticket-reserved");
    let mine = buyer.orders(&ticket).await.problem(409, "ticket-reserved");
    assert_eq!(mine["orderId"], json!(order));

    let held = buyer.sees_ticket(&ticket, "reserved").await;
    assert_eq!(held["orderId"], json!(order));
    let seen = buyer.sees_order(&order, "awaiting:payment").await;
    assert_eq!(held["reservedUntil"], seen["expiresAt"]);
    assert!(other.ticket(&ticket).await.get("orderId").is_none(), "only the buyer sees the order");
    seller.client.delete(&format!("/api/tickets/{ticket}")).await.problem(409, "ticket-reserved");

    // After the cancellation, another buyer can reserve it.
    buyer.cancels(&order).await.expect(204);
    other.reserves(&ticket).await;
    let held = other.sees_ticket(&ticket, "reserved").await;
    assert_ne!(held["orderId"], json!(order));
}

#[tokio::test]
async fn three_of_ten_tickets_are_sold() {
    let stack = shared::default().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let listing = json!({ "title": "Ten", "price": "20.50", "quantity": 10, "maxPerOrder": 8 });
    let listed = seller.client.post("/api/tickets", listing).await.expect(201);
    let ticket = listed["id"].as_str().unwrap().to_owned();
    let counts = async |expected: [u64; 3]| {
        eventually(&format!("(available, reserved, sold) to be {expected:?}"), || async {
            let shown = other.ticket(&ticket).await;
            let now = ["available", "reserved", "sold"].map(|name| shown[name].as_u64().unwrap());
            (now == expected).then_some(shown)
        })
        .await
    };
    let order = buyer.orders_many(&ticket, 3).await.expect(201);
    assert_eq!((&order["quantity"], &order["total"]), (&json!(3), &json!("61.50")));
    let places: BTreeSet<u64> =
        order["places"].as_array().unwrap().iter().map(|place| place.as_u64().unwrap()).collect();
    assert!(places.len() == 3 && places.iter().all(|place| (1..=10).contains(place)), "{order}");
    let order = order["id"].as_str().unwrap();
    buyer.sees_order(order, "awaiting:payment").await;
    assert_eq!(counts([7, 3, 0]).await["status"], "available");

    // More than are left, and more than one order may have.
    let refused = other.orders_many(&ticket, 8).await.problem(409, "not-enough-left");
    assert_eq!(refused["available"], 7);
    assert_eq!(other.orders_many(&ticket, 9).await.invalid_fields(), ["quantity"]);

    let payment = buyer.pays(order, "tok_visa").await.expect(201);
    assert_eq!(payment["amount"], "61.50");
    buyer.sees_order(order, "complete").await;
    counts([7, 0, 3]).await;

    // Buyers rely on the details.
    let edit = async |title: &str, quantity: u64| {
        let edit = json!({ "title": title, "price": "25", "quantity": quantity });
        seller.client.put(&format!("/api/tickets/{ticket}"), edit).await
    };
    let fixed = edit("Eleven", 10).await.problem(409, "details-fixed");
    assert_eq!(fixed["fields"], json!(["title"]));
    assert_eq!(edit("Ten", 9).await.invalid_fields(), ["quantity"]);
    edit("Ten", 12).await.expect(200);
    counts([9, 0, 3]).await;

    // Nothing goes back on sale unasked.
    seller.withdraws(payment["id"].as_str().unwrap()).await.expect(202);
    assert_eq!(buyer.sees_order(order, "cancelled").await["cancelReason"], "refunded");
    counts([9, 0, 0]).await;
    for _ in 0..4 {
        let order = other.orders_many(&ticket, 2).await.expect(201);
        let taken = order["places"].as_array().unwrap().iter().map(|place| place.as_u64().unwrap());
        assert!(taken.into_iter().all(|place| !places.contains(&place)), "{order}");
    }
    other.orders_many(&ticket, 2).await.problem(409, "not-enough-left");
}

#[tokio::test]
async fn a_ticket_is_paid() {
    let stack = shared::default().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Tosca", "35.00").await;
    let order = buyer.reserves(&ticket).await;

    // Without a pause: a new order can be paid immediately.
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
    let stack = shared::default().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Fidelio", "35.00").await;
    let order = buyer.reserves(&ticket).await;
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
    other.reserves(&ticket).await;
}

#[tokio::test]
async fn a_hold_expires() {
    let stack = shared::short_reservations().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Norma", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    let held = buyer.sees_order(&order, "awaiting:payment").await;
    let end = Time::parse(held["expiresAt"].as_str().unwrap()).unwrap();

    // The order is cancelled, and the ticket unlocked, within two seconds of the expiry.
    let written = eventually("the expiry to be recorded", || async {
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
        let response = seller.client.put(&format!("/api/tickets/{ticket}"), edit).await;
        (response.status == 200).then(|| common::Clock::system().now())
    })
    .await;
    assert!(unlocked <= end + Duration::from_secs(2), "expiry at {end}, unlocked at {unlocked}");

    buyer.pays(&order, "tok_visa").await.problem(409, "order-expired");
    buyer.cancels(&order).await.problem(409, "order-expired");
    other.reserves(&ticket).await;
}

/// The buyer pays shortly before the expiry, and Stripe responds after it.
async fn pay_late(stack: &Stack, buyer: &Person, order: &str) -> Response {
    let end = buyer.end_of(order).await;
    stack.lose_webhooks().await;
    stack.inject_stripe_fault("/v1/payment_intents/*/confirm", "slow", Some(1), 5000).await;
    clock::until(end - Duration::from_secs(3)).await;
    let response = buyer.pays(order, "tok_visa").await;
    assert!(clock::now() > end + Duration::from_secs(1));
    stack.clear_stripe_faults().await;
    response
}

#[tokio::test]
async fn a_ticket_is_paid_a_second_too_late_and_honoured() {
    let stack = shared::exclusive_with_short_reservations().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Jenůfa", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    let (paid, ended) = tokio::join!(pay_late(&stack, &buyer, &order), async {
        eventually("the expiry to be recorded", || async {
            Some(buyer.order(&order).await).filter(|order| order["version"] == 3)
        })
        .await
    });
    assert_eq!(
        (&ended["status"], &ended["cancelReason"]),
        (&json!("cancelled"), &json!("expired"))
    );
    assert!([201, 202].contains(&paid.status.as_u16()), "{}", paid.text);
    buyer.sees_payment(&order, "completed").await;

    let complete = buyer.sees_order(&order, "complete").await;
    assert_eq!((&complete["version"], &complete["paymentId"]), (&json!(4), &paid.body["id"]));
    assert!(complete.get("cancelReason").is_none());
    let sold = buyer.sees_ticket(&ticket, "sold").await;
    assert_eq!(sold["orderId"], json!(order));
    other.orders(&ticket).await.problem(409, "ticket-sold");
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&order).len(), ledger.refunds(&order).len()), (1, 0));
}

#[tokio::test]
async fn a_ticket_is_paid_a_second_too_late_and_nobody_is_charged() {
    let stack = shared::exclusive_with_short_reservations().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Rusalka", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    let end = buyer.end_of(&order).await;
    let (paid, next) = tokio::join!(pay_late(&stack, &buyer, &order), async {
        clock::until(end).await;
        other.reserves(&ticket).await
    });
    // Of the ten seconds that a response waits, Stripe has taken five.
    if paid.status != 202 {
        let refused = paid.problem(409, "order-cancelled");
        assert!(refused["detail"].as_str().unwrap().contains("not charged"), "{refused}");
    }

    buyer.sees_payment(&order, "released").await;
    let ended = buyer.order(&order).await;
    assert_eq!(
        (&ended["status"], &ended["cancelReason"]),
        (&json!("cancelled"), &json!("expired"))
    );
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&order).len(), ledger.refunds(&order).len()), (0, 0));

    // The next buyer is not affected.
    other.pays(&next, "tok_visa").await.expect(201);
    let sold = other.sees_ticket(&ticket, "sold").await;
    assert_eq!(sold["orderId"], json!(next));
}

#[tokio::test]
async fn a_service_dies_in_the_middle() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Elektra", "20.50").await;

    // orders is killed during the request; a repeat creates the order or finds it.
    let frozen = stack.freeze("mongod").await;
    let (first, ()) = tokio::join!(buyer.orders(&ticket), async {
        clock::until(clock::now() + Duration::from_millis(300)).await;
        stack.kill("orders").await;
    });
    first.problem(503, "unavailable");
    drop(frozen);
    let order = eventually("the order to be placed", || async {
        let response = buyer.orders(&ticket).await;
        let placed =
            if response.status == 201 { &response.body["id"] } else { &response.body["orderId"] };
        placed.as_str().map(str::to_owned)
    })
    .await;

    // tickets is killed before it has locked the ticket, and locks it after the restart.
    stack.kill("tickets").await;
    stack.is_ready("tickets").await;
    assert_eq!(buyer.sees_ticket(&ticket, "reserved").await["orderId"], json!(order));
    buyer.sees_order(&order, "awaiting:payment").await;

    // payments is killed while Stripe authorises the card, and retrieves the outcome after the restart.
    stack.lose_webhooks().await;
    stack.inject_stripe_fault("/v1/payment_intents/*/confirm", "slow", Some(1), 3000).await;
    let kill = async {
        eventually("Stripe to have authorised the card", || async {
            (stack.stripe_ledger().await.authorisations(&order).len() == 1).then_some(())
        })
        .await;
        stack.kill("payments").await;
    };
    let (response, ()) = tokio::join!(buyer.pays(&order, "tok_visa"), kill);
    response.problem(503, "unavailable");
    stack.is_ready("payments").await;
    let again = buyer.pays(&order, "tok_visa").await;
    assert_eq!(again.status, 409, "in progress, or paid: {}", again.text);
    let payment = buyer.sees_payment(&order, "completed").await;
    stack.clear_stripe_faults().await;

    // orders is killed before it has consumed the event.
    stack.kill("orders").await;
    stack.is_ready("orders").await;
    let complete = buyer.sees_order(&order, "complete").await;
    assert_eq!(complete["paymentId"], payment["id"]);
    buyer.sees_ticket(&ticket, "sold").await;
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&order).len(), ledger.refunds(&order).len()), (1, 0));
    let orders = buyer.client.get("/api/orders").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_broker_is_wiped() {
    let stack = shared::exclusive().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = seller.offers("Arabella", "20.50").await;
    let tried = other.reserves(&ticket).await;
    other.cancels(&tried).await.expect(204);
    buyer.sees_ticket(&ticket, "available").await;

    // The broker loses its disk. Known tickets can be ordered; new ones wait in the outbox.
    let nats = stack.keep_down("nats").await;
    nats.wipe();
    let order = buyer.reserves(&ticket).await;
    let new = seller.offers("Capriccio", "35.00").await;
    drop(nats);

    // Streams and consumers are recreated, and the sale continues.
    buyer.sees_order(&order, "awaiting:payment").await;
    eventually("payments to have the order", || async {
        buyer.can_pay(&order, "tok_visa").await.then_some(())
    })
    .await;
    buyer.sees_order(&order, "complete").await;
    buyer.sees_ticket(&ticket, "sold").await;

    let order = eventually("the new ticket to be for sale", || async {
        let response = other.orders(&new).await;
        (response.status == 201).then(|| response.body["id"].as_str().unwrap().to_owned())
    })
    .await;
    other.sees_order(&order, "awaiting:payment").await;
    assert!(other.can_pay(&order, "tok_visa").await);
    other.sees_ticket(&new, "sold").await;
}
