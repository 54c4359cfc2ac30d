//! The replica of a ticket.

use common::events::{self, OrderedTicket};
use common::ids::{TicketId, UserId};
use common::listing::Listing;
use common::{Money, Quantity, Time};
use serde::{Deserialize, Serialize};
use store::Replica;

use super::ReserveRefusal;

/// The copy of a ticket, fed by ticket events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketReplica {
    #[serde(rename = "_id")]
    pub id: TicketId,
    pub version: i64,
    /// The seller.
    pub user_id: UserId,
    #[serde(flatten)]
    pub listing: Listing,
    /// A tombstone is kept indefinitely: it must outlive every late message.
    pub deleted: bool,
}

impl Replica for TicketReplica {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl TicketReplica {
    pub fn of(event: &events::Ticket, deleted: bool) -> TicketReplica {
        TicketReplica {
            id: event.id,
            version: event.version,
            user_id: event.user_id,
            listing: event.listing.clone(),
            deleted,
        }
    }

    /// How many places an order gets, if the listing allows it at the price that the buyer expects, whoever has reserved
    /// which of them. One, unless the buyer says otherwise; or all, if they are sold together.
    pub fn check_reservable(
        &self,
        wanted: Option<Quantity>,
        expected: Option<Money>,
        now: Time,
    ) -> Result<Quantity, ReserveRefusal> {
        let Listing { price: current, quantity: all, max_per_order, sold_together, .. } =
            self.listing;
        if self.listing.date.is_some_and(|date| date <= now) {
            return Err(ReserveRefusal::EventPast);
        }
        if self.listing.closed {
            return Err(ReserveRefusal::Closed);
        }
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Err(ReserveRefusal::PriceChanged { expected, current });
        }
        let quantity = wanted.unwrap_or(if sold_together { all } else { Quantity::ONE });
        if sold_together && quantity != all {
            return Err(ReserveRefusal::OnlyTogether { all });
        }
        if !sold_together && quantity > max_per_order {
            return Err(ReserveRefusal::TooMany { max_per_order });
        }
        if quantity.times(current) > Money::MAX {
            return Err(ReserveRefusal::TooExpensive);
        }
        Ok(quantity)
    }

    pub fn as_ordered(&self) -> OrderedTicket {
        OrderedTicket { id: self.id, user_id: self.user_id, listing: self.listing.clone() }
    }
}
