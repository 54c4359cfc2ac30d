//! A snapshot, indexed by id.

use std::collections::{BTreeMap, HashMap};

use common::events::Stream;

use super::snapshot::{
    Charge, Dispute, Event, Order, Payment, Refund, Reservation, Schedule, Snapshot, Ticket, User,
};

pub(super) struct Index<'a> {
    pub snapshot: &'a Snapshot,
    pub users: HashMap<&'a str, &'a User>,
    pub tickets: HashMap<&'a str, &'a Ticket>,
    pub orders: HashMap<&'a str, &'a Order>,
    /// By ticket.
    pub orders_of: HashMap<&'a str, Vec<&'a Order>>,
    /// By order.
    pub reservations: HashMap<&'a str, &'a Reservation>,
    /// By ticket.
    pub reservations_of: HashMap<&'a str, Vec<&'a Reservation>>,
    /// By order.
    pub payments: HashMap<&'a str, &'a Payment>,
    /// By order.
    pub schedules: HashMap<&'a str, &'a Schedule>,
    /// The events of an aggregate, by stream and id.
    events: HashMap<(Stream, &'a str), Vec<&'a Event>>,
    /// What Stripe charged and refunded, by order.
    pub accounts: BTreeMap<&'a str, Account<'a>>,
}

/// What Stripe charged and refunded for one order.
#[derive(Default)]
pub(super) struct Account<'a> {
    /// What the card was charged.
    pub charges: Vec<&'a Charge>,
    /// The refunds of these, of any status.
    pub refunds: Vec<&'a Refund>,
    /// The disputes of these, of any status.
    pub disputes: Vec<&'a Dispute>,
    /// The PaymentIntents that are authorised, and neither captured nor released.
    pub open: Vec<&'a str>,
}

impl Account<'_> {
    /// In cents.
    pub fn charged(&self) -> i64 {
        self.charges.iter().map(|charge| charge.amount).sum()
    }

    /// In cents.
    pub fn refunded(&self) -> i64 {
        let succeeded = self.refunds.iter().filter(|refund| refund.status == "succeeded");
        succeeded.map(|refund| refund.amount).sum()
    }

    /// What lost disputes have taken back, in cents.
    pub fn charged_back(&self) -> i64 {
        let lost = self.disputes.iter().filter(|dispute| dispute.status == "lost");
        lost.map(|dispute| dispute.amount).sum()
    }

    /// What is left, in cents.
    pub fn kept(&self) -> i64 {
        self.charged() - self.refunded() - self.charged_back()
    }
}

impl<'a> Index<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut orders_of: HashMap<&str, Vec<&Order>> = HashMap::new();
        for order in &snapshot.orders {
            orders_of.entry(&order.ticket_id).or_default().push(order);
        }
        let mut reservations_of: HashMap<&str, Vec<&Reservation>> = HashMap::new();
        for reservation in &snapshot.reservations {
            reservations_of.entry(&reservation.ticket_id).or_default().push(reservation);
        }
        let mut events: HashMap<(Stream, &str), Vec<&Event>> = HashMap::new();
        for event in &snapshot.events {
            events.entry((event.stream, event.aggregate_id())).or_default().push(event);
        }
        Index {
            snapshot,
            users: snapshot.users.iter().map(|user| (user.id.as_str(), user)).collect(),
            tickets: snapshot.tickets.iter().map(|ticket| (ticket.id.as_str(), ticket)).collect(),
            orders: snapshot.orders.iter().map(|order| (order.id.as_str(), order)).collect(),
            orders_of,
            reservations: snapshot
                .reservations
                .iter()
                .map(|it| (it.order_id.as_str(), it))
                .collect(),
            reservations_of,
            schedules: snapshot.schedules.iter().map(|it| (it.order_id.as_str(), it)).collect(),
            payments: snapshot.payments.iter().map(|it| (it.order_id.as_str(), it)).collect(),
            events,
            accounts: accounts(snapshot),
        }
    }

    /// The events of an aggregate.
    pub fn events_of(&self, stream: Stream, id: &'a str) -> &[&'a Event] {
        self.events.get(&(stream, id)).map_or(&[], Vec::as_slice)
    }

    /// The latest of them that carries the aggregate's whole state.
    pub fn latest_state(&self, stream: Stream, id: &'a str) -> Option<&'a Event> {
        let events = self.events_of(stream, id).iter().copied();
        events.filter(|event| event.carries_state()).max_by_key(|event| event.version())
    }
}

/// A charge belongs to the order in its PaymentIntent's metadata; without one, it is indexed under the empty id.
fn accounts(snapshot: &Snapshot) -> BTreeMap<&str, Account<'_>> {
    let intents = snapshot.ledger.payment_intents.iter();
    let order_of: HashMap<&str, &str> = intents
        .map(|intent| (intent.id.as_str(), intent.metadata.order_id.as_deref().unwrap_or_default()))
        .collect();
    let mut accounts: BTreeMap<&str, Account<'_>> = BTreeMap::new();
    let mut of_charge = HashMap::new();
    for intent in
        snapshot.ledger.payment_intents.iter().filter(|it| it.status == "requires_capture")
    {
        let order = intent.metadata.order_id.as_deref().unwrap_or_default();
        accounts.entry(order).or_default().open.push(&intent.id);
    }
    let succeeded = |charge: &&Charge| charge.status == "succeeded" && charge.captured;
    for charge in snapshot.ledger.charges.iter().filter(succeeded) {
        let order = order_of.get(charge.payment_intent.as_str()).copied().unwrap_or_default();
        of_charge.insert(charge.id.as_str(), order);
        accounts.entry(order).or_default().charges.push(charge);
    }
    for refund in &snapshot.ledger.refunds {
        let order = of_charge.get(refund.charge.as_str()).copied().unwrap_or_default();
        accounts.entry(order).or_default().refunds.push(refund);
    }
    for dispute in &snapshot.ledger.disputes {
        let order = of_charge.get(dispute.charge.as_str()).copied().unwrap_or_default();
        accounts.entry(order).or_default().disputes.push(dispute);
    }
    accounts
}
