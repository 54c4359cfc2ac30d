use std::collections::BTreeMap;
use std::time::Duration;

use common::events::{CancelReason, Order, OrderStatus};
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _, with_places};

use common::listing::Delivery;

use super::*;

fn now() -> Time {
    Time::parse("2026-01-31T12:00:00Z").unwrap()
}

fn draft() -> Draft {
    let listing = Listing { title: "Motörhead".to_owned(), ..fixtures::listing() };
    Draft { listing, description: None }
}

fn draft_of(quantity: u16) -> Draft {
    let mut draft = draft();
    draft.listing.quantity = Quantity::new(quantity);
    draft
}

/// A listing with its reservations, as the store applies events to them.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    ticket: Ticket,
    reservations: BTreeMap<OrderId, Reservation>,
}

impl Listed {
    fn new(draft: Draft) -> Listed {
        let ticket = Ticket::create(UserId::new(now()), draft, now()).thing;
        Listed { ticket, reservations: BTreeMap::new() }
    }

    fn live(&self) -> Vec<Reservation> {
        self.reservations.values().filter(|reservation| reservation.live).cloned().collect()
    }

    /// The event is newer than what was applied of its order before.
    fn is_newer(&self, order: &Order) -> bool {
        let known = self.reservations.get(&order.id);
        known.is_none_or(|known| known.order_version < order.version)
    }

    fn apply(mut self, order: &Order) -> Listed {
        if !self.is_newer(order) {
            return self;
        }
        let next = match self.reservations.get(&order.id) {
            Some(known) => known.follow(order).unwrap().thing,
            None => Reservation::of(order),
        };
        let is_rejected = self.ticket.deleted && next.status.is_active();
        self.reservations.insert(order.id, next);
        let change = if is_rejected {
            Some(self.ticket.reject())
        } else if self.ticket.deleted {
            None
        } else {
            self.ticket.summarise(&self.live())
        };
        Listed { ticket: change.map_or(self.ticket, |change| change.thing), ..self }
    }

    fn apply_all<'a>(self, orders: impl IntoIterator<Item = &'a Order>) -> Listed {
        orders.into_iter().fold(self, Listed::apply)
    }

    fn delete(self) -> Listed {
        Listed { ticket: self.ticket.delete().unwrap().thing, ..self }
    }

    fn counts(&self) -> [u16; 3] {
        let Summary { reserved, sold, withdrawn, .. } = self.ticket.summary();
        [reserved, sold, withdrawn].map(Quantity::get)
    }
}

fn listed() -> Listed {
    Listed::new(draft())
}

/// An order of the ticket, in the states that events carry.
#[derive(Clone, Copy)]
struct TestOrder {
    id: OrderId,
    buyer: UserId,
    ticket: TicketId,
    place: u16,
}

impl TestOrder {
    fn of(listed: &Listed) -> Self {
        TestOrder::at(listed, 1)
    }

    fn at(listed: &Listed, place: u16) -> Self {
        let (id, buyer) = (OrderId::new(now()), UserId::new(now()));
        TestOrder { id, buyer, ticket: listed.ticket.id, place }
    }

    fn is(self, status: OrderStatus, version: i64) -> Order {
        let listed = fixtures::ticket(now()).with_id(self.ticket);
        let order = fixtures::order(&listed, now())
            .with_id(self.id)
            .with_buyer(self.buyer)
            .with_status(status)
            .with_occupies(status.is_live())
            .with_cancel_reason((status == OrderStatus::Cancelled).then_some(CancelReason::User))
            .with_version(version);
        with_places(order, [self.place])
    }

    fn withdrawn(self, version: i64) -> Order {
        self.is(OrderStatus::Cancelled, version).with_occupies(true)
    }
}

#[test]
fn an_order_reserves_sells_and_frees_its_ticket() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    assert_eq!(listed.ticket.status(now()), Status::Available);

    let reserved = listed.apply(&order.is(OrderStatus::Created, 1));
    let ticket = &reserved.ticket;
    assert_eq!(ticket.status(now()), Status::Reserved);
    assert_eq!((ticket.order_id, ticket.buyer_id), (Some(order.id), Some(order.buyer)));
    assert_eq!(ticket.version, 2);
    assert!(ticket.is_listed());

    let sold = reserved.clone().apply(&order.is(OrderStatus::Complete, 3));
    assert_eq!(sold.ticket.status(now()), Status::Sold);
    assert_eq!(sold.ticket.order_id, Some(order.id));
    assert!(!sold.ticket.is_listed());

    for before in [reserved, sold] {
        let free = before.apply(&order.is(OrderStatus::Cancelled, 4)).ticket;
        assert_eq!(free.status(now()), Status::Available);
        assert_eq!((free.order_id, free.buyer_id, free.reserved_until), (None, None, None));
        assert!(free.is_listed());
    }
}

#[test]
fn an_expired_reservation_is_shown_as_available_from_that_millisecond() {
    let listed = listed();
    let reserved = TestOrder::of(&listed).is(OrderStatus::Created, 1);
    let reserved = listed.apply(&reserved).ticket;
    let end = now() + Duration::from_secs(900);
    assert_eq!(reserved.status(Time::from_millis(end.millis() - 1)), Status::Reserved);
    assert_eq!(reserved.status(end), Status::Available);
    assert_eq!(
        reserved.check_changeable(),
        Err(ChangeRefusal::Reserved),
        "only an event of orders ends it"
    );
}

#[test]
fn a_stale_cancellation_does_not_free_a_ticket_that_a_newer_order_has_reserved() {
    let listed = listed();
    let (first, second) = (TestOrder::of(&listed), TestOrder::of(&listed));
    let reserved = listed.apply(&second.is(OrderStatus::Created, 1));
    let still = reserved.clone().apply(&first.is(OrderStatus::Cancelled, 7));
    assert_eq!(still.ticket, reserved.ticket);
}

#[test]
fn a_redelivered_order_created_does_not_reserve_again() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let (created, ended) = (order.is(OrderStatus::Created, 1), order.is(OrderStatus::Cancelled, 2));
    let free = listed.apply_all([&created, &ended]);
    assert_eq!(free.clone().apply_all([&created, &ended]), free);
}

#[test]
fn a_cancellation_that_overtakes_order_created_is_recorded() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let ended = listed.apply(&order.is(OrderStatus::Cancelled, 2));
    assert_eq!(ended.clone().apply(&order.is(OrderStatus::Created, 1)), ended);
}

#[test]
fn a_reservation_is_published_when_it_begins() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let first = Reservation::first(&order.is(OrderStatus::Created, 1));
    assert_eq!(first.events[0].id(), format!("ticket.reserved:{}:1", order.id));
    let sold = first.thing.follow(&order.is(OrderStatus::Complete, 2)).unwrap();
    assert!(sold.events.is_empty());
    let ended = sold.thing.follow(&order.is(OrderStatus::Cancelled, 3)).unwrap();
    assert!(ended.events.is_empty());
    let retaken = ended.thing.follow(&order.is(OrderStatus::Complete, 4)).unwrap();
    assert_eq!(retaken.events[0].id(), format!("ticket.reserved:{}:4", order.id));
    assert!(Reservation::first(&order.is(OrderStatus::Cancelled, 2)).events.is_empty());
}

#[test]
fn a_change_is_refused_while_the_ticket_is_reserved_or_sold() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let reserved = listed.clone().apply(&order.is(OrderStatus::Created, 1));
    let sold = reserved.clone().apply(&order.is(OrderStatus::Complete, 2)).ticket;
    let (ticket, reserved) = (listed.ticket, reserved.ticket);
    assert_eq!(reserved.edit(draft()).unwrap_err(), ChangeRefusal::Reserved);
    assert_eq!(reserved.delete().unwrap_err(), ChangeRefusal::Reserved);
    assert_eq!(sold.edit(draft()).unwrap_err(), ChangeRefusal::Sold);
    assert_eq!(sold.delete().unwrap_err(), ChangeRefusal::Sold);

    let mut retitled = draft();
    retitled.listing.title = "Hawkwind".to_owned();
    let edited = ticket.edit(retitled).unwrap().thing;
    assert_eq!((edited.listing.title.as_str(), edited.version), ("Hawkwind", 2));
    let deleted = ticket.delete().unwrap().thing;
    assert_eq!((deleted.deleted, deleted.version), (true, 2));
}

#[test]
fn a_deleted_ticket_rejects_each_newer_order_and_stays_deleted() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let created = order.is(OrderStatus::Created, 1);
    let published = listed.ticket.delete().unwrap().thing.reject();
    assert!(format!("{:?}", published.events).contains("ticket.deleted"));

    let deleted = listed.delete().apply_all([&created, &created]);
    assert_eq!((deleted.ticket.version, deleted.ticket.order_id), (3, None));
    let completed = order.is(OrderStatus::Complete, 2);
    let sold = deleted.apply(&completed);
    assert_eq!((sold.ticket.version, sold.ticket.sold), (4, false));
    let ended = sold.apply(&order.is(OrderStatus::Cancelled, 3));
    assert_eq!(ended.ticket.version, 4, "an order that has ended needs no event");
    assert_eq!(ended.clone().apply(&completed), ended);
    assert!(ended.ticket.deleted);
}

#[test]
fn the_places_of_a_listing_of_many_are_counted() {
    let listed = Listed::new(draft_of(4));
    let [first, second, third] = [1, 2, 3].map(|place| TestOrder::at(&listed, place));
    let listed = listed.apply_all([
        &first.is(OrderStatus::Created, 1),
        &second.is(OrderStatus::Complete, 2),
        &third.withdrawn(4),
    ]);
    assert_eq!(listed.counts(), [1, 1, 1]);
    assert_eq!((listed.ticket.order_id, listed.ticket.sold), (None, false));
    assert_eq!(listed.ticket.available(now()), Quantity::ONE);
    assert_eq!(listed.ticket.status(now()), Status::Available);
    let end = now() + Duration::from_secs(900);
    assert_eq!(listed.ticket.available(end), Quantity::new(2));

    let fourth = TestOrder::at(&listed, 4);
    let full = listed.apply(&fourth.is(OrderStatus::Complete, 2));
    assert_eq!(full.ticket.status(now()), Status::Reserved);
    assert!(full.ticket.is_listed(), "its reservation may expire");
    let sold = full.apply(&first.is(OrderStatus::Complete, 2));
    assert_eq!(sold.ticket.status(now()), Status::Sold);
    assert!(!sold.ticket.is_listed());
}

#[test]
fn a_place_that_was_refunded_without_relisting_is_not_for_sale() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    let withdrawn = listed.apply_all([&order.is(OrderStatus::Complete, 2), &order.withdrawn(3)]);
    assert_eq!(withdrawn.ticket.status(now()), Status::Closed);
    assert_eq!(withdrawn.ticket.available(now()), Quantity::NONE);
    assert_eq!(withdrawn.counts(), [0, 0, 1]);
    assert!(!withdrawn.ticket.is_listed());
    // The seller may say that more are for sale.
    let more = withdrawn.ticket.edit(draft_of(3)).unwrap().thing;
    assert_eq!(more.available(now()), Quantity::new(2));
}

#[test]
fn what_buyers_rely_on_is_fixed_once_a_place_is_taken() {
    let listed = Listed::new(draft_of(4));
    let edit = |listed: &Listed, change: fn(&mut Listing)| {
        let mut draft = draft_of(4);
        change(&mut draft.listing);
        listed.ticket.edit(draft)
    };
    assert!(edit(&listed, |listing| listing.title = "Hawkwind".to_owned()).is_ok());
    let fewer = ChangeRefusal::FewerPlaces { now: Quantity::new(4) };
    let shrink: fn(&mut Listing) = |listing| listing.quantity = Quantity::new(3);
    assert_eq!(edit(&listed, shrink).unwrap_err(), fewer);

    let order = TestOrder::at(&listed, 2);
    let created = order.is(OrderStatus::Created, 1);
    let reserved = listed.clone().apply(&created);
    let sold = reserved.clone().apply(&order.is(OrderStatus::Complete, 2));
    let withdrawn = sold.clone().apply(&order.withdrawn(3));
    for taken in [&reserved, &sold, &withdrawn] {
        let refused = edit(taken, |listing| {
            listing.title = "Hawkwind".to_owned();
            listing.date = Some(now());
            listing.time_zone = "UTC".to_owned();
            listing.venue = None;
            listing.delivery = Delivery::CheckedInHere;
            listing.sold_together = true;
        });
        let fixed = vec!["title", "date", "timeZone", "venue", "delivery", "soldTogether"];
        assert_eq!(refused.unwrap_err(), ChangeRefusal::DetailsFixed(fixed));
        assert_eq!(edit(taken, shrink).unwrap_err(), fewer);
        let edited = edit(taken, |listing| {
            listing.price = common::Money::from_minor(1);
            listing.max_per_order = Quantity::ONE;
            listing.quantity = Quantity::new(5);
            listing.closed = true;
        });
        let edited = edited.unwrap().thing;
        assert_eq!(
            (edited.edited_version, edited.version),
            (edited.version, taken.ticket.version + 1)
        );
        assert_eq!(edited.status(now()), Status::Closed);
        assert!(!edited.is_listed());
    }
    assert_eq!(reserved.ticket.delete().unwrap_err(), ChangeRefusal::Reserved);
    assert_eq!(sold.ticket.delete().unwrap_err(), ChangeRefusal::Sold);
    assert!(withdrawn.ticket.delete().is_ok());

    let mut pair = draft_of(2);
    pair.listing.sold_together = true;
    let pair_listed = Listed::new(pair.clone()).apply(&created);
    pair.listing.quantity = Quantity::new(4);
    let refused = pair_listed.ticket.edit(pair.clone()).unwrap_err();
    assert_eq!(refused, ChangeRefusal::DetailsFixed(vec!["quantity"]));
    pair.listing.sold_together = false;
    assert!(pair_listed.ticket.edit(pair).is_ok());
}

/// Every sequence of deliveries, each event once or twice: the newest one of each order decides.
fn check_all_deliveries(listed: &Listed, history: &[Order]) {
    let in_order = listed.clone().apply_all(history);
    let mut left = vec![2_u8; history.len()];
    let mut checked = 0_u32;
    // The number of changes differs; the resulting state doesn't.
    let without_version = |mut end: Listed| {
        end.ticket.version = 0;
        end.reservations.values_mut().for_each(|reservation| reservation.version = 0);
        end
    };
    let expected = without_version(in_order);
    deliver(listed.clone(), history, &mut left, &mut |end| {
        assert_eq!(without_version(end), expected);
        checked += 1;
    });
    assert!(checked > 2520, "{checked} deliveries");
}

/// Recurses with each event that has a delivery left; `done` gets the end whenever each was delivered at least once.
fn deliver(listed: Listed, history: &[Order], left: &mut [u8], done: &mut impl FnMut(Listed)) {
    if left.iter().all(|&left| left < 2) {
        done(listed.clone());
    }
    for event in 0..history.len() {
        if left[event] > 0 {
            left[event] -= 1;
            deliver(listed.clone().apply(&history[event]), history, left, done);
            left[event] += 1;
        }
    }
}

#[test]
fn two_orders_converge_in_whatever_sequence_their_events_arrive() {
    for quantity in [1, 2] {
        let listed = Listed::new(draft_of(quantity));
        let (first, second) = (TestOrder::of(&listed), TestOrder::of(&listed));
        let history = [
            first.is(OrderStatus::Created, 1),
            first.is(OrderStatus::Cancelled, 5),
            second.is(OrderStatus::Created, 1),
            second.is(OrderStatus::Complete, 3),
        ];
        check_all_deliveries(&listed, &history);
    }
}

#[test]
fn a_deleted_ticket_converges_in_whatever_sequence_the_events_of_its_orders_arrive() {
    let listed = listed();
    let (first, second) = (TestOrder::of(&listed), TestOrder::of(&listed));
    let history = [
        first.is(OrderStatus::Created, 1),
        first.is(OrderStatus::Cancelled, 5),
        second.is(OrderStatus::Created, 1),
        second.is(OrderStatus::Complete, 3),
    ];
    check_all_deliveries(&listed.delete(), &history);
}

#[test]
fn a_late_payment_converges_in_whatever_sequence_its_events_arrive() {
    let listed = listed();
    let order = TestOrder::of(&listed);
    check_all_deliveries(
        &listed,
        &[
            order.is(OrderStatus::Created, 1),
            order.is(OrderStatus::Cancelled, 3),
            order.is(OrderStatus::Complete, 4),
            order.is(OrderStatus::Cancelled, 5),
        ],
    );
}
