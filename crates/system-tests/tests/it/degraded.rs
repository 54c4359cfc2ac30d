//! While a part of the stack is down, the rest continues to sell; after its recovery, all services agree again.

use std::time::Duration;

use bson::doc;
use common::Time;
use futures::future::{join_all, join3};
use redis::AsyncCommands;
use serde_json::{Value, json};
use system_tests::{Person, Stack, clock, workspace};
use testkit::{Client, Method, Response, eventually};
use tokio::time::Instant;

use crate::shared;

/// How late a reservation may end.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Two reserved tickets, and another buyer who waits for the first of them.
struct Scenario<'a> {
    stack: &'a Stack,
    seller: Person,
    buyer: Person,
    next: Person,
    contested: String,
    uncontested: String,
}

impl Scenario<'_> {
    async fn start(stack: &Stack) -> Scenario<'_> {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        let next = stack.person("next").await;
        let (contested, uncontested) =
            (seller.offers("Salome", "20.50").await, seller.offers("Daphne", "20.50").await);
        // The replicas have them.
        let order = buyer.reserves(&uncontested).await;
        buyer.cancels(&order).await.expect(204);
        seller.sees_ticket(&uncontested, "available").await;
        Scenario { stack, seller, buyer, next, contested, uncontested }
    }

    /// The next buyer can reserve the contested ticket when its reservation expires, not before, and within a second; and
    /// both are shown as available from then on. Returns the next buyer's order.
    async fn reservations_expire_on_time(&self, orders: [&str; 2]) -> String {
        let [contested, uncontested] = orders;
        let (end, other_end) = (self.end(contested).await, self.end(uncontested).await);
        let reserves = async {
            clock::until(end - Duration::from_millis(300)).await;
            loop {
                let (sent, response) = (clock::now(), self.next.orders(&self.contested).await);
                if response.status == 201 {
                    assert!(clock::now() >= end, "it was available before the expiry");
                    assert!(sent <= end + TOLERANCE, "sent at {sent}, expiry at {end}");
                    return response.body["id"].as_str().unwrap().to_owned();
                }
                response.problem(409, "ticket-reserved");
                assert!(sent < end, "sent at {sent}, expiry at {end}");
            }
        };
        let (order, (), ()) = join3(
            reserves,
            self.becomes_available(&self.contested, end),
            self.becomes_available(&self.uncontested, other_end),
        )
        .await;
        order
    }

    /// It is listed as available from that time on, not before.
    async fn becomes_available(&self, ticket: &str, end: Time) {
        let visitor = self.stack.visitor();
        let status = async || {
            let list = visitor.get("/api/tickets?limit=100").await.expect(200);
            let found = list["tickets"].as_array().unwrap().iter().find(|it| it["id"] == ticket);
            found.unwrap()["status"].clone()
        };
        clock::until(end - Duration::from_millis(500)).await;
        let shown = status().await;
        assert!(clock::now() >= end || shown == "reserved", "{shown}");
        clock::until(end).await;
        let shown = status().await;
        // Unless the next buyer has reserved it by now.
        let relocked = ticket == self.contested && shown == "reserved";
        assert!(shown == "available" || relocked, "{shown}");
    }

    async fn end(&self, order: &str) -> Time {
        self.buyer.end_of(order).await
    }

    /// All replicas agree: the next buyer can pay for the one ticket, the seller can edit the other, and no timer is left.
    async fn services_agree(&self, order: &str, ended: [&str; 2]) {
        let Scenario { stack, seller, buyer, next, contested, uncontested } = self;
        eventually("the ticket to be locked for the next buyer", || async {
            (seller.ticket(contested).await["orderId"] == json!(order)).then_some(())
        })
        .await;
        eventually("payments to have the order", || async {
            next.can_pay(order, "tok_visa").await.then_some(())
        })
        .await;
        next.sees_order(order, "complete").await;
        seller.sees_ticket(contested, "sold").await;
        eventually("the other ticket to be unlocked", || async {
            let edit = json!({ "title": "Daphne", "price": "21.00" });
            let response = seller.client.put(&format!("/api/tickets/{uncontested}"), edit).await;
            (response.status == 200).then_some(())
        })
        .await;
        let expiration =
            stack.database("expiration").await.collection::<bson::Document>("schedules");
        for order in ended {
            let ended = buyer.order(order).await;
            assert_eq!(
                (&ended["status"], &ended["cancelReason"]),
                (&json!("cancelled"), &json!("expired"))
            );
        }
        eventually("expiration to have no due timers", || async {
            let due = doc! { "state": "scheduled", "expiresAt": { "$lt": bson::DateTime::now() } };
            let overdue = expiration.count_documents(due).await.unwrap();
            (overdue == 0 && timers(stack).await == 0).then_some(())
        })
        .await;
    }
}

/// The number of due timers in Redis.
async fn timers(stack: &Stack) -> i64 {
    let redis = redis::Client::open(format!("redis://127.0.0.1:{}", stack.port("redis"))).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    redis.zcount("expiration:due", "-inf", clock::now().millis()).await.unwrap()
}

#[tokio::test]
async fn with_expiration_and_redis_down_reservations_expire_on_time_and_services_agree_later() {
    let stack = shared::exclusive_with_short_reservations().await;
    let scenario = Scenario::start(&stack).await;
    // One reservation that they know, and one that they don't.
    let first = scenario.buyer.reserves(&scenario.contested).await;
    scenario.buyer.sees_order(&first, "awaiting:payment").await;
    let expiration = stack.keep_down("expiration").await;
    let redis = stack.keep_down("redis").await;
    let second = scenario.buyer.reserves(&scenario.uncontested).await;
    scenario.seller.sees_ticket(&scenario.uncontested, "reserved").await;

    let order = scenario.reservations_expire_on_time([&first, &second]).await;
    redis.wipe();
    drop((expiration, redis));
    stack.is_ready("expiration").await;
    scenario.services_agree(&order, [&first, &second]).await;
}

#[tokio::test]
async fn with_the_broker_down_reservations_expire_on_time_and_services_agree_later() {
    let stack = shared::exclusive_with_short_reservations().await;
    let scenario = Scenario::start(&stack).await;
    let first = scenario.buyer.reserves(&scenario.contested).await;
    let second = scenario.buyer.reserves(&scenario.uncontested).await;
    for ticket in [&scenario.contested, &scenario.uncontested] {
        scenario.seller.sees_ticket(ticket, "reserved").await;
    }
    let nats = stack.keep_down("nats").await;
    let order = scenario.reservations_expire_on_time([&first, &second]).await;
    drop(nats);
    scenario.services_agree(&order, [&first, &second]).await;
}

/// The longest time that a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_unresponsive_database_causes_503_within_seconds_and_no_write_is_lost_or_repeated() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let offers = async |title: &str| seller.offers(title, "20.50").await;
    let (free, edited, deleted) =
        (offers("Aida").await, offers("Ernani").await, offers("Attila").await);
    let (held, given_up, sold) =
        (offers("Nabucco").await, offers("Otello").await, offers("Alzira").await);
    let (unpaid, cancelled) = (buyer.reserves(&held).await, buyer.reserves(&given_up).await);
    let paid = buyer.reserves(&sold).await;
    let payment =
        buyer.pays(&paid, "tok_visa").await.expect(201)["id"].as_str().unwrap().to_owned();
    for order in [&unpaid, &cancelled] {
        buyer.sees_order(order, "awaiting:payment").await;
    }
    buyer.sees_order(&paid, "complete").await;
    let email = format!("violetta-{}@example.com", uuid::Uuid::now_v7());
    let account = json!({ "email": email, "password": "correct horse" });
    // A sign-up would replace the buyer's session.
    let visitor = stack.visitor();
    let ticket = json!({ "title": "Macbeth", "price": "20.50" });

    let frozen = stack.freeze("mongod").await;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let none = || json!({});
    let (sellers, buyers) = (&seller.client, &buyer.client);
    // A query that runs out of time ends in the database, too: what depends on it is done by the repeat.
    let listing = &seller.client.with_idempotency_key(&uuid::Uuid::now_v7().to_string());
    let requests: Vec<(&Client, &Method, String, Value)> = vec![
        (&visitor, &post, "/api/users/signup".into(), account.clone()),
        (&visitor, &post, "/api/users/signin".into(), account.clone()),
        (buyers, &post, "/api/users/refresh".into(), none()),
        (buyers, &get, "/api/tickets".into(), none()),
        (buyers, &get, format!("/api/tickets/{free}"), none()),
        (listing, &post, "/api/tickets".into(), ticket.clone()),
        (sellers, &put, format!("/api/tickets/{edited}"), ticket.clone()),
        (sellers, &delete, format!("/api/tickets/{deleted}"), none()),
        (buyers, &get, "/api/orders".into(), none()),
        (buyers, &get, format!("/api/orders/{unpaid}"), none()),
        (buyers, &post, "/api/orders".into(), json!({ "ticketId": free })),
        (buyers, &delete, format!("/api/orders/{cancelled}"), none()),
        (buyers, &get, format!("/api/payments?orderId={paid}"), none()),
        (buyers, &get, format!("/api/payments/{payment}"), none()),
        (buyers, &post, "/api/payments".into(), json!({ "orderId": unpaid, "token": "tok_visa" })),
        (sellers, &post, format!("/api/payments/{payment}/refund"), none()),
    ];
    let services = workspace::services_with_database();
    let started = Instant::now();
    let responses = requests.into_iter().map(|(client, method, path, body)| {
        client.request(method.clone(), &path).json(body).send()
    });
    for response in join_all(responses).await {
        response.problem(503, "unavailable");
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    assert!(started.elapsed() < REQUEST_LIMIT, "{:?}", started.elapsed());
    for service in &services {
        stack.admin_port(service).get("/readyz").await.expect(503);
        stack.admin_port(service).get("/healthz").await.expect(200);
    }
    drop(frozen);
    for service in &services {
        stack.is_ready(service).await;
    }

    // Every write has been completed, or is by a repeat, and a further one observes it.
    let repeat =
        |client: &Client, method: &Method, path: String, body: Value, expected: [u16; 2]| {
            let (client, method) = (client.clone(), method.clone());
            async move {
                eventually(&format!("{method} {path} to succeed"), || async {
                    let response: Response =
                        client.request(method.clone(), &path).json(body.clone()).send().await;
                    eprintln!("{method} {path}: {} {}", response.status, response.text);
                    expected.contains(&response.status.as_u16()).then_some(())
                })
                .await;
            }
        };
    repeat(&visitor, &post, "/api/users/signup".into(), account.clone(), [409, 409]).await;
    repeat(listing, &post, "/api/tickets".into(), ticket.clone(), [201, 201]).await;
    repeat(buyers, &post, "/api/orders".into(), json!({ "ticketId": free }), [409, 409]).await;
    repeat(sellers, &put, format!("/api/tickets/{edited}"), ticket, [200, 200]).await;
    repeat(sellers, &delete, format!("/api/tickets/{deleted}"), none(), [404, 404]).await;
    repeat(buyers, &delete, format!("/api/orders/{cancelled}"), none(), [204, 204]).await;
    repeat(sellers, &post, format!("/api/payments/{payment}/refund"), none(), [409, 409]).await;
    buyer.sees_payment(&paid, "refunded").await;
    buyer.sees_order(&paid, "cancelled").await;
    let orders = buyer.client.get("/api/orders?status=active").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 2, "{orders}");
    let offered = seller.client.get("/api/tickets?mine=true&q=macbeth").await.expect(200);
    assert_eq!(offered["tickets"].as_array().unwrap().len(), 2, "the edited one, and the new one");

    // The 503 meant that nothing was sent to Stripe: the buyer has to pay again.
    eventually("the attempt to be abandoned", || async {
        (buyer.payment(&unpaid).await["status"] != "processing").then_some(())
    })
    .await;
    assert_eq!(stack.stripe_ledger().await.charges(&unpaid).len(), 0);
    buyer.pays(&unpaid, "tok_visa").await.expect(201);
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&unpaid).len(), ledger.charges(&paid).len()), (1, 1));
    assert_eq!((ledger.refunds(&unpaid).len(), ledger.refunds(&paid).len()), (0, 1));
}
