//! What the clients of a run share: the users, what is for sale, what they have reserved and bought.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};

use crate::checker::Acknowledged;

/// How many tickets are for sale at once: few, so that many buyers compete for the same ones.
const MAX_LISTINGS: usize = 40;
/// How many of the first listings are in demand.
const POPULAR_LISTINGS: usize = 4;
/// How many users, orders, sales and disputes are remembered.
const CAPACITY: usize = 200;

pub struct User {
    pub id: String,
    pub email: String,
    session: Mutex<String>,
}

impl User {
    pub fn new(id: String, email: String, session: String) -> Self {
        User { id, email, session: Mutex::new(session) }
    }

    pub fn session(&self) -> String {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn renew_session(&self, session: String) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

#[derive(Clone)]
pub struct Listing {
    pub ticket: String,
    pub title: String,
    pub seller: Arc<User>,
    /// How many places it has had at least.
    pub quantity: u64,
    pub max_per_order: u64,
    pub sold_together: bool,
}

#[derive(Clone)]
pub struct Reservation {
    pub order: String,
    pub ticket: String,
    pub buyer: Arc<User>,
    pub seller: Arc<User>,
    /// Whether nothing of the listing is left once it is sold.
    pub is_all: bool,
}

#[derive(Clone)]
pub struct Sale {
    pub payment: String,
    /// The PaymentIntent.
    pub intent: String,
    pub order: String,
    pub ticket: String,
    pub buyer: Arc<User>,
    pub seller: Arc<User>,
}

#[derive(Default)]
pub struct SharedState {
    users: Vec<Arc<User>>,
    listings: Vec<Listing>,
    reservations: Vec<Reservation>,
    sales: Vec<Sale>,
    disputes: Vec<String>,
    pub acknowledged: Acknowledged,
}

impl SharedState {
    pub fn add_user(&mut self, user: Arc<User>) {
        self.acknowledged.users.push(user.id.clone());
        remember(&mut self.users, user);
    }

    pub fn any_user(&self, rng: &mut impl Rng) -> Option<Arc<User>> {
        self.users.choose(rng).cloned()
    }

    pub fn any_user_but(&self, other: &User, rng: &mut impl Rng) -> Option<Arc<User>> {
        self.users.iter().filter(|user| user.id != other.id).choose(rng).cloned()
    }

    pub fn has_enough_listings(&self) -> bool {
        self.listings.len() >= MAX_LISTINGS
    }

    pub fn add_listing(&mut self, listing: Listing) {
        self.listings.push(listing);
    }

    pub fn any_listing(&self, rng: &mut impl Rng) -> Option<Listing> {
        let choice = if rng.random_bool(0.4) { POPULAR_LISTINGS } else { MAX_LISTINGS };
        self.listings.iter().take(choice).choose(rng).cloned()
    }

    pub fn grow_listing(&mut self, ticket: &str, quantity: u64) {
        let its = self.listings.iter_mut().filter(|listing| listing.ticket == ticket);
        its.for_each(|listing| listing.quantity = listing.quantity.max(quantity));
    }

    pub fn remove_listing(&mut self, ticket: &str) {
        self.listings.retain(|listing| listing.ticket != ticket);
    }

    pub fn add_reservation(&mut self, reservation: Reservation) {
        remember(&mut self.reservations, reservation);
    }

    pub fn any_reservation(&self, rng: &mut impl Rng) -> Option<Reservation> {
        self.reservations.choose(rng).cloned()
    }

    pub fn add_sale(&mut self, sale: Sale) {
        remember(&mut self.sales, sale);
    }

    pub fn remove_sale(&mut self, payment: &str) {
        self.sales.retain(|sale| sale.payment != payment);
    }

    pub fn add_dispute(&mut self, dispute: String) {
        remember(&mut self.disputes, dispute);
    }

    pub fn take_dispute(&mut self, rng: &mut impl Rng) -> Option<String> {
        let index = (0..self.disputes.len()).choose(rng)?;
        Some(self.disputes.swap_remove(index))
    }

    pub fn any_sale(&self, rng: &mut impl Rng) -> Option<Sale> {
        self.sales.choose(rng).cloned()
    }
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= CAPACITY {
        list.remove(0);
    }
    list.push(item);
}
