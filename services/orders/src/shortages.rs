//! Which listings had too few free places a moment ago. In a rush, most buyers come too late: they are refused from memory,
//! and leave the database to those who can still have something.
//!
//! It is only ever used to refuse, for a tenth of a second, never past the end of a reservation that it knows of, and not
//! after this process has changed an order of the listing. What another replica has changed counts that much later. When the
//! time is over, one buyer tries, and the others wait for what comes of it: if the buyer gets something, all of them try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::TicketId;
use common::{Quantity, Time};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::{Order, TicketReplica};

/// How long a shortage is believed.
const LIFETIME: Duration = Duration::from_millis(100);
/// How many listings are remembered at most. Only those that are short and wanted are.
const MAX_LISTINGS: usize = 1_000;

/// A listing that has fewer free places than somebody wanted.
#[derive(Clone)]
pub struct Shortage {
    pub available: Quantity,
    /// The order that is named to those who are refused: the first one that may give a place back.
    pub holder: Option<Arc<Order>>,
}

/// The recent shortages of this process. Its clones share them.
#[derive(Clone, Default)]
pub struct Shortages {
    recent: Arc<Mutex<Recent>>,
}

#[derive(Default)]
struct Recent {
    listings: HashMap<TicketId, Listing>,
    /// Numbers the states of all listings.
    counter: u64,
}

/// A listing of which somebody asks whether it is short.
struct Listing {
    /// Changes with its orders, and is never used again.
    state: u64,
    known: Option<Known>,
    /// Of those who try although it was short. Closed when it no longer is.
    turn: Option<Arc<Semaphore>>,
}

struct Known {
    shortage: Shortage,
    /// Of the listing that was judged.
    version: i64,
    until: Instant,
}

/// The state of a listing's orders before the database is asked.
#[derive(Clone, Copy)]
pub struct Before(u64);

impl Shortages {
    /// To be taken before the free places are read: what is read isn't remembered if an order changes meanwhile. None:
    /// nothing is remembered.
    pub fn before(&self, ticket: TicketId) -> Option<Before> {
        let mut recent = self.recent();
        let Recent { listings, counter } = &mut *recent;
        if let Some(listing) = listings.get(&ticket) {
            return Some(Before(listing.state));
        }
        if listings.len() >= MAX_LISTINGS {
            let now = Instant::now();
            listings.retain(|_, it| it.known.as_ref().is_some_and(|known| known.until > now));
        }
        if listings.len() >= MAX_LISTINGS {
            return None;
        }
        *counter += 1;
        let listing = Listing { state: *counter, known: None, turn: None };
        listings.insert(ticket, listing);
        Some(Before(*counter))
    }

    /// Remembers that too few places of the listing are free.
    pub fn remember(&self, before: Before, ticket: &TicketReplica, shortage: &Shortage) {
        let mut recent = self.recent();
        let Some(listing) = recent.listings.get_mut(&ticket.id) else { return };
        listing.turn.get_or_insert_with(|| Arc::new(Semaphore::new(1)));
        if listing.state == before.0 {
            let (shortage, version) = (shortage.clone(), ticket.version);
            listing.known = Some(Known { shortage, version, until: Instant::now() + LIFETIME });
        }
    }

    /// The shortage that keeps a buyer from having so many places, as far as it is known.
    pub fn of(&self, ticket: &TicketReplica, wanted: Quantity, now: Time) -> Option<Shortage> {
        let recent = self.recent();
        let Known { shortage, version, until } = recent.listings.get(&ticket.id)?.known.as_ref()?;
        let is_current = *version == ticket.version && Instant::now() < *until;
        let ends = shortage.holder.as_ref().is_some_and(|it| it.unpaid && it.expires_at <= now);
        let applies = is_current && !ends && shortage.available < wanted;
        applies.then(|| shortage.clone())
    }

    /// Waits until nobody else tries to reserve something of a listing that was short. None: it wasn't, or no longer is.
    pub async fn turn(&self, ticket: TicketId) -> Option<OwnedSemaphorePermit> {
        let turn = self.recent().listings.get(&ticket)?.turn.clone()?;
        turn.acquire_owned().await.ok()
    }

    /// An order of the listing has changed: its places may be free, or sold.
    pub fn forget(&self, ticket: TicketId) {
        let mut recent = self.recent();
        let Recent { listings, counter } = &mut *recent;
        if let Some(listing) = listings.get_mut(&ticket) {
            *counter += 1;
            (listing.state, listing.known) = (*counter, None);
        }
    }

    /// Places of the listing were free: nobody has to wait for others, nor do those who already do.
    pub fn is_over(&self, ticket: TicketId) {
        let turn = self.recent().listings.remove(&ticket).and_then(|listing| listing.turn);
        if let Some(turn) = turn {
            turn.close();
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use common::Place;
    use common::ids::{OrderId, UserId};
    use testkit::fixtures;

    use super::*;
    use crate::domain::Slots;

    fn now() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    fn listed() -> TicketReplica {
        TicketReplica::of(&fixtures::ticket(now()), false)
    }

    fn reserved(ticket: &TicketReplica) -> Order {
        let slot = Slots::new(1).choose(&[], &mut rand::rng()).unwrap();
        let (id, buyer, ordered) = (OrderId::new(now()), UserId::new(now()), ticket.as_ordered());
        let ttl = Duration::from_secs(900);
        Order::reserve(id, buyer, ordered, vec![Place::FIRST], slot, now(), ttl).thing
    }

    fn short(holder: Option<Order>) -> Shortage {
        Shortage { available: Quantity::NONE, holder: holder.map(Arc::new) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_believed_for_a_moment_and_of_the_version_that_was_judged() {
        let (ticket, now) = (listed(), now());
        let shortages = Shortages::default();
        let knows = |ticket: &TicketReplica| shortages.of(ticket, Quantity::ONE, now).is_some();
        shortages.remember(shortages.before(ticket.id).unwrap(), &ticket, &short(None));
        assert!(knows(&ticket));
        assert!(!knows(&TicketReplica { version: ticket.version + 1, ..ticket.clone() }));
        tokio::time::advance(LIFETIME).await;
        assert!(!knows(&ticket));
    }

    #[tokio::test(start_paused = true)]
    async fn it_isn_t_believed_once_a_reservation_has_expired_or_an_order_has_changed() {
        let (ticket, now) = (listed(), now());
        let order = reserved(&ticket);
        let (shortages, end) = (Shortages::default(), order.expires_at);
        let knows = |now| shortages.of(&ticket, Quantity::ONE, now).is_some();
        shortages.remember(shortages.before(ticket.id).unwrap(), &ticket, &short(Some(order)));
        assert!(knows(now) && !knows(end));
        shortages.forget(ticket.id);
        assert!(!knows(now));
        // An order changes between the reading and the remembering.
        let before = shortages.before(ticket.id).unwrap();
        shortages.forget(ticket.id);
        shortages.remember(before, &ticket, &short(None));
        assert!(!knows(now));
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_less_than_is_left_is_not_refused() {
        let (ticket, now) = (listed(), now());
        let shortages = Shortages::default();
        let shortage = Shortage { available: Quantity::ONE, holder: None };
        shortages.remember(shortages.before(ticket.id).unwrap(), &ticket, &shortage);
        assert!(shortages.of(&ticket, Quantity::ONE, now).is_none());
        assert!(shortages.of(&ticket, Quantity::new(2), now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_buyer_tries_while_the_others_wait() {
        let (ticket, now) = (listed(), now());
        let shortages = Shortages::default();
        assert!(shortages.turn(ticket.id).await.is_none());
        let before = shortages.before(ticket.id).unwrap();
        assert!(shortages.turn(ticket.id).await.is_none(), "nobody was refused yet");
        shortages.remember(before, &ticket, &short(None));
        let turn = shortages.turn(ticket.id).await;
        assert!(turn.is_some());
        let mut waiting = std::pin::pin!(shortages.turn(ticket.id));
        assert!(futures::poll!(&mut waiting).is_pending());
        // An order has changed, so nothing is known for a moment: still one at a time.
        shortages.forget(ticket.id);
        let mut later = std::pin::pin!(shortages.turn(ticket.id));
        assert!(futures::poll!(&mut later).is_pending());
        shortages.remember(shortages.before(ticket.id).unwrap(), &ticket, &short(None));
        drop(turn);
        assert!(waiting.await.is_some());
        assert!(shortages.of(&ticket, Quantity::ONE, now).is_some());
        assert!(later.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_once_a_buyer_has_reserved_something() {
        let ticket = listed();
        let shortages = Shortages::default();
        shortages.remember(shortages.before(ticket.id).unwrap(), &ticket, &short(None));
        let turn = shortages.turn(ticket.id).await;
        assert!(turn.is_some());
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(shortages.turn(ticket.id))).collect();
        for waiting in &mut waiting {
            assert!(futures::poll!(waiting).is_pending());
        }
        shortages.is_over(ticket.id);
        // Their turns don't wait for that buyer's, which isn't over yet.
        for waiting in waiting {
            assert!(waiting.await.is_none());
        }
        assert!(shortages.turn(ticket.id).await.is_none());
        drop(turn);
    }
}
