//! Orders, and sales: what they cost in time, in processors, in commands to MongoDB and in messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::events::Stream;
use http::StatusCode;
use serde_json::json;

use super::cpu::CpuTimes;
use super::figures::{self, Figure};
use super::load;
use super::visitor::Visitor;
use crate::Stack;
use crate::commands::{CommandLog, settled};

const IN_FLIGHT: usize = 32;
const DURATION: Duration = Duration::from_secs(10);
/// Listings are of this many; a listing is sold by one order after another.
const QUANTITY: usize = 1000;
/// Counted apart: the recording of commands costs time.
const COUNTED: usize = 256;

pub async fn measure(stack: &Stack) -> Result<Vec<Figure>> {
    let market = Arc::new(Market::open(stack).await?);
    let mut figures = orders(stack, &market).await?;
    figures.extend(sales(stack, &market).await?);
    figures.extend(counts(stack, &market).await?);
    Ok(figures)
}

/// `POST /api/orders` alone. A buyer may have a few unpaid ones only, so each has buyers enough; the rate counts until all
/// events have been handled.
async fn orders(stack: &Stack, market: &Arc<Market>) -> Result<Vec<Figure>> {
    let buyers = market.buyers.len();
    let (before, begun) = (CpuTimes::of(stack), Instant::now());
    let reserving = market.clone();
    // All slots of all buyers.
    let count = buyers * 5;
    let mut orders = load::each(IN_FLIGHT, count, move |number| {
        let market = reserving.clone();
        async move { market.reserve(number % buyers, number).await }
    })
    .await?;
    let answered = begun.elapsed();
    settled(stack).await;
    let cpu = CpuTimes::of(stack).since(&before, count);
    let sustained = begun.elapsed();
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let mut figures = vec![
        Figure::rate("order", "answered, 32 in flight", rate(answered), "/s"),
        Figure::rate("order", "until all events are handled", rate(sustained), "/s"),
    ];
    figures.extend(figures::cpu("order", &cpu));
    // The slots are free again.
    let cancelling = market.clone();
    orders.sort();
    let orders: Arc<[(usize, String)]> = orders.into();
    load::each(IN_FLIGHT, count, move |number| {
        let (market, orders) = (cancelling.clone(), orders.clone());
        async move { market.cancel(&orders[number].1, orders[number].0 % buyers).await }
    })
    .await?;
    settled(stack).await;
    Ok(figures)
}

async fn sales(stack: &Stack, market: &Arc<Market>) -> Result<Vec<Figure>> {
    let before = CpuTimes::of(stack);
    let selling = market.clone();
    let sold = load::closed(IN_FLIGHT, DURATION, move |number| {
        let market = selling.clone();
        async move { market.sell(number).await }
    })
    .await?;
    let begun = Instant::now();
    settled(stack).await;
    let behind = begun.elapsed();
    let cpu = CpuTimes::of(stack).since(&before, sold.answered);
    let mut figures = vec![
        Figure::rate("sale", "paid orders a minute, 32 in flight", sold.per_second() * 60.0, ""),
        Figure::seconds("sale", "until all events are handled", behind),
    ];
    figures.extend(figures::cpu("sale", &cpu));
    Ok(figures)
}

async fn counts(stack: &Stack, market: &Arc<Market>) -> Result<Vec<Figure>> {
    let messages = messages(stack).await?;
    let log = CommandLog::start(stack).await;
    let selling = market.clone();
    load::each(IN_FLIGHT, COUNTED, move |number| {
        let market = selling.clone();
        async move { market.sell(number).await.map(|()| (number, ())) }
    })
    .await?;
    settled(stack).await;
    let commands = log.finish().await;
    println!("{commands}");
    let commands = commands.per(COUNTED);
    let messages = (self::messages(stack).await? - messages) as f64 / COUNTED as f64;
    Ok(vec![
        Figure::count("sale", "MongoDB commands", commands),
        Figure::count("sale", "messages published", messages),
    ])
}

/// How many messages have been published.
async fn messages(stack: &Stack) -> Result<u64> {
    let jetstream = async_nats::jetstream::new(stack.nats().await?);
    let mut published = 0;
    for stream in Stream::ALL {
        published += jetstream.get_stream(stream.name()).await?.cached_info().state.last_sequence;
    }
    Ok(published)
}

/// Listings and buyers. Their requests go to the services themselves.
struct Market {
    orders: String,
    payments: String,
    listings: Vec<String>,
    buyers: Vec<Visitor>,
}

impl Market {
    async fn open(stack: &Stack) -> Result<Market> {
        let (auth, tickets) = (stack.url_of("auth"), stack.url_of("tickets"));
        let anyone = Visitor::new();
        let seller = anyone.sign_up(&auth).await?;
        let mut listings = Vec::new();
        for _ in 0..50 {
            let listing = json!({ "title": "Lakmé", "price": "20.50", "quantity": QUANTITY, "maxPerOrder": 10 });
            let listed = seller.post(&format!("{tickets}/api/tickets"), &listing).await?;
            listings.push(listed.created()?);
        }
        let mut buyers = Vec::new();
        for _ in 0..IN_FLIGHT * 4 {
            buyers.push(anyone.sign_up(&auth).await?);
        }
        settled(stack).await;
        let (orders, payments) = (stack.url_of("orders"), stack.url_of("payments"));
        Ok(Market { orders, payments, listings, buyers })
    }

    /// The number, and the order's id.
    async fn reserve(&self, buyer: usize, number: usize) -> Result<(usize, String)> {
        let listing = &self.listings[number % self.listings.len()];
        let body = json!({ "ticketId": listing });
        let answer = self.buyers[buyer].post(&format!("{}/api/orders", self.orders), &body).await?;
        Ok((number, answer.created()?))
    }

    async fn cancel(&self, order: &str, buyer: usize) -> Result<(usize, ())> {
        let url = format!("{}/api/orders/{order}", self.orders);
        let status = self.buyers[buyer].delete(&url).await?.status;
        ensure!(status == StatusCode::NO_CONTENT, "cancelling: {status}");
        Ok((buyer, ()))
    }

    /// Reserves and pays.
    async fn sell(&self, number: usize) -> Result<()> {
        let buyer = number % self.buyers.len();
        let (_, order) = self.reserve(buyer, number).await?;
        let body = json!({ "orderId": order, "token": "tok_visa" });
        let url = format!("{}/api/payments", self.payments);
        let answer = self.buyers[buyer].post(&url, &body).await?;
        ensure!(answer.status.is_success(), "paying: {} {}", answer.status, answer.json());
        Ok(())
    }
}
