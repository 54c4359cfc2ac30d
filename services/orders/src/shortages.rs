//! Which listings had too few free places a moment ago. In a rush, most buyers come too late: they are refused from memory,
//! and leave the database to those who can still have something.
//!
//! It is only ever used to refuse, for a tenth of a second, never past the end of a reservation that it knows of, and not
//! after this process has changed an order of the listing. What another replica has changed counts that much later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::TicketId;
use common::{Quantity, Time};
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
#[derive(Clone)]
pub struct Shortages {
    recent: Arc<Mutex<Recent>>,
    /// Whether any are remembered.
    enabled: bool,
}

#[derive(Default)]
struct Recent {
    listings: HashMap<TicketId, Entry>,
    /// How often this process has changed an order.
    changes: u64,
}

struct Entry {
    shortage: Shortage,
    /// Of the listing that was judged.
    version: i64,
    until: Instant,
}

/// The moment before the database is asked.
#[derive(Clone, Copy)]
pub struct Before(u64);

impl Shortages {
    pub fn new(enabled: bool) -> Self {
        Shortages { recent: Arc::default(), enabled }
    }

    /// To be taken before the free places are read: what is read isn't remembered if an order changes meanwhile.
    pub fn before(&self) -> Before {
        Before(self.recent().changes)
    }

    /// Remembers that too few places of the listing are free.
    pub fn remember(&self, before: Before, ticket: &TicketReplica, shortage: &Shortage) {
        let mut recent = self.recent();
        if !self.enabled || recent.changes != before.0 {
            return;
        }
        let now = Instant::now();
        if recent.listings.len() >= MAX_LISTINGS {
            recent.listings.retain(|_, entry| entry.until > now);
        }
        if recent.listings.len() < MAX_LISTINGS {
            let (shortage, version) = (shortage.clone(), ticket.version);
            recent.listings.insert(ticket.id, Entry { shortage, version, until: now + LIFETIME });
        }
    }

    /// The shortage that keeps a buyer from having so many places, as far as it is known.
    pub fn of(&self, ticket: &TicketReplica, wanted: Quantity, now: Time) -> Option<Shortage> {
        let recent = self.recent();
        let entry = recent.listings.get(&ticket.id)?;
        let is_current = entry.version == ticket.version && Instant::now() < entry.until;
        let ends =
            entry.shortage.holder.as_ref().is_some_and(|it| it.unpaid && it.expires_at <= now);
        let applies = is_current && !ends && entry.shortage.available < wanted;
        applies.then(|| entry.shortage.clone())
    }

    /// An order of the listing has changed: its places may be free, or sold.
    pub fn forget(&self, ticket: TicketId) {
        let mut recent = self.recent();
        recent.changes += 1;
        recent.listings.remove(&ticket);
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
    use crate::domain::{Effect, Slots};

    fn now() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    fn listed() -> TicketReplica {
        let effect = TicketReplica::created(&fixtures::ticket(now())).remove(0);
        let Effect::Replica(ticket) = effect else { panic!("{effect:?}") };
        ticket
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
        let shortages = Shortages::new(true);
        let knows = |ticket: &TicketReplica| shortages.of(ticket, Quantity::ONE, now).is_some();
        shortages.remember(shortages.before(), &ticket, &short(None));
        assert!(knows(&ticket));
        assert!(!knows(&TicketReplica { version: ticket.version + 1, ..ticket.clone() }));
        tokio::time::advance(LIFETIME).await;
        assert!(!knows(&ticket));
    }

    #[tokio::test(start_paused = true)]
    async fn it_isn_t_believed_once_a_reservation_has_expired_or_an_order_has_changed() {
        let (ticket, now) = (listed(), now());
        let order = reserved(&ticket);
        let (shortages, end) = (Shortages::new(true), order.expires_at);
        let knows = |now| shortages.of(&ticket, Quantity::ONE, now).is_some();
        shortages.remember(shortages.before(), &ticket, &short(Some(order)));
        assert!(knows(now) && !knows(end));
        shortages.forget(ticket.id);
        assert!(!knows(now));
        // An order changes between the reading and the remembering.
        let before = shortages.before();
        shortages.forget(ticket.id);
        shortages.remember(before, &ticket, &short(None));
        assert!(!knows(now));
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_less_than_is_left_is_not_refused() {
        let (ticket, now) = (listed(), now());
        let shortages = Shortages::new(true);
        let shortage = Shortage { available: Quantity::ONE, holder: None };
        shortages.remember(shortages.before(), &ticket, &shortage);
        assert!(shortages.of(&ticket, Quantity::ONE, now).is_none());
        assert!(shortages.of(&ticket, Quantity::new(2), now).is_some());
    }
}
