//! The latency of `/` with one page of listings and with ten thousand: it must not depend on their number.
//! `cargo xtask test -- --bench front_page` runs it.

use std::time::{Duration, Instant};

use system_tests::Stack;

const ROUNDS: usize = 300;

#[tokio::main]
async fn main() {
    let stack = Stack::start("bench", &[]);
    let seller = stack.person("seller").await;
    // A full page: a longer one takes longer, independently of the number of listings.
    for number in 0..30 {
        seller
            .offers(&format!("A night at the opera, number {number}, in the stalls"), "20.50")
            .await;
    }
    let few = median(&stack).await;
    stack.fill_with_listings(10_000).await;
    let many = median(&stack).await;
    println!(
        "the front page: median {few:?} with a page of tickets, {many:?} with 10,000, {ROUNDS} rounds"
    );
    assert!(many < few * 2, "the latency depends on the number of listings");
}

async fn median(stack: &Stack) -> Duration {
    let visitor = stack.visitor();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        assert_eq!(visitor.get("/").await.status, 200);
        times.push(started.elapsed());
    }
    times.sort();
    times[ROUNDS / 2]
}
