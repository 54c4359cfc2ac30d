//! While a part of the system is down, the rest sells on; when it is back, all agree again.

use std::time::Duration;

use bson::doc;
use common::Time;
use futures::future::{join_all, join3};
use redis::AsyncCommands;
use serde_json::{Value, json};
use system_tests::{Person, Stack, clock};
use testkit::{Client, Method, Response, eventually};
use tokio::time::Instant;

use crate::shared::{self, SERVICES};

/// What *at the second that the hold ends* allows.
const A_SECOND: Duration = Duration::from_secs(1);

/// Two tickets that are held, and someone who waits for the first of them.
struct Market<'a> {
    stack: &'a Stack,
    seller: Person,
    buyer: Person,
    next: Person,
    wanted: String,
    unwanted: String,
}

impl Market<'_> {
    async fn open(stack: &Stack) -> Market<'_> {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        let next = stack.person("next").await;
        let (wanted, unwanted) =
            (seller.offers("Salome", "20.50").await, seller.offers("Daphne", "20.50").await);
        // The replicas have heard of them.
        let order = buyer.holds(&unwanted).await;
        buyer.cancels(&order).await.expect(204);
        seller.sees_ticket(&unwanted, "available").await;
        Market { stack, seller, buyer, next, wanted, unwanted }
    }

    /// The next buyer gets the wanted ticket when its hold ends, not sooner, and within a second; and that
    /// is when both are shown as available. Answers with the next buyer's order.
    async fn is_free_at_the_second(&self, holds: [&str; 2]) -> String {
        let [wanted, unwanted] = holds;
        let (end, other_end) = (self.end(wanted).await, self.end(unwanted).await);
        let takes_it = async {
            clock::until(end - Duration::from_millis(300)).await;
            loop {
                let (asked, answer) = (clock::now(), self.next.orders(&self.wanted).await);
                if answer.status == 201 {
                    assert!(clock::now() >= end, "it was to be had too soon");
                    assert!(asked <= end + A_SECOND, "asked at {asked} for a hold until {end}");
                    return answer.body["id"].as_str().unwrap().to_owned();
                }
                answer.problem(409, "ticket-reserved");
                assert!(asked < end, "asked at {asked} for a hold until {end}");
            }
        };
        let (order, (), ()) = join3(
            takes_it,
            self.is_listed(&self.wanted, end),
            self.is_listed(&self.unwanted, other_end),
        )
        .await;
        order
    }

    /// At that moment, not before, it is on the list as available.
    async fn is_listed(&self, ticket: &str, end: Time) {
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
        // Unless the next buyer's order has locked it again by now.
        let relocked = ticket == self.wanted && shown == "reserved";
        assert!(shown == "available" || relocked, "{shown}");
    }

    async fn end(&self, order: &str) -> Time {
        self.buyer.end_of(order).await
    }

    /// All replicas know who has which ticket: the next buyer can pay the one, the seller change the
    /// other, and no timer is left.
    async fn agrees_again(&self, order: &str, gone: [&str; 2]) {
        let Market { stack, seller, buyer, next, wanted, unwanted } = self;
        eventually("the ticket to be locked for the next buyer", || async {
            (seller.ticket(wanted).await["orderId"] == json!(order)).then_some(())
        })
        .await;
        eventually("the order to be known to payments", || async {
            (next.pays(order, "tok_visa").await.status == 201).then_some(())
        })
        .await;
        next.sees_order(order, "complete").await;
        seller.sees_ticket(wanted, "sold").await;
        eventually("the other ticket to be unlocked", || async {
            let edit = json!({ "title": "Daphne", "price": "21.00" });
            let answer = seller.client.put(&format!("/api/tickets/{unwanted}"), edit).await;
            (answer.status == 200).then_some(())
        })
        .await;
        let expiration =
            stack.database("expiration").await.collection::<bson::Document>("schedules");
        for order in gone {
            let ended = buyer.order(order).await;
            assert_eq!(
                (&ended["status"], &ended["cancelReason"]),
                (&json!("cancelled"), &json!("expired"))
            );
        }
        eventually("expiration to have nothing due", || async {
            let due = doc! { "state": "scheduled", "expiresAt": { "$lt": bson::DateTime::now() } };
            let overdue = expiration.count_documents(due).await.unwrap();
            (overdue == 0 && timers(stack).await == 0).then_some(())
        })
        .await;
    }
}

/// How many timers Redis has that are due.
async fn timers(stack: &Stack) -> i64 {
    let redis = redis::Client::open(format!("redis://127.0.0.1:{}", stack.port("redis"))).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    redis.zcount("expiration:due", "-inf", clock::now().millis()).await.unwrap()
}

#[tokio::test]
async fn with_expiration_and_redis_down_a_hold_ends_at_its_second_and_all_agree_when_they_are_back()
{
    let stack = shared::brittle().await;
    let market = Market::open(&stack).await;
    // One hold that they have heard of, and one that they haven't.
    let first = market.buyer.holds(&market.wanted).await;
    market.buyer.sees_order(&first, "awaiting:payment").await;
    let expiration = stack.hold_down("expiration").await;
    let redis = stack.hold_down("redis").await;
    let second = market.buyer.holds(&market.unwanted).await;
    market.seller.sees_ticket(&market.unwanted, "reserved").await;

    let order = market.is_free_at_the_second([&first, &second]).await;
    redis.wipe();
    drop((expiration, redis));
    stack.is_ready("expiration").await;
    market.agrees_again(&order, [&first, &second]).await;
}

#[tokio::test]
async fn with_the_broker_down_a_hold_ends_at_its_second_and_all_agree_when_it_is_back() {
    let stack = shared::brittle().await;
    let market = Market::open(&stack).await;
    let first = market.buyer.holds(&market.wanted).await;
    let second = market.buyer.holds(&market.unwanted).await;
    for ticket in [&market.wanted, &market.unwanted] {
        market.seller.sees_ticket(ticket, "reserved").await;
    }
    let nats = stack.hold_down("nats").await;
    let order = market.is_free_at_the_second([&first, &second]).await;
    drop(nats);
    market.agrees_again(&order, [&first, &second]).await;
}

/// Longer than any request may take.
const AT_MOST: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_database_that_is_silent_makes_a_503_within_seconds_and_nothing_is_lost_or_done_twice() {
    let stack = shared::fragile().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let offers = async |title: &str| seller.offers(title, "20.50").await;
    let (free, edited, deleted) =
        (offers("Aida").await, offers("Ernani").await, offers("Attila").await);
    let (held, given_up, sold) =
        (offers("Nabucco").await, offers("Otello").await, offers("Alzira").await);
    let (unpaid, cancelled) = (buyer.holds(&held).await, buyer.holds(&given_up).await);
    let paid = buyer.holds(&sold).await;
    let payment =
        buyer.pays(&paid, "tok_visa").await.expect(201)["id"].as_str().unwrap().to_owned();
    for order in [&unpaid, &cancelled] {
        buyer.sees_order(order, "awaiting:payment").await;
    }
    buyer.sees_order(&paid, "complete").await;
    let email = format!("violetta-{}@example.com", uuid::Uuid::now_v7());
    let account = json!({ "email": email, "password": "correct horse" });
    let ticket = json!({ "title": "Macbeth", "price": "20.50" });

    let asleep = stack.freeze("mongod");
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let none = || json!({});
    let (sellers, buyers) = (&seller.client, &buyer.client);
    let requests: Vec<(&Client, &Method, String, Value)> = vec![
        (buyers, &post, "/api/users/signup".into(), account.clone()),
        (buyers, &post, "/api/users/signin".into(), account.clone()),
        (buyers, &post, "/api/users/refresh".into(), none()),
        (buyers, &get, "/api/tickets".into(), none()),
        (buyers, &get, format!("/api/tickets/{free}"), none()),
        (sellers, &post, "/api/tickets".into(), ticket.clone()),
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
    let begun = Instant::now();
    let answers = requests.into_iter().map(|(client, method, path, body)| {
        client.request(method.clone(), &path).json(body).send()
    });
    for answer in join_all(answers).await {
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert!(begun.elapsed() < AT_MOST, "{:?}", begun.elapsed());
    for service in SERVICES {
        stack.admin_port(service).get("/readyz").await.expect(503);
        stack.admin_port(service).get("/healthz").await.expect(200);
    }
    drop(asleep);
    for service in SERVICES {
        stack.is_ready(service).await;
    }

    // What was begun is ended; what is asked for again finds it so.
    let again = |client: &Client, method: &Method, path: String, body: Value, done: [u16; 2]| {
        let (client, method) = (client.clone(), method.clone());
        async move {
            eventually(&format!("{method} {path} to be answered"), || async {
                let answer: Response =
                    client.request(method.clone(), &path).json(body.clone()).send().await;
                done.contains(&answer.status.as_u16()).then_some(())
            })
            .await;
        }
    };
    again(buyers, &post, "/api/users/signup".into(), account.clone(), [409, 409]).await;
    again(buyers, &post, "/api/orders".into(), json!({ "ticketId": free }), [409, 409]).await;
    again(sellers, &put, format!("/api/tickets/{edited}"), ticket, [200, 200]).await;
    again(sellers, &delete, format!("/api/tickets/{deleted}"), none(), [404, 404]).await;
    again(buyers, &delete, format!("/api/orders/{cancelled}"), none(), [204, 204]).await;
    again(sellers, &post, format!("/api/payments/{payment}/refund"), none(), [409, 409]).await;
    buyer.sees_payment(&paid, "refunded").await;
    buyer.sees_order(&paid, "cancelled").await;
    let orders = buyer.client.get("/api/orders?status=active").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 2, "{orders}");
    let offered = seller.client.get("/api/tickets?mine=true&q=macbeth").await.expect(200);
    assert_eq!(offered["tickets"].as_array().unwrap().len(), 2, "the edited one, and the new one");

    // The buyer was told that nothing was sent: so it is, until they pay again.
    eventually("the attempt to be given up", || async {
        (buyer.payment(&unpaid).await["status"] != "processing").then_some(())
    })
    .await;
    assert_eq!(stack.stripe_ledger().await.charges(&unpaid).len(), 0);
    buyer.pays(&unpaid, "tok_visa").await.expect(201);
    let ledger = stack.stripe_ledger().await;
    assert_eq!((ledger.charges(&unpaid).len(), ledger.charges(&paid).len()), (1, 1));
    assert_eq!((ledger.refunds(&unpaid).len(), ledger.refunds(&paid).len()), (0, 1));
}
