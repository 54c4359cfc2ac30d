//! Places: what a listing has many of, and an order some of.

use std::fmt;

use bson::Bson;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;

/// One of a listing's places: from 1 to its [`Quantity`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(minimum = 1, example = 7, description = "The number of a place.")]
pub struct Place(u16);

impl Place {
    /// The only place of a listing of one.
    pub const FIRST: Place = Place(1);

    /// The place of this number.
    pub const fn new(number: u16) -> Self {
        Place(number)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl From<Place> for Bson {
    fn from(place: Place) -> Bson {
        Bson::Int32(place.0.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many places.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
#[schema(minimum = 0, example = 2)]
pub struct Quantity(u16);

impl Quantity {
    /// No places.
    pub const NONE: Quantity = Quantity(0);
    /// What older versions call a ticket.
    pub const ONE: Quantity = Quantity(1);
    /// The most that one listing may have.
    pub const MAX: Quantity = Quantity(1000);

    /// That many.
    pub const fn new(number: u16) -> Self {
        Quantity(number)
    }

    /// The number of these places, of which there are never more than [`Quantity::MAX`].
    pub fn of<'a>(places: impl IntoIterator<Item = &'a Place>) -> Self {
        Quantity(u16::try_from(places.into_iter().count()).unwrap_or(u16::MAX))
    }

    /// From what a client has sent: at least one, and at most as many as a listing may have.
    pub fn parse(number: i64) -> Option<Self> {
        let quantity = u16::try_from(number).ok().map(Quantity)?;
        (Quantity::ONE..=Quantity::MAX).contains(&quantity).then_some(quantity)
    }

    /// As a number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The places of a listing that has this many.
    pub fn places(self) -> impl Iterator<Item = Place> {
        (1..=self.0).map(Place)
    }

    /// What is left when so many are taken.
    pub const fn minus(self, taken: Quantity) -> Quantity {
        Quantity(self.0.saturating_sub(taken.0))
    }

    /// Both together.
    pub const fn plus(self, more: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(more.0))
    }

    /// What so many places cost at this price each.
    pub fn times(self, price: Money) -> Money {
        Money::from_minor(price.minor() * i64::from(self.0))
    }
}

impl From<Quantity> for Bson {
    fn from(quantity: Quantity) -> Bson {
        Bson::Int32(quantity.0.into())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_between_one_and_a_thousand() {
        for (number, expected) in [(1, Some(1)), (1000, Some(1000)), (0, None), (1001, None)] {
            assert_eq!(Quantity::parse(number).map(Quantity::get), expected, "{number}");
        }
        assert_eq!(Quantity::parse(-1), None);
        assert_eq!(Quantity::parse(i64::MAX), None);
    }

    #[test]
    fn places_are_numbered_from_one() {
        let places: Vec<_> = Quantity::new(3).places().collect();
        assert_eq!(places, [Place::FIRST, Place::new(2), Place::new(3)]);
        assert_eq!(Quantity::of(&places).times(Money::from_minor(2050)), Money::from_minor(6150));
    }
}
