//! The time from `POST /api/orders` until the ticket is shown as reserved: the objective is a median under 50 ms on an
//! idle machine. `cargo xtask test -- --bench hold_to_reserved` runs it.

use std::time::{Duration, Instant};

use system_tests::Stack;

const ROUNDS: usize = 200;
const OBJECTIVE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() {
    let stack = Stack::start("bench", &[]);
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let mut tickets = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        tickets.push(seller.offers("Lakmé", "20.50").await);
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for ticket in tickets {
        let started = Instant::now();
        let order = buyer.reserves(&ticket).await;
        while buyer.ticket(&ticket).await["status"] != "reserved" {}
        times.push(started.elapsed());
        // A buyer may have a few unpaid orders only.
        buyer.cancels(&order).await.expect(204);
    }
    times.sort();
    let (median, slow) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    println!("held to reserved: median {median:?}, 99th percentile {slow:?}, {ROUNDS} rounds");
    assert!(median < OBJECTIVE, "the objective is {OBJECTIVE:?}");
}
