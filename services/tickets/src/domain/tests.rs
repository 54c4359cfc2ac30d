use std::time::Duration;

use common::events::{CancelReason, Order};
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _};

use super::*;

fn now() -> Time {
    Time::parse("2026-01-31T12:00:00Z").unwrap()
}

fn draft() -> Draft {
    let listing = Listing { title: "Motörhead".to_owned(), ..fixtures::listing() };
    Draft { listing, description: None }
}

fn ticket() -> Ticket {
    Ticket::create(UserId::new(now()), draft(), now()).thing
}

/// An order of the ticket, in the states that events carry.
#[derive(Clone, Copy)]
struct TestOrder {
    id: OrderId,
    buyer: UserId,
    ticket: TicketId,
}

impl TestOrder {
    fn of(ticket: &Ticket) -> Self {
        TestOrder { id: OrderId::new(now()), buyer: UserId::new(now()), ticket: ticket.id }
    }

    fn is(self, status: OrderStatus, hold: i64, version: i64) -> Order {
        let listed = fixtures::ticket(now()).with_id(self.ticket);
        fixtures::order(&listed, now())
            .with_id(self.id)
            .with_hold(hold)
            .with_buyer(self.buyer)
            .with_status(status)
            .with_cancel_reason((status == OrderStatus::Cancelled).then_some(CancelReason::User))
            .with_version(version)
    }
}

fn apply(ticket: Ticket, order: &Order) -> Ticket {
    ticket.follow(order).map_or(ticket, |change| change.thing)
}

#[test]
fn an_order_reserves_sells_and_frees_its_ticket() {
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    assert_eq!(ticket.status(now()), Status::Available);

    let reserved = apply(ticket, &order.is(OrderStatus::Created, 1, 1));
    assert_eq!(reserved.status(now()), Status::Reserved);
    assert_eq!((reserved.order_id, reserved.buyer_id), (Some(order.id), Some(order.buyer)));
    assert_eq!((reserved.hold, reserved.hold_version, reserved.version), (1, 1, 2));
    assert!(reserved.is_listed());

    let sold = apply(reserved.clone(), &order.is(OrderStatus::Complete, 1, 3));
    assert_eq!(sold.status(now()), Status::Sold);
    assert_eq!(sold.order_id, Some(order.id));
    assert!(!sold.is_listed());

    for before in [reserved, sold] {
        let free = apply(before, &order.is(OrderStatus::Cancelled, 1, 4));
        assert_eq!(free.status(now()), Status::Available);
        assert_eq!((free.order_id, free.buyer_id, free.reserved_until), (None, None, None));
        assert!(free.is_listed());
    }
}

#[test]
fn an_expired_reservation_is_shown_as_available_from_that_millisecond() {
    let ticket = ticket();
    let reserved = apply(ticket.clone(), &TestOrder::of(&ticket).is(OrderStatus::Created, 1, 1));
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
    let ticket = ticket();
    let (first, second) = (TestOrder::of(&ticket), TestOrder::of(&ticket));
    let reserved = apply(ticket, &second.is(OrderStatus::Created, 2, 1));
    assert!(reserved.follow(&first.is(OrderStatus::Cancelled, 1, 7)).is_none());
}

#[test]
fn a_redelivered_order_created_does_not_reserve_again() {
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    let created = order.is(OrderStatus::Created, 1, 1);
    let free = apply(apply(ticket, &created), &order.is(OrderStatus::Cancelled, 1, 2));
    assert!(free.follow(&created).is_none());
    assert!(free.follow(&order.is(OrderStatus::Cancelled, 1, 2)).is_none());
}

#[test]
fn a_cancellation_that_overtakes_order_created_is_recorded() {
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    let ended = apply(ticket, &order.is(OrderStatus::Cancelled, 1, 2));
    assert_eq!((ended.hold, ended.hold_version), (1, 2));
    assert!(ended.follow(&order.is(OrderStatus::Created, 1, 1)).is_none());
}

#[test]
fn a_change_is_refused_while_the_ticket_is_reserved_or_sold() {
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    let reserved = apply(ticket.clone(), &order.is(OrderStatus::Created, 1, 1));
    let sold = apply(reserved.clone(), &order.is(OrderStatus::Complete, 1, 2));
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
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    let deleted = ticket.delete().unwrap().thing;
    let created = order.is(OrderStatus::Created, 1, 1);

    let published = deleted.follow(&created).unwrap();
    assert!(format!("{:?}", published.events).contains("ticket.deleted"));
    assert_eq!((published.thing.version, published.thing.order_id), (3, None));
    assert!(published.thing.deleted);
    assert!(published.thing.follow(&created).is_none());

    let completed = published.thing.follow(&order.is(OrderStatus::Complete, 1, 2)).unwrap();
    assert!(format!("{:?}", completed.events).contains("ticket.deleted"));
    assert!(!completed.thing.sold);

    let ended = completed.thing.follow(&order.is(OrderStatus::Cancelled, 1, 3)).unwrap();
    assert!(ended.events.is_empty(), "an order that has ended needs no event");
    assert!(ended.thing.follow(&order.is(OrderStatus::Complete, 1, 2)).is_none());
}

/// Every sequence of deliveries, each event once or twice: only the newest one, which is last, decides.
fn check_all_deliveries(ticket: &Ticket, history: &[Order]) {
    let in_order = history.iter().fold(ticket.clone(), apply);
    let last = history.last().unwrap();
    assert_eq!((in_order.hold, in_order.hold_version), (last.hold, last.version));
    let mut left = vec![2_u8; history.len()];
    let mut checked = 0_u32;
    deliver(ticket.clone(), history, &mut left, &mut |end| {
        // The number of changes differs; the resulting state doesn't.
        assert_eq!(Ticket { version: 0, ..end }, Ticket { version: 0, ..in_order.clone() });
        checked += 1;
    });
    assert!(checked > 2520, "{checked} deliveries");
}

/// Recurses with each event that has a delivery left; `done` gets the ticket whenever each was delivered at least once.
fn deliver(ticket: Ticket, history: &[Order], left: &mut [u8], done: &mut impl FnMut(Ticket)) {
    if left.iter().all(|&left| left < 2) {
        done(ticket.clone());
    }
    for event in 0..history.len() {
        if left[event] > 0 {
            left[event] -= 1;
            deliver(apply(ticket.clone(), &history[event]), history, left, done);
            left[event] += 1;
        }
    }
}

#[test]
fn two_orders_converge_in_whatever_sequence_their_events_arrive() {
    let ticket = ticket();
    let (first, second) = (TestOrder::of(&ticket), TestOrder::of(&ticket));
    let history = [
        first.is(OrderStatus::Created, 1, 1),
        first.is(OrderStatus::Cancelled, 1, 5),
        second.is(OrderStatus::Created, 2, 1),
        second.is(OrderStatus::Complete, 2, 3),
    ];
    check_all_deliveries(&ticket, &history);
    check_all_deliveries(&ticket.delete().unwrap().thing, &history);
}

#[test]
fn a_late_payment_under_a_new_fencing_number_converges_in_whatever_sequence_its_events_arrive() {
    let ticket = ticket();
    let order = TestOrder::of(&ticket);
    check_all_deliveries(
        &ticket,
        &[
            order.is(OrderStatus::Created, 1, 1),
            order.is(OrderStatus::Cancelled, 1, 3),
            order.is(OrderStatus::Complete, 2, 4),
            order.is(OrderStatus::Cancelled, 2, 5),
        ],
    );
}
