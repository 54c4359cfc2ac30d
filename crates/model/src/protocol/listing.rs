//! tickets: the listing with its summary, and one reservation for each order.

use super::event::{Event, OrderStatus};
use super::places::Places;
use super::{Change, Version};

/// What the seller offers, and a summary of the reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    pub version: Version,
    /// What a late payment compares: the price, the date, …
    pub content: u8,
    pub quantity: u8,
    /// A tombstone: late orders are still answered by an event.
    pub deleted: bool,
    pub summary: Summary,
    /// How many changes of reservations were marked.
    pub marks: u8,
    /// How many there were when the summary was computed.
    pub summarised: u8,
}

/// How many distinct places the reservations have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    pub reserved: u8,
    pub sold: u8,
    pub withdrawn: u8,
}

/// What tickets knows of one order: its newest state, by that order's version alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reservation {
    pub version: Version,
    pub status: ReservationStatus,
    pub places: Places,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReservationStatus {
    Reserved,
    Sold,
    /// Refunded, and not put back on sale.
    Withdrawn,
    Ended,
}

impl Listing {
    pub fn create(quantity: u8) -> Change<Listing> {
        Listing {
            version: 1,
            content: 0,
            quantity,
            deleted: false,
            summary: Summary::default(),
            marks: 0,
            summarised: 0,
        }
        .with_listed_event()
    }

    /// Another price. What was ordered before is sold as it was ordered.
    pub fn edit(self) -> Change<Listing> {
        let content = self.content + 1;
        Listing { version: self.version + 1, content, ..self }.with_listed_event()
    }

    /// Another quantity, which may only grow.
    pub fn resize(self, quantity: u8) -> Change<Listing> {
        Listing { version: self.version + 1, quantity, ..self }.with_listed_event()
    }

    pub fn delete(self) -> Change<Listing> {
        Listing { version: self.version + 1, deleted: true, ..self }.with_deleted_event()
    }

    /// A live order of a deleted listing is rejected: the tombstone is published again, so that orders ends the order. (In a
    /// new version, which makes no difference to a consumer: what it does twice is done once.)
    pub fn reject(self) -> Change<Listing> {
        self.with_deleted_event()
    }

    /// A reservation was written: the summary has to be computed again.
    pub fn mark(self) -> Listing {
        Listing { marks: self.marks + 1, ..self }
    }

    pub fn is_dirty(self) -> bool {
        self.summarised != self.marks
    }

    /// A worker writes the summary of what it has read after it had read this many marks. None: there are more by now.
    pub fn summarise(self, marks_read: u8, summary: Summary) -> Option<Listing> {
        let contains_all = self.marks == marks_read;
        contains_all.then_some(Listing { summarised: marks_read, summary, ..self })
    }

    fn with_listed_event(self) -> Change<Listing> {
        let Listing { version, content, quantity, .. } = self;
        Change::with_event(self, Event::Listed { version, content, quantity })
    }

    fn with_deleted_event(self) -> Change<Listing> {
        Change::with_event(self, Event::Deleted { version: self.version })
    }
}

impl ReservationStatus {
    pub fn of(status: OrderStatus, occupies: bool) -> ReservationStatus {
        match (status, occupies) {
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => ReservationStatus::Reserved,
            (OrderStatus::Complete, _) => ReservationStatus::Sold,
            (OrderStatus::Cancelled, true) => ReservationStatus::Withdrawn,
            (OrderStatus::Cancelled, false) => ReservationStatus::Ended,
        }
    }

    /// Reserved or sold.
    pub fn is_live(self) -> bool {
        match self {
            ReservationStatus::Reserved | ReservationStatus::Sold => true,
            ReservationStatus::Withdrawn | ReservationStatus::Ended => false,
        }
    }
}

impl Reservation {
    /// Applies the state of the order that an event carries, if it is newer. A reservation that begins is published.
    pub fn follow(known: Option<Reservation>, event: Event) -> Option<Change<Reservation>> {
        let change = Reservation::apply(known, event);
        change.filter(|change| known.is_none_or(|known| known.version < change.thing.version))
    }

    /// The same without the comparison.
    pub fn apply(known: Option<Reservation>, event: Event) -> Option<Change<Reservation>> {
        let Event::Order { order, version, status, occupies, places, .. } = event else {
            return None;
        };
        let status = ReservationStatus::of(status, occupies);
        let reservation = Reservation { version, status, places };
        let begins = status.is_live() && !known.is_some_and(|known| known.status.is_live());
        let event = begins.then_some(Event::Reserved { order });
        Some(Change { thing: reservation, event })
    }
}

impl Summary {
    /// Each place counts once, as what is most of it.
    pub fn of(reservations: impl Iterator<Item = Reservation>) -> Summary {
        let (mut reserved, mut sold, mut withdrawn) = (Places::NONE, Places::NONE, Places::NONE);
        for Reservation { status, places, .. } in reservations {
            match status {
                ReservationStatus::Reserved => reserved = reserved.union(places),
                ReservationStatus::Sold => sold = sold.union(places),
                ReservationStatus::Withdrawn => withdrawn = withdrawn.union(places),
                ReservationStatus::Ended => {}
            }
        }
        Summary {
            reserved: reserved.without(sold.union(withdrawn)).count(),
            sold: sold.count(),
            withdrawn: withdrawn.without(sold).count(),
        }
    }
}
