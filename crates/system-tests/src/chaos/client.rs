//! One client, and what it may do: sell, buy, pay, change its mind, ask for the money back, hang up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reqwest::Method;
use serde_json::{Value, json};

use super::door::{Answer, Ask, Kind};
use super::load::{Load, Plans, dice};
use super::market::{Held, OnSale, Person, Sold};
use crate::checker::{Heard, Listing, Paid, Placed};

const PASSWORD: &str = "correct horse battery";
const GOOD_CARDS: [&str; 5] =
    ["tok_visa", "tok_mastercard", "tok_visa_debit", "pm_card_visa", "tok_pendingRefund"];
const BAD_CARDS: [&str; 4] = [
    "tok_chargeDeclined",
    "tok_chargeDeclinedInsufficientFunds",
    "tok_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclined",
];
/// Of all writes, how many are not waited for.
const HANG_UP: f64 = 0.03;
/// Of all requests that may have an `Idempotency-Key`, how many have one; and how many of these are sent
/// again although they were answered.
const WITH_KEY: f64 = 0.6;
const ONCE_MORE: f64 = 0.1;
/// How often a request with a key is sent until there is an answer.
const TRIES: usize = 4;

pub struct Client {
    load: Arc<Load>,
    rng: StdRng,
    /// For names that nobody else uses.
    number: usize,
    made: u64,
}

/// None: something on the way had no known outcome.
type Known = Option<()>;

impl Client {
    pub fn new(load: &Arc<Load>, number: usize) -> Self {
        Client { load: Arc::clone(load), rng: dice(load.seed, number), number, made: 0 }
    }

    /// The next thing that comes to mind.
    pub async fn do_anything(&mut self, plans: &mut Plans) -> Known {
        match self.rng.random_range(0..100_u32) {
            0..2 => self.sign_up().await,
            2..16 => self.offer().await,
            16..22 => self.edit().await,
            22..24 => self.delete().await,
            24..74 => self.buy(plans).await,
            74..77 => self.refund().await,
            77..80 => self.cancel_any().await,
            80..84 => self.pay_any().await,
            _ => self.read().await,
        }
    }

    pub async fn sign_up(&mut self) -> Known {
        self.made += 1;
        let email = format!("c{}-{}@example.com", self.number, self.made);
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
        let answer = self.ask(Ask::new(Kind::SignUp, "/api/users/signup", body)).await?;
        if answer.status == 201
            && let (Some(id), Some(session)) = (text(&answer.body["id"]), answer.session)
        {
            self.load.market().joins(Arc::new(Person::new(id, email, session)));
        }
        Some(())
    }

    pub async fn offer(&mut self) -> Known {
        let seller = {
            let market = self.load.market();
            if market.shelf_is_full() { None } else { market.anyone(&mut self.rng) }
        };
        let Some(seller) = seller else { return self.read().await };
        // Nobody else's, so that an offer that is made twice is seen.
        let title = format!("Tosca {:x}", self.rng.random::<u64>());
        let body = json!({ "title": title, "price": self.price(), "venue": "State Opera" });
        let answer =
            self.ask_as(&seller, Kind::Offer, Method::POST, "/api/tickets", Some(body)).await?;
        if let Some(listing) = listing(&answer, 201) {
            let mut market = self.load.market();
            market.offers(OnSale { ticket: listing.id.clone(), title, seller });
            market.claims.tickets.push(listing);
        }
        Some(())
    }

    async fn edit(&mut self) -> Known {
        let Some(OnSale { ticket, title, seller }) = self.on_sale() else { return Some(()) };
        let body = json!({ "title": title, "price": self.price() });
        let path = format!("/api/tickets/{ticket}");
        let answer = self.ask_as(&seller, Kind::Edit, Method::PUT, &path, Some(body)).await?;
        if let Some(listing) = listing(&answer, 200) {
            self.load.market().claims.tickets.push(listing);
        }
        Some(())
    }

    async fn delete(&mut self) -> Known {
        let Some(OnSale { ticket, seller, .. }) = self.on_sale() else { return Some(()) };
        let path = format!("/api/tickets/{ticket}");
        let answer = self.ask_as(&seller, Kind::Delete, Method::DELETE, &path, None).await?;
        if answer.status == 204 {
            let mut market = self.load.market();
            market.is_gone(&ticket);
            market.claims.deleted.push(ticket);
        }
        Some(())
    }

    /// Tries to hold a ticket; who has it, makes something of it.
    async fn buy(&mut self, plans: &mut Plans) -> Known {
        let Some(OnSale { ticket, seller, .. }) = self.on_sale() else { return Some(()) };
        let Some(buyer) = self.load.market().anyone_but(&seller, &mut self.rng) else {
            return Some(());
        };
        let body = json!({ "ticketId": ticket });
        let answer =
            self.ask_as(&buyer, Kind::Order, Method::POST, "/api/orders", Some(body)).await?;
        if answer.status != 201 {
            let gone = [Some("/problems/ticket-sold"), Some("/problems/not-found")];
            if gone.contains(&answer.body["type"].as_str()) {
                self.load.market().is_gone(&ticket);
            }
            return Some(());
        }
        let (id, price) = (text(&answer.body["id"])?, cents(&answer.body["ticket"]["price"])?);
        let held =
            Held { order: id.clone(), ticket: ticket.clone(), buyer: Arc::clone(&buyer), seller };
        {
            let mut market = self.load.market();
            market.claims.orders.push(Placed { id, ticket, buyer: buyer.id.clone(), price });
            market.holds(held.clone());
        }
        self.make_something_of(held, plans).await
    }

    async fn make_something_of(&mut self, held: Held, plans: &mut Plans) -> Known {
        match self.rng.random_range(0..100_u32) {
            0..40 => self.pay(&held, &GOOD_CARDS).await,
            40..50 => {
                self.pay(&held, &BAD_CARDS).await?;
                self.pay(&held, &GOOD_CARDS).await
            }
            50..55 => {
                for _ in 0..3 {
                    self.pay(&held, &BAD_CARDS).await?;
                }
                Some(())
            }
            55..63 => self.cancel(&held).await,
            63..70 => {
                let mut other = self.twin();
                let (paid, cancelled) =
                    tokio::join!(self.pay(&held, &GOOD_CARDS), other.cancel(&held));
                paid.and(cancelled)
            }
            70..77 => {
                let (mut other, card) = (self.twin(), &GOOD_CARDS[..1]);
                let (once, twice) = tokio::join!(self.pay(&held, card), other.pay(&held, card));
                once.and(twice)
            }
            77..87 => Some(()),
            _ => {
                let before_the_end = Duration::from_millis(self.rng.random_range(900..3000));
                plans.add(
                    Instant::now() + self.load.reservation.saturating_sub(before_the_end),
                    held,
                );
                Some(())
            }
        }
    }

    pub async fn pay_in_the_last_second(&mut self, held: &Held) -> Known {
        self.pay(held, &GOOD_CARDS).await
    }

    /// Pays with one of these cards.
    async fn pay(&mut self, held: &Held, cards: &[&str]) -> Known {
        let card = cards.choose(&mut self.rng)?;
        let body = json!({ "orderId": held.order, "token": card });
        let answer =
            self.ask_as(&held.buyer, Kind::Pay, Method::POST, "/api/payments", Some(body)).await?;
        let Some(id) = text(&answer.body["id"]) else { return Some(()) };
        let paid = Paid { id: id.clone(), order: held.order.clone() };
        let mut market = self.load.market();
        match answer.status {
            201 => {
                market.claims.paid.push(paid);
                market.is_gone(&held.ticket);
                market.sells(Sold { payment: id, seller: Arc::clone(&held.seller) });
            }
            202 => market.claims.processing.push(paid),
            _ => {}
        }
        Some(())
    }

    async fn cancel(&mut self, held: &Held) -> Known {
        let path = format!("/api/orders/{}", held.order);
        let answer = self.ask_as(&held.buyer, Kind::Cancel, Method::DELETE, &path, None).await?;
        if answer.status == 204 {
            self.load.market().claims.cancelled.push(held.order.clone());
        }
        Some(())
    }

    async fn refund(&mut self) -> Known {
        let Some(Sold { payment, seller }) = self.load.market().any_sale(&mut self.rng) else {
            return Some(());
        };
        let path = format!("/api/payments/{payment}/refund");
        let answer =
            self.ask_as(&seller, Kind::Refund, Method::POST, &path, Some(json!({}))).await?;
        let mut market = self.load.market();
        match answer.status {
            202 => market.claims.refunds.push(payment),
            // Given back already.
            409 => market.forgets_sale(&payment),
            _ => {}
        }
        Some(())
    }

    /// A late second thought, or a second click.
    async fn cancel_any(&mut self) -> Known {
        let held = self.load.market().any_order(&mut self.rng);
        self.cancel(&held?).await
    }

    async fn pay_any(&mut self) -> Known {
        let held = self.load.market().any_order(&mut self.rng);
        self.pay(&held?, &GOOD_CARDS).await
    }

    async fn read(&mut self) -> Known {
        let (held, person) = {
            let market = self.load.market();
            (market.any_order(&mut self.rng), market.anyone(&mut self.rng)?)
        };
        let (reader, path) = match (self.rng.random_range(0..6_u32), held) {
            (0, Some(Held { ticket, .. })) => (person, format!("/api/tickets/{ticket}")),
            (1, Some(Held { order, buyer, .. })) => (buyer, format!("/api/orders/{order}")),
            (2, Some(Held { order, buyer, .. })) => {
                (buyer, format!("/api/payments?orderId={order}"))
            }
            (3, _) => (person, "/api/orders?status=active".to_owned()),
            (4, _) => (person, "/api/users/currentuser".to_owned()),
            (_, _) => (person, "/api/tickets?q=tosca&sort=price".to_owned()),
        };
        self.ask_as(&reader, Kind::Read, Method::GET, &path, None).await.map(drop)
    }

    /// Asks in someone's name, who signs in again if their session is over.
    async fn ask_as(
        &mut self,
        person: &Person,
        kind: Kind,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<Answer> {
        let takes_a_key = [Kind::Offer, Kind::Order, Kind::Pay, Kind::Refund].contains(&kind);
        let has_key = takes_a_key && self.rng.random_bool(WITH_KEY);
        let key = has_key.then(|| format!("{:x}", self.rng.random::<u128>()));
        let session = Some(person.session());
        let ask = Ask { kind, method, path: path.to_owned(), body, session, key };
        let answer = self.insist(&ask).await?;
        if answer.status == 401 {
            let body = json!({ "email": person.email, "password": PASSWORD });
            let answer = self.ask(Ask::new(Kind::SignIn, "/api/users/signin", body)).await?;
            person.signs_in_again(answer.session?);
        }
        Some(answer)
    }

    /// Who has a key, asks again until there is an answer; and at times once more, to hear it again.
    async fn insist(&mut self, ask: &Ask) -> Option<Answer> {
        let Some(key) = &ask.key else { return self.ask(ask.clone()).await };
        let mut answer = None;
        for _ in 0..TRIES {
            answer = self.ask(ask.clone()).await;
            if answer.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..1000))).await;
        }
        let answer = answer?;
        if answer.status < 300
            && self.rng.random_bool(ONCE_MORE)
            && let Some(again) = self.ask(ask.clone()).await
            && again.status < 300
        {
            let id = |answer: &Answer| text(&answer.body["id"]).unwrap_or_default();
            let heard = Heard { key: key.clone(), first: id(&answer), again: id(&again) };
            self.load.market().claims.heard_again.push(heard);
        }
        Some(answer)
    }

    async fn ask(&mut self, ask: Ask) -> Option<Answer> {
        // Whoever signs up in the opening waits for it.
        let hangs_up = self.number > 0 && ask.kind.is_write() && self.rng.random_bool(HANG_UP);
        let hang_up = hangs_up.then(|| Duration::from_millis(self.rng.random_range(0..30)));
        self.load.door.ask(ask, hang_up).await
    }

    /// The same client in another window.
    fn twin(&mut self) -> Client {
        let seed = self.rng.random();
        Client { load: Arc::clone(&self.load), rng: dice(seed, 0), number: self.number, made: 0 }
    }

    fn on_sale(&mut self) -> Option<OnSale> {
        self.load.market().on_sale(&mut self.rng)
    }

    fn price(&mut self) -> String {
        let cents = self.rng.random_range(50..20_000_u32);
        format!("{}.{:02}", cents / 100, cents % 100)
    }
}

/// The ticket that an answer of this status shows.
fn listing(answer: &Answer, status: u16) -> Option<Listing> {
    let ticket = Some(&answer.body).filter(|_| answer.status == status)?;
    Some(Listing {
        id: text(&ticket["id"])?,
        version: ticket["version"].as_i64()?,
        seller: text(&ticket["userId"])?,
        price: cents(&ticket["price"])?,
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// `"20.50"` is 2050.
fn cents(value: &Value) -> Option<i64> {
    value.as_str()?.replace('.', "").parse().ok()
}
