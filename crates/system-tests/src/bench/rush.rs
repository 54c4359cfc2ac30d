//! A rush: within a minute, thousands of people open the page of one listing, follow it live, try to reserve a ticket of the
//! few hundred, and pay if they get one. Nobody is patient: buyers who are put off try again, a few times.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{FutureExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::cpu::CpuTimes;
use super::figures::{self, Better, Figure};
use super::load::{self, Latencies};
use super::visitor::{Answer, Visitor};
use crate::Stack;
use crate::commands::settled;

pub const TICKETS: usize = 650;
const BUYERS: usize = 5000;
const DURATION: Duration = Duration::from_secs(60);
/// How often somebody tries, whatever the page says.
const ATTEMPTS: usize = 5;
/// For how long somebody with a reservation tries to pay.
const PAYING: Duration = Duration::from_secs(60);
/// How long somebody looks at the page after that.
const LINGER: Duration = Duration::from_secs(10);

/// What somebody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// An order was accepted.
    Reserved,
    /// A payment was completed.
    Paid,
    /// Reserved or sold: a clear answer.
    Refused,
    /// 429 or 503, with the time after which to try again.
    Shed,
    /// Another answer than those expected, or none.
    Failed,
}

/// A rush, as all of its buyers saw it.
pub struct Outcome {
    /// When, since it began.
    pub events: Vec<(Duration, Event)>,
    /// Of those who had reserved: from the first try until it was paid.
    paying: Latencies,
    reserving: Latencies,
    pages: Latencies,
    /// How often, of those who had reserved, which answers 5xx.
    errors_of_holders: usize,
    failures: BTreeMap<String, usize>,
    cpu: BTreeMap<String, Duration>,
}

/// One buyer's part of it.
#[derive(Default)]
struct Visit {
    events: Vec<(Instant, Event)>,
    page: Option<Duration>,
    reserving: Option<Duration>,
    paying: Option<Duration>,
    errors_as_holder: usize,
    failures: Vec<String>,
}

pub async fn run(stack: &Stack) -> Result<Outcome> {
    let site = stack.url();
    let anyone = Visitor::new();
    let seller = anyone.sign_up(&site).await?;
    let listing =
        json!({ "title": "Lakmé", "price": "20.50", "quantity": TICKETS, "maxPerOrder": 1 });
    let ticket = seller.post(&format!("{site}/api/tickets"), &listing).await?.created()?;
    let signing_up = site.clone();
    // Each over a connection of their own, as browsers are.
    let buyers = load::each(8, BUYERS, move |_| {
        let site = signing_up.clone();
        async move { Visitor::new().sign_up(&site).await }
    })
    .await?;
    settled(stack).await;
    let before = CpuTimes::of(stack);
    let (begun, mut visits) = (tokio::time::Instant::now(), JoinSet::new());
    let (site, ticket): (Arc<str>, Arc<str>) = (site.into(), ticket.into());
    for (number, buyer) in buyers.into_iter().enumerate() {
        let arrival = begun + DURATION.mul_f64(number as f64 / BUYERS as f64);
        tokio::time::sleep_until(arrival).await;
        visits.spawn(visit(buyer, site.clone(), ticket.clone(), arrival.into_std()));
    }
    let visits = visits.join_all().await;
    let cpu = CpuTimes::of(stack).since(&before, 1);
    settled(stack).await;
    Ok(Outcome::of(visits, begun.into_std(), cpu))
}

/// Looks, reserves, pays.
async fn visit(buyer: Visitor, site: Arc<str>, ticket: Arc<str>, arrival: Instant) -> Visit {
    let mut visit = Visit::default();
    let page = format!("{site}/tickets/{ticket}");
    let mut pace = PACE;
    match buyer.get(&page).await {
        Ok(answer) if answer.status == StatusCode::OK => {
            visit.page = Some(arrival.elapsed());
            pace = pace_of(&answer).unwrap_or(PACE);
        }
        other => visit.failed("page", other),
    }
    let live = format!("{site}/live?topic=ticket:{ticket}");
    let following = tokio::spawn({
        let buyer = buyer.clone();
        async move { buyer.follow(&live, &page, pace).await }
    });
    let order = visit.reserves(&buyer, &site, &ticket).await;
    match order {
        Some(order) => visit.pays(&buyer, &site, &order).await,
        None => tokio::time::sleep(LINGER).await,
    }
    following.abort();
    visit
}

impl Visit {
    async fn reserves(&mut self, buyer: &Visitor, site: &str, ticket: &str) -> Option<String> {
        let begun = Instant::now();
        // As a page's form: an answer of 503 doesn't say that nothing was reserved.
        let key = Uuid::now_v7();
        for _ in 0..ATTEMPTS {
            let body = json!({ "ticketId": ticket });
            match buyer.post_again(&format!("{site}/api/orders"), &body, &key).await {
                Ok(answer) if answer.status == StatusCode::CREATED => {
                    self.saw(Event::Reserved);
                    self.reserving = Some(begun.elapsed());
                    return answer.created().ok();
                }
                Ok(answer) if answer.status == StatusCode::CONFLICT => {
                    self.saw(Event::Refused);
                    // A page shows now that nothing is left; not everybody believes it.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                other => self.wait_or_fail("reserve", other).await,
            }
        }
        None
    }

    async fn pays(&mut self, buyer: &Visitor, site: &str, order: &str) {
        let begun = Instant::now();
        let page = format!("{site}/orders/{order}");
        match buyer.get(&page).await {
            Ok(answer) if answer.status == StatusCode::OK => {}
            other => self.failed("the order's page", other),
        }
        let body = json!({ "orderId": order, "token": "tok_visa" });
        while begun.elapsed() < PAYING {
            match buyer.post(&format!("{site}/api/payments"), &body).await {
                Ok(answer) if answer.status == StatusCode::CREATED => return self.paid(begun),
                // It is being worked on, or an earlier request was: then the order says how it ends.
                Ok(answer)
                    if matches!(answer.status, StatusCode::ACCEPTED | StatusCode::CONFLICT) =>
                {
                    let order = buyer.get(&format!("{site}/api/orders/{order}")).await;
                    if order.is_ok_and(|order| order.json()["status"] == "complete") {
                        return self.paid(begun);
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                other => {
                    let is_error =
                        other.as_ref().is_ok_and(|answer| answer.status.is_server_error());
                    self.errors_as_holder += usize::from(is_error);
                    self.wait_or_fail("pay", other).await;
                }
            }
        }
    }

    fn paid(&mut self, begun: Instant) {
        self.saw(Event::Paid);
        self.paying = Some(begun.elapsed());
    }

    /// Waits as asked, or for a moment.
    async fn wait_or_fail(&mut self, what: &str, answer: Result<Answer>) {
        match answer {
            Ok(answer) if answer.retry_after.is_some() => {
                self.saw(Event::Shed);
                tokio::time::sleep(answer.retry_after.unwrap_or_default()).await;
            }
            other => {
                self.failed(what, other);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    fn failed(&mut self, what: &str, answer: Result<Answer>) {
        self.saw(Event::Failed);
        let how = match answer {
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(error) => error.root_cause().to_string(),
        };
        self.failures.push(format!("{what}: {how}"));
    }

    fn saw(&mut self, event: Event) {
        self.events.push((Instant::now(), event));
    }
}

impl Outcome {
    fn of(visits: Vec<Visit>, begun: Instant, cpu: BTreeMap<String, Duration>) -> Outcome {
        let latencies = |of: fn(&Visit) -> Option<Duration>| {
            Latencies::of(visits.iter().filter_map(of).collect())
        };
        let mut failures = BTreeMap::new();
        for failure in visits.iter().flat_map(|visit| &visit.failures) {
            *failures.entry(failure.clone()).or_default() += 1;
        }
        let events = visits.iter().flat_map(|visit| &visit.events);
        Outcome {
            events: events.map(|(at, event)| (at.duration_since(begun), *event)).collect(),
            paying: latencies(|visit| visit.paying),
            reserving: latencies(|visit| visit.reserving),
            pages: latencies(|visit| visit.page),
            errors_of_holders: visits.iter().map(|visit| visit.errors_as_holder).sum(),
            failures,
            cpu,
        }
    }

    pub fn figures(&self) -> Vec<Figure> {
        const RUSH: &str = "rush: 650 tickets, 5,000 buyers, 60 s";
        let count = |event| self.events.iter().filter(|(_, it)| *it == event).count() as f64;
        let mut figures = vec![
            Figure::rate(RUSH, "reserved", count(Event::Reserved), ""),
            Figure::rate(RUSH, "paid", count(Event::Paid), ""),
            Figure::millis(RUSH, "paying, median", self.paying.percentile(50.0)),
            Figure::millis(RUSH, "paying, p99", self.paying.percentile(99.0)),
            Figure::count(
                RUSH,
                "answers 5xx to buyers with an order",
                self.errors_of_holders as f64,
            ),
            Figure::millis(RUSH, "reserving, p99", self.reserving.percentile(99.0)),
            Figure::millis(RUSH, "listing’s page, p99", self.pages.percentile(99.0)),
            Figure::new(RUSH, "refused as sold out", count(Event::Refused), "", Better::Higher),
            Figure::count(RUSH, "asked to try again later", count(Event::Shed)),
            Figure::count(RUSH, "failed", count(Event::Failed)),
        ];
        figures.extend(figures::cpu(RUSH, &self.cpu));
        println!("{self}");
        figures
    }
}

/// What failed, and how often.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (failure, count) in &self.failures {
            writeln!(f, "    {count:>6}  {failure}")?;
        }
        Ok(())
    }
}

/// How often the script of a page fetches it again at most, if the page doesn't say.
const PACE: Duration = Duration::from_secs(2);

/// What a page says about that.
fn pace_of(page: &Answer) -> Option<Duration> {
    let html = std::str::from_utf8(&page.body).ok()?;
    let (_, after) = html.split_once("data-pace=\"")?;
    after.split('"').next()?.parse().ok().map(Duration::from_millis)
}

impl Visitor {
    /// Does what the script of a page does: fetches the page again when something has changed, a few times at once and then
    /// at this pace.
    async fn follow(&self, live: &str, page: &str, pace: Duration) {
        let Ok(response) = self.open(live).await else { return };
        let mut frames = response.into_body().into_data_stream();
        let mut next = Instant::now();
        while let Some(Ok(frame)) = frames.next().await {
            if !String::from_utf8_lossy(&frame).contains("event: changed") {
                continue;
            }
            let wait = next.saturating_duration_since(Instant::now() + pace * 2);
            tokio::time::sleep(wait).await;
            // What has changed meanwhile is fetched together.
            while frames.next().now_or_never().flatten().is_some() {}
            next = next.max(Instant::now()) + pace;
            drop(self.get(page).await);
        }
    }
}
