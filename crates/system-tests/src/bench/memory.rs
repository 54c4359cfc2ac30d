//! The memory of each service after many requests of all kinds.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use super::figures::{Better, Figure};
use super::load;
use super::visitor::Visitor;
use crate::{Stack, workspace};

const REQUESTS: usize = 200_000;
const IN_FLIGHT: usize = 32;

pub async fn measure(stack: &Stack) -> Result<Vec<Figure>> {
    let (auth, tickets, orders, web) = (
        stack.url_of("auth"),
        stack.url_of("tickets"),
        stack.url_of("orders"),
        stack.url_of("web"),
    );
    let anyone = Visitor::new();
    // Many at once, as a rush of sign-ups has them: each hash takes memory.
    let signing_up = (anyone.clone(), auth.clone());
    let people = load::each(16, 128, move |_| {
        let (anyone, auth) = signing_up.clone();
        async move { anyone.sign_up(&auth).await }
    })
    .await?;
    let listing = json!({ "title": "Lakmé", "price": "20.50", "quantity": 1000, "maxPerOrder": 1 });
    let ticket = people[0].post(&format!("{tickets}/api/tickets"), &listing).await?.created()?;
    let urls: Arc<[String]> = Arc::from([
        format!("{auth}/api/users/currentuser"),
        format!("{tickets}/api/tickets/{ticket}"),
        format!("{tickets}/api/tickets?q=lakm"),
        format!("{orders}/api/orders"),
        format!("{web}/"),
        format!("{web}/tickets/{ticket}"),
        format!("{}/api/payments", stack.url_of("payments")),
    ]);
    let people: Arc<[Visitor]> = people.into();
    load::each(IN_FLIGHT, REQUESTS, move |number| {
        let (people, urls) = (people.clone(), urls.clone());
        async move {
            let (person, url) = (&people[number % people.len()], &urls[number % urls.len()]);
            person.get(url).await.map(drop)
        }
    })
    .await?;
    let processes = stack.processes();
    let figures = workspace::services().into_iter().filter_map(|service| {
        let memory = processes.get(&service)?.memory() as f64 / 1_000_000.0;
        Some(Figure::new("memory after 200,000 requests", &service, memory, "MB", Better::Lower))
    });
    Ok(figures.collect())
}
