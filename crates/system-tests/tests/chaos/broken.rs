//! What one sees while something is broken, or breaks off itself.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use system_tests::Stack;
use system_tests::chaos::{Processes, Target};
use testkit::{Answer, Client, eventually};

/// Lets a process go on, however the test ends.
struct Stopped(Target);

impl Stopped {
    async fn process(stack: &Stack, name: &str) -> Stopped {
        let target = Processes::of(stack.root()).find(name).await.unwrap();
        assert!(target.send(Signal::SIGSTOP));
        Stopped(target)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.send(Signal::SIGCONT);
    }
}

#[tokio::test]
async fn a_stopped_mongod_makes_a_503_within_seconds_and_not_a_hang() {
    let _alone = crate::alone().await;
    let stack = Stack::start("stopped-mongod", &[]);
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Don Giovanni", "20.50").await;
    let order = buyer.holds(&ticket).await;
    buyer.sees_order(&order, "awaiting:payment").await;

    let mongod = Stopped::process(&stack, "mongod").await;
    let visitor = stack.visitor();
    let sign_up = json!({ "email": "late@example.com", "password": "correct horse" });
    let offer = json!({ "title": "Idomeneo", "price": 20 });
    let pay = json!({ "orderId": order, "token": "tok_visa" });
    let order_path = format!("/api/orders/{order}");
    tokio::join!(
        unavailable(8, visitor.get("/api/tickets")),
        unavailable(8, visitor.post("/api/users/signup", sign_up)),
        unavailable(8, seller.client.post("/api/tickets", offer)),
        unavailable(8, buyer.client.get(&order_path)),
        // A payment may take as long as Stripe does.
        unavailable(18, buyer.client.post("/api/payments", pay)),
    );
    drop(mongod);

    eventually("the order to be paid", || async {
        let answer = buyer.pays(&order, "tok_visa").await;
        (answer.status == 201 || answer.body["type"] == "/problems/already-paid").then_some(())
    })
    .await;
    buyer.sees_order(&order, "complete").await;
    let ledger = stack.stripe_ledger().await;
    assert_eq!(ledger["totals"]["usd"]["charged"], 2050);
}

/// Says 503 within so many seconds.
async fn unavailable(limit: u64, answer: impl Future<Output = Answer>) {
    let begun = Instant::now();
    answer.await.problem(503, "unavailable");
    assert!(begun.elapsed() < Duration::from_secs(limit), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_changes_nothing() {
    let _alone = crate::alone().await;
    let stack = Stack::start("hang-up", &[]);
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let mut begun = 0;
    for round in 0..24_u64 {
        // From before the request has arrived, to after it is done.
        let patience = Duration::from_millis(2 * round);
        let ticket = seller.offers("Così fan tutte", "20.50").await;
        hang_up(patience, &buyer.client, "/api/orders", json!({ "ticketId": ticket })).await;
        let again = buyer.orders(&ticket).await;
        let order = match again.status.as_u16() {
            201 => again.body["id"].clone(),
            // The order that nobody waited for was made.
            _ => again.problem(409, "ticket-reserved")["orderId"].clone(),
        };
        let order = order.as_str().expect("one's own order").to_owned();
        begun += u64::from(again.status == 409);

        let pay = json!({ "orderId": order, "token": "tok_visa" });
        hang_up(patience, &buyer.client, "/api/payments", pay).await;
        eventually("the order to be paid", || async {
            let again = buyer.pays(&order, "tok_visa").await;
            let paid = Value::from("/problems/already-paid");
            (again.status == 201 || again.body["type"] == paid).then_some(())
        })
        .await;
        buyer.sees_order(&order, "complete").await;
    }
    assert!(begun > 0, "nobody was in the middle of anything");
    let totals = stack.stripe_ledger().await["totals"]["usd"].clone();
    assert_eq!((&totals["charges_succeeded"], &totals["charged"]), (&json!(24), &json!(24 * 2050)));
}

/// Asks, and closes the connection after this time.
async fn hang_up(patience: Duration, client: &Client, path: &str, body: Value) {
    drop(tokio::time::timeout(patience, client.post(path, body)).await);
}
