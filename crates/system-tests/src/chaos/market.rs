//! What the clients know of the market: who there is, what is on sale, what they hold and have bought.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};

use crate::checker::Claims;

/// How many tickets are on sale at once: few, so that many buyers are at the same ones.
const SHELF: usize = 40;
/// How many people, orders and sales are remembered.
const RETENTION: usize = 200;

pub struct Person {
    pub id: String,
    pub email: String,
    session: Mutex<String>,
}

impl Person {
    pub fn new(id: String, email: String, session: String) -> Self {
        Person { id, email, session: Mutex::new(session) }
    }

    pub fn session(&self) -> String {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn signs_in_again(&self, session: String) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

#[derive(Clone)]
pub struct OnSale {
    pub ticket: String,
    pub title: String,
    pub seller: Arc<Person>,
}

#[derive(Clone)]
pub struct Held {
    pub order: String,
    pub ticket: String,
    pub buyer: Arc<Person>,
    pub seller: Arc<Person>,
}

#[derive(Clone)]
pub struct Sold {
    pub payment: String,
    pub seller: Arc<Person>,
}

#[derive(Default)]
pub struct Market {
    people: Vec<Arc<Person>>,
    shelf: Vec<OnSale>,
    orders: Vec<Held>,
    sales: Vec<Sold>,
    pub claims: Claims,
}

impl Market {
    pub fn joins(&mut self, person: Arc<Person>) {
        self.claims.users.push(person.id.clone());
        remember(&mut self.people, person);
    }

    pub fn anyone(&self, rng: &mut impl Rng) -> Option<Arc<Person>> {
        self.people.choose(rng).cloned()
    }

    pub fn anyone_but(&self, other: &Person, rng: &mut impl Rng) -> Option<Arc<Person>> {
        self.people.iter().filter(|person| person.id != other.id).choose(rng).cloned()
    }

    pub fn shelf_is_full(&self) -> bool {
        self.shelf.len() >= SHELF
    }

    pub fn offers(&mut self, offer: OnSale) {
        self.shelf.push(offer);
    }

    /// The front of the shelf is crowded.
    pub fn on_sale(&self, rng: &mut impl Rng) -> Option<OnSale> {
        let crowd = if rng.random_bool(0.4) { 4 } else { SHELF };
        self.shelf.iter().take(crowd).choose(rng).cloned()
    }

    pub fn is_gone(&mut self, ticket: &str) {
        self.shelf.retain(|offer| offer.ticket != ticket);
    }

    pub fn holds(&mut self, held: Held) {
        remember(&mut self.orders, held);
    }

    pub fn any_order(&self, rng: &mut impl Rng) -> Option<Held> {
        self.orders.choose(rng).cloned()
    }

    pub fn sells(&mut self, sold: Sold) {
        remember(&mut self.sales, sold);
    }

    pub fn forgets_sale(&mut self, payment: &str) {
        self.sales.retain(|sold| sold.payment != payment);
    }

    pub fn any_sale(&self, rng: &mut impl Rng) -> Option<Sold> {
        self.sales.choose(rng).cloned()
    }
}

fn remember<T>(list: &mut Vec<T>, thing: T) {
    if list.len() >= RETENTION {
        list.remove(0);
    }
    list.push(thing);
}
