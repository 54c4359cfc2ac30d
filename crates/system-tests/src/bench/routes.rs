//! The routes that are called most, at the services themselves: the gateway would be measured instead.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use serde_json::json;

use super::cpu::CpuTimes;
use super::figures::{self, Figure};
use super::load;
use super::visitor::Visitor;
use crate::Stack;

const IN_FLIGHT: usize = 32;
const DURATION: Duration = Duration::from_secs(4);
/// As many listings as several pages have.
const LISTINGS: usize = 60;

pub async fn measure(stack: &Stack) -> Result<Vec<Figure>> {
    let (auth, tickets, web) = (stack.url_of("auth"), stack.url_of("tickets"), stack.url_of("web"));
    let anyone = Visitor::new();
    let seller = anyone.sign_up(&auth).await?;
    let mut listing = String::new();
    for number in 0..LISTINGS {
        let listed = json!({ "title": format!("Lakmé {number}"), "price": "20.50", "quantity": 1000, "maxPerOrder": 1 });
        listing = seller.post(&format!("{tickets}/api/tickets"), &listed).await?.created()?;
    }
    let reads = [
        ("GET /api/users/currentuser", format!("{auth}/api/users/currentuser"), &seller),
        ("GET /api/tickets/{id}", format!("{tickets}/api/tickets/{listing}"), &anyone),
        ("GET /api/tickets", format!("{tickets}/api/tickets"), &anyone),
        ("page /", format!("{web}/"), &anyone),
        ("page /, signed in", format!("{web}/"), &seller),
        ("page /tickets/{id}", format!("{web}/tickets/{listing}"), &anyone),
    ];
    let mut figures = Vec::new();
    for (name, url, visitor) in reads {
        let visitor = visitor.clone();
        figures.extend(read(stack, name, Arc::from(url), visitor).await?);
    }
    Ok(figures)
}

/// How much is answered, and how fast at half of that.
async fn read(stack: &Stack, name: &str, url: Arc<str>, visitor: Visitor) -> Result<Vec<Figure>> {
    let request = move |_| {
        let (visitor, url) = (visitor.clone(), url.clone());
        async move {
            let status = visitor.get(&url).await?.status;
            ensure!(status == StatusCode::OK, "{url}: {status}");
            Ok(())
        }
    };
    let before = CpuTimes::of(stack);
    let capacity = load::closed(IN_FLIGHT, DURATION, request.clone()).await?;
    let cpu = CpuTimes::of(stack).since(&before, capacity.answered);
    let latencies = load::open(capacity.per_second() / 2.0, DURATION, request).await?;
    let mut figures = vec![
        Figure::rate(name, "answered, 32 in flight", capacity.per_second(), "/s"),
        Figure::millis(name, "median at half of it", latencies.percentile(50.0)),
        Figure::millis(name, "p99 at half of it", latencies.percentile(99.0)),
    ];
    figures.extend(figures::cpu(name, &cpu));
    Ok(figures)
}
