//! Sets of places.

use std::fmt;

/// Places of the listing, one bit each: place 1 is the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Places(u8);

impl Places {
    pub const NONE: Places = Places(0);

    /// The places of a listing of that many.
    pub fn up_to(quantity: u8) -> Places {
        Places((1 << quantity) - 1)
    }

    /// The place with this index.
    pub fn only(index: u8) -> Places {
        Places(1 << index)
    }

    pub fn count(self) -> u8 {
        self.0.count_ones() as u8
    }

    pub fn union(self, other: Places) -> Places {
        Places(self.0 | other.0)
    }

    pub fn without(self, other: Places) -> Places {
        Places(self.0 & !other.0)
    }

    pub fn intersects(self, other: Places) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_within(self, other: Places) -> bool {
        self.without(other) == Places::NONE
    }

    /// Every choice of so many of these places.
    pub fn choices(self, count: u8) -> impl Iterator<Item = Places> {
        let all = (1..=self.0).map(Places);
        all.filter(move |choice| choice.is_within(self) && choice.count() == count)
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = (0..8).filter(|place| self.0 & (1 << place) != 0).map(|place| place + 1);
        f.debug_set().entries(places).finish()
    }
}
