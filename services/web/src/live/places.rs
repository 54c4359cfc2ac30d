//! The places of open streams. A process has a limited number, and so has each visitor, so that nobody who opens many
//! connections takes the live pages from the others.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Who shares a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    User(UserId),
    /// A visitor without a session.
    Address(Option<IpAddr>),
}

pub struct Places {
    total: usize,
    free: Arc<Semaphore>,
    per_visitor: usize,
    /// The streams of each visitor, the oldest first.
    taken: Mutex<HashMap<Holder, VecDeque<Taken>>>,
}

struct Taken {
    gives_way: CancellationToken,
    permit: OwnedSemaphorePermit,
}

/// The place of one stream, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    holder: Holder,
    gives_way: CancellationToken,
}

impl Places {
    pub fn new(total: usize, per_visitor: usize) -> Places {
        Places {
            total,
            free: Arc::new(Semaphore::new(total)),
            per_visitor: per_visitor.max(1),
            taken: Mutex::default(),
        }
    }

    /// A place for a new stream. If the visitor has all of theirs, or none is free, the visitor's oldest stream gives way.
    /// None: others have them all.
    pub fn take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        let mut taken = self.taken();
        let theirs = taken.entry(holder).or_default();
        let free = if theirs.len() < self.per_visitor {
            Arc::clone(&self.free).try_acquire_owned().ok()
        } else {
            None
        };
        let permit = free.or_else(|| {
            let oldest = theirs.pop_front()?;
            oldest.gives_way.cancel();
            Some(oldest.permit)
        });
        let Some(permit) = permit else {
            taken.remove(&holder);
            return None;
        };
        let gives_way = CancellationToken::new();
        theirs.push_back(Taken { gives_way: gives_way.clone(), permit });
        Some(Place { places: Arc::clone(self), holder, gives_way })
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.total.saturating_sub(self.free.available_permits())
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Holder, VecDeque<Taken>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Cancelled when the stream has to give way.
    pub fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A stream that gave way has left its place already.
        if self.gives_way.is_cancelled() {
            return;
        }
        // So that only this stream's entry is removed below.
        self.gives_way.cancel();
        let mut taken = self.places.taken();
        if let Some(theirs) = taken.get_mut(&self.holder) {
            theirs.retain(|stream| !stream.gives_way.is_cancelled());
            if theirs.is_empty() {
                taken.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(number: u8) -> Holder {
        Holder::Address(Some(IpAddr::from([10, 0, 0, number])))
    }

    #[test]
    fn a_visitor_with_many_streams_gives_way_to_themselves_and_not_to_others() {
        let places = Arc::new(Places::new(5, 3));
        let greedy: Vec<_> = (0..10).map(|_| places.take(visitor(1)).unwrap()).collect();
        let open = |places: &[Place]| {
            places.iter().filter(|place| !place.gives_way().is_cancelled()).count()
        };
        assert_eq!(open(&greedy), 3);
        assert_eq!(open(&greedy[7..]), 3, "the newest remain");
        let other = [places.take(visitor(2)).unwrap(), places.take(visitor(2)).unwrap()];
        assert!(places.take(visitor(3)).is_none(), "all are taken");
        // None is free, but their own oldest gives way.
        let newest = places.take(visitor(2)).unwrap();
        assert_eq!((open(&other), open(&greedy)), (1, 3));
        drop((greedy, other, newest));
        assert!(places.taken().is_empty());
        assert_eq!(places.free.available_permits(), 5);
    }
}
