//! A catalogue of listings for measurements of searches: documents as the service stores them, with words as frequent as in a
//! catalogue of concerts. *Arena* is in a third of all venues, *live* in half of all titles, and most artists are rare.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use bson::{Document, doc};
use common::ids::UserId;
use common::listing::Listing;
use common::{Money, Time};
use mongodb::Database;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use store::mongo;
use tickets::domain::{Draft, Ticket};
use tickets::store::TicketDocument;

const BATCH: u64 = 1000;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Listed over the last year, for dates in the next one.
const DAYS: u64 = 365;

const SYLLABLES: [&str; 24] = [
    "ka", "mo", "ri", "ten", "lu", "sha", "vo", "el", "dra", "nim", "po", "ster", "an", "gu",
    "ber", "to", "wil", "ze", "or", "fin", "mar", "dö", "ché", "ix",
];
const EVENTS: [&str; 8] = [
    "live",
    "live on tour",
    "live in concert",
    "farewell tour",
    "live",
    "festival",
    "unplugged",
    "gala",
];
const GENRES: [&str; 12] = [
    "Rock",
    "Jazz",
    "Opera",
    "Hip-Hop",
    "Techno",
    "Folk",
    "R&B",
    "Metal",
    "Ballet",
    "Comedy",
    "K-Pop 라이브",
    "演歌コンサート",
];
const HALLS: [&str; 9] = [
    "Arena",
    "Arena",
    "Arena",
    "Stadium",
    "Opera House",
    "Théâtre",
    "Philharmonie",
    "Club",
    "武道館",
];
const CITIES: [&str; 16] = [
    "Berlin",
    "Paris",
    "London",
    "Łódź",
    "Zürich",
    "Wien",
    "Oslo",
    "Málaga",
    "Roma",
    "İstanbul",
    "Αθήνα",
    "München",
    "Praha",
    "Tromsø",
    "Lyon",
    "Gent",
];

/// A search to measure.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    pub name: &'static str,
    /// The path with its query string.
    pub path: String,
    /// Whether it is asked by the seller of [`Catalogue`].
    pub is_own: bool,
}

/// Listings of many sellers, one of whom has a fifth of them.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue {
    pub seller: UserId,
    pub now: Time,
}

/// How long the answers to a query took.
#[derive(Clone, Debug)]
pub struct Latency {
    pub name: &'static str,
    pub median: Duration,
    pub p99: Duration,
}

impl Catalogue {
    /// Writes so many listings into tickets' database. The service has created its indexes before.
    pub async fn insert_listings(&self, database: &Database, count: u64) -> Result<()> {
        // The same listings in each run.
        let mut random = StdRng::seed_from_u64(count);
        let tickets = database.collection::<Document>("tickets");
        let sellers: Vec<UserId> = (0..500).map(|_| UserId::new(self.now)).collect();
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            let documents = (0..batch).map(|_| self.document(&mut random, &sellers));
            tickets.insert_many(documents.collect::<Result<Vec<_>>>()?).await?;
            left -= batch;
        }
        Ok(())
    }

    fn document(&self, random: &mut StdRng, sellers: &[UserId]) -> Result<Document> {
        let pick = |random: &mut StdRng, words: &[&'static str]| {
            words.choose(random).copied().unwrap_or_default()
        };
        let artist: String =
            (0..random.random_range(2..5)).map(|_| pick(random, &SYLLABLES)).collect();
        let row = random.random_range(1..60);
        let (event, genre) = (pick(random, &EVENTS), pick(random, &GENRES));
        let date = self.now + Duration::from_secs(random.random_range(3600..DAYS * DAY.as_secs()));
        let is_dated = random.random_range(0..10) > 0;
        // As many cost 5 to 10 as 320 to 640.
        let price = 500 << random.random_range(0..7);
        let price = price + random.random_range(0..price);
        let listing = Listing {
            title: format!("{artist} — {event} ({genre}), row {row}"),
            time_zone: "Europe/Berlin".to_owned(),
            venue: Some(format!("{} {}", pick(random, &CITIES), pick(random, &HALLS))),
            date: is_dated.then_some(date),
            ..Listing::unknown(Money::from_minor(price), "usd".parse().map_err(Error::msg)?)
        };
        let age = Duration::from_secs(random.random_range(0..DAYS * DAY.as_secs()));
        let is_ours = random.random_range(0..5) == 0;
        let seller = if is_ours { Some(&self.seller) } else { sellers.choose(random) };
        let description =
            Some("Two seats next to each other, sold because we can't go. ".repeat(6));
        let draft = Draft { listing, description };
        let created = Ticket::create(*seller.context("a seller")?, draft, self.now - age);
        let mut document = mongo::document(&TicketDocument::from(created.thing))?;
        // Their events are no part of what is measured.
        let beside = doc! { "outbox": [], "outboxPending": false, "unanswered": false, "changedAt": self.now };
        document.extend(beside);
        Ok(document)
    }

    /// What is measured: a common word, rare ones, ranges in every order, conjunctions of what is common, and what nothing has.
    pub fn queries(&self) -> Vec<SearchQuery> {
        let day = |days: u64| (self.now + DAY * u32::try_from(days).unwrap_or(0)).to_string();
        let (month, week) = (day(30), day(7));
        let on_day = day(100);
        let on_day = &on_day[..10];
        let anyone = [
            ("everything", String::new()),
            ("everything, cheapest", "sort=price".to_owned()),
            ("q=arena", "q=arena".to_owned()),
            ("q=arena, cheapest", "q=arena&sort=price".to_owned()),
            ("q=ar, by date", "q=ar&sort=date".to_owned()),
            ("q=a", "q=a".to_owned()),
            ("q=live arena", "q=live%20arena".to_owned()),
            ("q=live arena berlin, cheapest", "q=live%20arena%20berlin&sort=price".to_owned()),
            ("q=karimo (rare)", "q=karimo".to_owned()),
            ("q=karimo berlin, by date", "q=karimo%20berlin&sort=date".to_owned()),
            ("q=hiphop", "q=hiphop".to_owned()),
            ("q=武道館", "q=%E6%AD%A6%E9%81%93%E9%A4%A8".to_owned()),
            ("q=jazz techno (none has both)", "q=jazz%20techno".to_owned()),
            (
                "q=arena, a narrow price, newest",
                "q=arena&min_price=404&max_price=404.50".to_owned(),
            ),
            ("q=arena, this week, dearest", format!("q=arena&to={week}&sort=-price")),
            ("20 to 30, newest", "min_price=20&max_price=30".to_owned()),
            ("404 to 404.10, newest", "min_price=404&max_price=404.10".to_owned()),
            ("20 to 30, by date", "min_price=20&max_price=30&sort=date".to_owned()),
            ("from a month, cheapest", format!("from={month}&sort=price")),
            ("one day, dearest", format!("from={on_day}&to={on_day}&sort=-price")),
            ("one day, arena, newest", format!("q=arena&from={on_day}&to={on_day}")),
            ("prices and dates, newest", format!("min_price=50&max_price=51&from={month}")),
        ];
        let own = [
            ("own, newest", "mine=true".to_owned()),
            ("own, q=arena", "mine=true&q=arena".to_owned()),
            ("own, q=karimo", "mine=true&q=karimo".to_owned()),
            ("own, 404 to 404.10, newest", "mine=true&min_price=404&max_price=404.10".to_owned()),
        ];
        let query = |is_own: bool| {
            move |(name, query): (&'static str, String)| SearchQuery {
                name,
                path: format!("/api/tickets?{query}"),
                is_own,
            }
        };
        anyone.into_iter().map(query(false)).chain(own.into_iter().map(query(true))).collect()
    }
}

/// Asks each query so many times, one after the other, all queries in turn; each time also for the next page. A round that would
/// begin after the time limit is left out.
pub async fn measure<E>(
    queries: &[SearchQuery],
    rounds: usize,
    limit: Duration,
    ask: impl AsyncFn(&SearchQuery, &str) -> Result<Option<String>, E>,
) -> Result<Vec<Latency>, E> {
    let mut taken: HashMap<&'static str, Vec<Duration>> = HashMap::new();
    let begun = Instant::now();
    for _ in 0..rounds {
        if begun.elapsed() > limit {
            break;
        }
        for query in queries {
            let mut path = query.path.clone();
            for _ in 0..2 {
                let start = Instant::now();
                let next = ask(query, &path).await?;
                taken.entry(query.name).or_default().push(start.elapsed());
                let Some(next) = next else { break };
                path = format!("{}&cursor={next}", query.path);
            }
        }
    }
    let latency = |query: &SearchQuery| {
        let mut all = taken.remove(query.name).unwrap_or_default();
        all.sort_unstable();
        let at = |percent: usize| all.get(all.len() * percent / 100).copied().unwrap_or_default();
        Latency { name: query.name, median: at(50), p99: at(99) }
    };
    Ok(queries.iter().map(latency).collect())
}
