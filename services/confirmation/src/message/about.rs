//! The facts of an order, as mails show them.

use common::Quantity;
use common::display::{When, price, product, receipt_number};
use common::events::Order;
use common::listing::Delivery;

/// The facts of an order, as they are shown.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub title: String,
    pub venue: Option<String>,
    pub date: Option<When>,
    pub is_checked_in_here: bool,
    pub quantity: Quantity,
    /// What all places cost together.
    pub total: String,
    /// The same with its parts: `3 × $20.00 = $60.00`.
    pub product: String,
    pub order: String,
    /// The order's page.
    pub link: String,
    /// The number of its receipt, and its page.
    pub receipt: String,
    pub receipt_link: String,
}

impl About {
    /// `link` is the address of the order's page.
    pub fn of(order: &Order, link: String) -> About {
        let listing = &order.ticket.listing;
        About {
            title: listing.title.clone(),
            venue: listing.venue.clone(),
            date: listing.date.map(|date| When::of(date, &listing.time_zone)),
            is_checked_in_here: listing.delivery == Delivery::CheckedInHere,
            quantity: order.quantity,
            total: price(order.total, &listing.currency),
            product: product(order.quantity, listing.price, &listing.currency),
            receipt: receipt_number(order.id),
            receipt_link: format!("{link}/receipt"),
            order: order.id.to_string(),
            link,
        }
    }

    pub fn is_of_many(&self) -> bool {
        self.quantity > Quantity::ONE
    }

    /// The headline of the buyer's mail.
    pub fn bought(&self) -> String {
        if self.is_of_many() {
            format!("You bought {} tickets", self.quantity)
        } else {
            "You bought this ticket".to_owned()
        }
    }

    /// The headline of the buyer's mail about the delivery.
    pub fn sent(&self) -> &'static str {
        if self.is_of_many() { "Your tickets were sent" } else { "Your ticket was sent" }
    }

    /// The headline of the seller's mail.
    pub fn sold(&self) -> String {
        if self.is_of_many() {
            format!("You sold {} tickets", self.quantity)
        } else {
            "You sold a ticket".to_owned()
        }
    }

    /// `Tosca, row 7`, or `3 × Tosca, row 7`.
    pub fn what(&self) -> String {
        if self.is_of_many() {
            format!("{} × {}", self.quantity, self.title)
        } else {
            self.title.clone()
        }
    }
}
