//! A world, with what belongs together found by its id.

use std::collections::{BTreeMap, HashMap};

use super::world::{Event, Order, Payment, Refund, StripeCharge, Ticket, World};

pub(super) struct Facts<'a> {
    pub world: &'a World,
    pub tickets: HashMap<&'a str, &'a Ticket>,
    pub orders: HashMap<&'a str, &'a Order>,
    /// By ticket.
    pub orders_of: HashMap<&'a str, Vec<&'a Order>>,
    /// By order.
    pub payments: HashMap<&'a str, &'a Payment>,
    /// What a stream tells about a thing, by stream and the thing's id.
    told: HashMap<(&'a str, &'a str), Vec<&'a Event>>,
    /// What Stripe took and gave back, by order.
    pub accounts: BTreeMap<&'a str, Account<'a>>,
}

/// What Stripe took and gave back for one order.
#[derive(Default)]
pub(super) struct Account<'a> {
    /// The charges that succeeded.
    pub charges: Vec<&'a StripeCharge>,
    /// The refunds of these, whatever became of them.
    pub refunds: Vec<&'a Refund>,
}

impl Account<'_> {
    /// In cents.
    pub fn charged(&self) -> i64 {
        self.charges.iter().map(|charge| charge.amount).sum()
    }

    /// In cents.
    pub fn refunded(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.status == "succeeded");
        done.map(|refund| refund.amount).sum()
    }
}

impl<'a> Facts<'a> {
    pub fn of(world: &'a World) -> Self {
        let mut orders_of: HashMap<&str, Vec<&Order>> = HashMap::new();
        for order in &world.orders {
            orders_of.entry(&order.ticket_id).or_default().push(order);
        }
        let mut told: HashMap<(&str, &str), Vec<&Event>> = HashMap::new();
        for event in &world.events {
            told.entry((&event.stream, event.about())).or_default().push(event);
        }
        Facts {
            world,
            tickets: world.tickets.iter().map(|ticket| (ticket.id.as_str(), ticket)).collect(),
            orders: world.orders.iter().map(|order| (order.id.as_str(), order)).collect(),
            orders_of,
            payments: world.payments.iter().map(|it| (it.order_id.as_str(), it)).collect(),
            told,
            accounts: accounts(world),
        }
    }

    /// What a stream tells about a thing.
    pub fn told(&self, stream: &'a str, id: &'a str) -> &[&'a Event] {
        self.told.get(&(stream, id)).map_or(&[], Vec::as_slice)
    }

    /// The newest of them, by version.
    pub fn newest_told(
        &self,
        stream: &'a str,
        id: &'a str,
        subjects: &[&str],
    ) -> Option<&'a Event> {
        let told = self.told(stream, id).iter().copied();
        told.filter(|event| subjects.contains(&event.subject.as_str()))
            .max_by_key(|it| it.version())
    }
}

/// A charge belongs to the order that its PaymentIntent names; to none, under the empty name.
fn accounts(world: &World) -> BTreeMap<&str, Account<'_>> {
    let intents = world.ledger.payment_intents.iter();
    let order_of: HashMap<&str, &str> = intents
        .map(|intent| (intent.id.as_str(), intent.metadata.order_id.as_deref().unwrap_or_default()))
        .collect();
    let mut accounts: BTreeMap<&str, Account<'_>> = BTreeMap::new();
    let mut of_charge = HashMap::new();
    for charge in world.ledger.charges.iter().filter(|charge| charge.status == "succeeded") {
        let order = order_of.get(charge.payment_intent.as_str()).copied().unwrap_or_default();
        of_charge.insert(charge.id.as_str(), order);
        accounts.entry(order).or_default().charges.push(charge);
    }
    for refund in &world.ledger.refunds {
        let order = of_charge.get(refund.charge.as_str()).copied().unwrap_or_default();
        accounts.entry(order).or_default().refunds.push(refund);
    }
    accounts
}
