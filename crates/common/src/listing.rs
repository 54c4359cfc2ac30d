//! What a seller writes about a ticket. One type, embedded wherever it travels: in tickets' documents, in events,
//! in replicas, in orders (as it was ordered), and in what the API shows. A new field is added here.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::money::{self, Currency, Money};

/// What is for sale, and for how much. What is absent is null, never omitted: documents are updated field by field
/// (`$set`), where an omitted field would keep its old value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// One line: event, section, row and seat.
    pub title: String,
    /// What the buyer pays, in minor units.
    pub price: Money,
    /// The deployment's currency when it was listed.
    pub currency: Currency,
    /// When the event begins; none for a ticket that is valid on any date.
    #[serde(default)]
    pub date: Option<Time>,
    /// The IANA time zone of the venue, in which `date` is shown.
    pub time_zone: String,
    /// Where the event takes place.
    #[serde(default)]
    pub venue: Option<String>,
}

/// A listing as the API shows it: the price is a decimal string.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListingView {
    title: String,
    #[serde(serialize_with = "money::as_decimal")]
    price: Money,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Time>,
    time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    venue: Option<String>,
}

impl From<Listing> for ListingView {
    fn from(listing: Listing) -> Self {
        let Listing { title, price, currency, date, time_zone, venue } = listing;
        ListingView { title, price, currency, date, time_zone, venue }
    }
}
