//! How long it takes until others see what somebody has done, on a stack that does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::Clock;
use common::ids::OrderId;
use http::StatusCode;
use serde_json::json;

use super::figures::Figure;
use super::load::Latencies;
use super::visitor::Visitor;
use crate::Stack;

const ROUNDS: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn measure(stack: &Stack) -> Result<Vec<Figure>> {
    let (auth, tickets, orders) =
        (stack.url_of("auth"), stack.url_of("tickets"), stack.url_of("orders"));
    let anyone = Visitor::new();
    let (seller, buyer) = (anyone.sign_up(&auth).await?, anyone.sign_up(&auth).await?);
    let [mut answered, mut confirmed, mut reserved, mut free] = [const { Vec::new() }; 4];
    // An order of a listing that is newer than a moment waits until orders has it.
    let mut listings = Vec::new();
    for _ in 0..ROUNDS {
        let listing = json!({ "title": "Lakmé", "price": "20.50" });
        listings.push(seller.post(&format!("{tickets}/api/tickets"), &listing).await?.created()?);
    }
    for ticket in listings {
        let url = format!("{tickets}/api/tickets/{ticket}");
        let begun = Instant::now();
        let body = json!({ "ticketId": ticket });
        let order = buyer.post(&format!("{orders}/api/orders"), &body).await?.created()?;
        answered.push(begun.elapsed());
        reserved.push(until(&anyone, &url, "reserved", begun).await?);
        let order = format!("{orders}/api/orders/{order}");
        confirmed.push(until(&buyer, &order, "awaiting:payment", begun).await?);
        let begun = Instant::now();
        buyer.delete(&order).await?;
        free.push(until(&anyone, &url, "available", begun).await?);
    }
    let delays = [
        ("order → answered", answered),
        ("order → shown as reserved", reserved),
        ("order → awaiting payment", confirmed),
        ("cancelled → shown as available", free),
    ];
    Ok(delays.into_iter().flat_map(|(name, delays)| figures(name, delays)).collect())
}

/// How long the session of somebody who has signed out everywhere is still accepted, by the last service to refuse it.
pub async fn revocations(stack: &Stack) -> Result<Vec<Figure>> {
    let anyone = Visitor::new();
    // A 401 comes before anything is looked for.
    let order = OrderId::new(Clock::system().now());
    let private = [
        format!("{}/api/tickets?mine=true", stack.url_of("tickets")),
        format!("{}/api/orders", stack.url_of("orders")),
        format!("{}/api/payments?orderId={order}", stack.url_of("payments")),
        format!("{}/api/orders/{order}/mails", stack.url_of("confirmation")),
    ];
    let auth = stack.url_of("auth");
    let mut delays = Vec::new();
    for _ in 0..ROUNDS {
        let user = anyone.sign_up(&auth).await?;
        for url in &private {
            ensure!(user.get(url).await?.status != StatusCode::UNAUTHORIZED, "{url} before");
        }
        let begun = Instant::now();
        let ended = user.delete(&format!("{auth}/api/users/sessions")).await?;
        ensure!(ended.status.is_success(), "signing out everywhere: {}", ended.status);
        for url in &private {
            while user.get(url).await?.status != StatusCode::UNAUTHORIZED {
                ensure!(begun.elapsed() < TIMEOUT, "{url} doesn't refuse it");
            }
        }
        delays.push(begun.elapsed());
    }
    Ok(figures("signed out everywhere → refused by each service", delays).into())
}

fn figures(name: &str, delays: Vec<Duration>) -> [Figure; 2] {
    let delays = Latencies::of(delays);
    [(50.0, "median"), (99.0, "p99")]
        .map(|(percent, figure)| Figure::millis(name, figure, delays.percentile(percent)))
}

/// Asks until it has this status.
async fn until(visitor: &Visitor, url: &str, status: &str, begun: Instant) -> Result<Duration> {
    while visitor.get(url).await?.json()["status"] != status {
        ensure!(begun.elapsed() < TIMEOUT, "{url} isn't {status}");
    }
    Ok(begun.elapsed())
}
