//! How long `/` takes with ten tickets on sale, and with ten thousand: it must not grow with the market.
//! `cargo xtask test -- --bench front_page` runs it.

use std::time::{Duration, Instant};

use system_tests::Stack;

const ROUNDS: usize = 300;

#[tokio::main]
async fn main() {
    let stack = Stack::start("bench", &[]);
    let seller = stack.person("seller").await;
    // As many as fill a page: a longer page takes longer, whatever the market.
    for number in 0..30 {
        seller
            .offers(&format!("A night at the opera, number {number}, in the stalls"), "20.50")
            .await;
    }
    let few = median(&stack).await;
    stack.crowd(10_000).await;
    let many = median(&stack).await;
    println!(
        "the front page: median {few:?} with a page of tickets, {many:?} with 10,000, {ROUNDS} rounds"
    );
    assert!(many < few * 2, "it grows with the market");
}

async fn median(stack: &Stack) -> Duration {
    let visitor = stack.visitor();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        assert_eq!(visitor.get("/").await.status, 200);
        times.push(begun.elapsed());
    }
    times.sort();
    times[ROUNDS / 2]
}
