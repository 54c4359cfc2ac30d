//! The slots of a buyer: each unpaid order takes one, and there are only a few.

use bson::Bson;
use rand::Rng;
use rand::seq::IteratorRandom;
use serde::{Deserialize, Serialize};

/// One of a buyer's slots, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u8);

impl From<Slot> for Bson {
    fn from(slot: Slot) -> Bson {
        Bson::Int32(slot.0.into())
    }
}

/// How many unpaid orders a buyer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots(u8);

impl Slots {
    pub fn new(number: u8) -> Self {
        Slots(number)
    }

    pub fn number(self) -> u8 {
        self.0
    }

    pub fn all(self) -> impl Iterator<Item = Slot> {
        (1..=self.0).map(Slot)
    }

    /// One of the slots that aren't taken, at random: concurrent requests of one buyer rarely choose the same. None: all
    /// are taken.
    pub fn choose(self, taken: &[Slot], random: &mut impl Rng) -> Option<Slot> {
        self.all().filter(|slot| !taken.contains(slot)).choose(random)
    }
}
