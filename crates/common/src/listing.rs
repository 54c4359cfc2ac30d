//! What a seller writes about a ticket. One type, embedded wherever it travels: in tickets' documents, in events,
//! in replicas, in orders (as it was ordered), and in what the API shows. A new field is added here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::money::{self, Currency, Money};
use crate::places::Quantity;

/// How buyers get in with what they have bought.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A ticket of somebody else's event, which the seller sends to the buyer. A code of ours would open no door there.
    #[default]
    SellerDelivers,
    /// The seller's own door, which checks our codes.
    CheckedInHere,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Delivery {
    /// Every value that this version knows.
    pub const ALL: [Delivery; 2] = [Delivery::SellerDelivers, Delivery::CheckedInHere];

    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::SellerDelivers => "seller_delivers",
            Delivery::CheckedInHere => "checked_in_here",
            Delivery::Unknown => "unknown",
        }
    }
}

/// What is for sale, and for how much. What is absent is null, never omitted: documents are updated field by field
/// (`$set`), where an omitted field would keep its old value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// One line: event, section, row and seat.
    pub title: String,
    /// What the buyer pays for one place, in minor units.
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
    /// How many places it has. It only grows: a taken place must not end up beyond it.
    #[serde(default = "quantity_of_older_versions")]
    pub quantity: Quantity,
    /// How many places one order may have at most.
    #[serde(default = "Listing::default_max_per_order")]
    pub max_per_order: Quantity,
    /// Whether an order has all places or none.
    #[serde(default)]
    pub sold_together: bool,
    /// Whether the seller has stopped the sale, for now. Orders that exist are not affected.
    #[serde(default)]
    pub closed: bool,
    /// How buyers get in. A ticket of an older version is delivered by its seller.
    #[serde(default)]
    pub delivery: Delivery,
}

/// A listing of an older version is one ticket.
fn quantity_of_older_versions() -> Quantity {
    Quantity::ONE
}

impl Listing {
    /// How many places one order may have, unless the seller says otherwise.
    pub const fn default_max_per_order() -> Quantity {
        Quantity::new(10)
    }

    /// A listing of which nothing but the price is known.
    pub fn unknown(price: Money, currency: Currency) -> Self {
        Listing {
            title: String::new(),
            price,
            currency,
            date: None,
            time_zone: "UTC".to_owned(),
            venue: None,
            quantity: Quantity::ONE,
            max_per_order: Listing::default_max_per_order(),
            sold_together: false,
            closed: false,
            delivery: Delivery::default(),
        }
    }

    /// Whether a place of the other listing is worth the same to its buyer: the same event at the same price.
    pub fn offers_the_same(&self, other: &Listing) -> bool {
        let offer = |listing: &Listing| {
            let Listing { title, price, currency, date, time_zone, venue, delivery, .. } =
                listing.clone();
            (title, price, currency, date, time_zone, venue, delivery)
        };
        offer(self) == offer(other)
    }
}

/// What is for sale, as the API shows it on a ticket and on an order: the price of one place is a decimal string. How many
/// there are, and how they are sold, is a matter of the ticket alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Listing, description = "What is for sale.")]
pub struct ListingView {
    /// One line: event, section, row and seat.
    #[schema(example = "Tosca, row 7")]
    title: String,
    /// Of one place.
    #[serde(serialize_with = "money::as_decimal")]
    price: Money,
    currency: Currency,
    /// When the event begins; absent if the ticket is valid on any date.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Time>,
    /// In which `date` is shown (IANA).
    #[schema(example = "Europe/Vienna")]
    time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "State Opera")]
    venue: Option<String>,
    delivery: Delivery,
}

impl From<Listing> for ListingView {
    fn from(listing: Listing) -> Self {
        let Listing { title, price, currency, date, time_zone, venue, delivery, .. } = listing;
        ListingView { title, price, currency, date, time_zone, venue, delivery }
    }
}
