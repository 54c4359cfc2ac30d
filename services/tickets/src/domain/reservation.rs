//! A reservation: what tickets knows of one order. It follows the order by the order's version alone; who has which place
//! is decided in orders.

use common::events::{Order, OrderStatus, Reserved, TicketReserved};
use common::ids::{OrderId, TicketId, UserId};
use common::{Place, Time};
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage};

/// One per order, and never deleted: an `order.created` that arrives after the order has ended must reserve nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    #[serde(rename = "_id")]
    pub order_id: OrderId,
    pub version: i64,
    pub ticket_id: TicketId,
    pub buyer_id: UserId,
    pub places: Vec<Place>,
    pub status: ReservationStatus,
    /// When it ends, unless the order is paid.
    pub until: Time,
    /// Whether its places count; the listing's summary is computed from these.
    pub live: bool,
    /// The greatest version of the order that was applied.
    pub order_version: i64,
    /// Nothing; but replicas of the previous version can't read a reservation without.
    #[serde(skip_deserializing)]
    hold: i64,
    /// Who has come in: each place once.
    #[serde(default)]
    pub check_ins: Vec<CheckIn>,
}

/// A place was let in at the seller's door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckIn {
    pub place: Place,
    pub at: Time,
    /// As the door staff calls it.
    pub gate: Option<String>,
    /// Who has scanned the code.
    pub by: UserId,
    /// The request, so that its repetition is not a second scan.
    pub request: Option<String>,
}

/// Why nobody is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckInRefusal {
    /// The order has ended, or isn't paid, or never had this place.
    NotSold,
    /// Somebody came in with the same code.
    AlreadyIn(CheckIn),
}

/// In the order in which one of two reservations of a place prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    Ended,
    Reserved,
    /// Refunded without relisting.
    Withdrawn,
    Sold,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl ReservationStatus {
    fn of(order: &Order) -> Self {
        match order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => ReservationStatus::Reserved,
            OrderStatus::Complete => ReservationStatus::Sold,
            OrderStatus::Cancelled if order.occupies => ReservationStatus::Withdrawn,
            OrderStatus::Cancelled => ReservationStatus::Ended,
            OrderStatus::Unknown => ReservationStatus::Unknown,
        }
    }

    /// Whether the order is live.
    pub fn is_active(self) -> bool {
        match self {
            ReservationStatus::Reserved | ReservationStatus::Sold => true,
            ReservationStatus::Withdrawn
            | ReservationStatus::Ended
            | ReservationStatus::Unknown => false,
        }
    }

    fn counts(self) -> bool {
        self.is_active() || self == ReservationStatus::Withdrawn
    }
}

impl Aggregate for Reservation {
    const COLLECTION: &'static str = "reservations";

    fn id(&self) -> String {
        self.order_id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn has_unknown_value(&self) -> bool {
        self.status == ReservationStatus::Unknown
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        let is_reserved = self.status.is_active();
        is_reserved.then(|| OutboxMessage::of(&self.to_event())).into_iter().collect()
    }

    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

impl Reservation {
    /// That of an order whose first event this is, whatever its status.
    pub fn of(order: &Order) -> Reservation {
        let status = ReservationStatus::of(order);
        Reservation {
            order_id: order.id,
            version: 1,
            ticket_id: order.ticket.id,
            buyer_id: order.user_id,
            places: order.places.clone(),
            status,
            until: order.expires_at,
            live: status.counts(),
            order_version: order.version,
            hold: 0,
            check_ins: Vec::new(),
        }
    }

    /// The first event of an order, published as a reservation if it is one.
    pub fn first(order: &Order) -> Change<Reservation> {
        Reservation::of(order).published_if(true)
    }

    /// Applies the state of the order that an event carries; none if it isn't newer than what was applied before. It
    /// doesn't matter which events arrive late, twice, or never.
    pub fn follow(&self, order: &Order) -> Option<Change<Reservation>> {
        (order.version > self.order_version).then(|| {
            let check_ins = self.check_ins.clone();
            let version = self.version + 1;
            let next = Reservation { version, check_ins, ..Reservation::of(order) };
            next.published_if(!self.status.is_active())
        })
    }

    /// Lets a place in, if its order has it and nobody came in with it. None: this very request has done so before. The write
    /// is guarded by the version, so that of two concurrent scans, or a scan and a refund, one decides again.
    pub fn check_in(&self, scan: &CheckIn) -> Result<Option<Change<Reservation>>, CheckInRefusal> {
        let known = self.check_in_of(scan.place);
        if known.is_some_and(|known| known.request.is_some() && known.request == scan.request) {
            return Ok(None);
        }
        if self.status != ReservationStatus::Sold || !self.places.contains(&scan.place) {
            return Err(CheckInRefusal::NotSold);
        }
        if let Some(known) = known {
            return Err(CheckInRefusal::AlreadyIn(known.clone()));
        }
        let check_ins = self.check_ins.iter().chain([scan]).cloned().collect();
        let next = Reservation { version: self.version + 1, check_ins, ..self.clone() };
        Ok(Some(Change::without_event(next)))
    }

    pub fn check_in_of(&self, place: Place) -> Option<&CheckIn> {
        self.check_ins.iter().find(|known| known.place == place)
    }

    fn published_if(self, begins: bool) -> Change<Reservation> {
        if begins && self.status.is_active() {
            let event = self.to_event();
            Change::with_event(self, &event)
        } else {
            Change::without_event(self)
        }
    }

    fn to_event(&self) -> TicketReserved {
        let Reservation { order_id, ticket_id, version, .. } = *self;
        TicketReserved(Reserved { order_id, ticket_id, version })
    }
}
