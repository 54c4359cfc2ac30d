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
    Ticket::offer(UserId::new(now()), draft(), now()).thing
}

/// One order of the ticket, of which the events are made.
#[derive(Clone, Copy)]
struct Buying {
    id: OrderId,
    buyer: UserId,
    ticket: TicketId,
}

impl Buying {
    fn of(ticket: &Ticket) -> Self {
        Buying { id: OrderId::new(now()), buyer: UserId::new(now()), ticket: ticket.id }
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

fn followed(ticket: Ticket, order: &Order) -> Ticket {
    ticket.follow(order).map_or(ticket, |change| change.thing)
}

#[test]
fn an_order_locks_sells_and_frees_its_ticket() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
    assert_eq!(ticket.status(now()), Status::Available);

    let held = followed(ticket, &order.is(OrderStatus::Created, 1, 1));
    assert_eq!(held.status(now()), Status::Reserved);
    assert_eq!((held.order_id, held.buyer_id), (Some(order.id), Some(order.buyer)));
    assert_eq!((held.hold, held.hold_version, held.version), (1, 1, 2));
    assert!(held.is_listed());

    let sold = followed(held.clone(), &order.is(OrderStatus::Complete, 1, 3));
    assert_eq!(sold.status(now()), Status::Sold);
    assert_eq!(sold.order_id, Some(order.id));
    assert!(!sold.is_listed());

    for before in [held, sold] {
        let free = followed(before, &order.is(OrderStatus::Cancelled, 1, 4));
        assert_eq!(free.status(now()), Status::Available);
        assert_eq!((free.order_id, free.buyer_id, free.reserved_until), (None, None, None));
        assert!(free.is_listed());
    }
}

#[test]
fn a_hold_that_has_run_out_is_available_to_readers_at_that_very_moment() {
    let ticket = ticket();
    let held = followed(ticket.clone(), &Buying::of(&ticket).is(OrderStatus::Created, 1, 1));
    let end = now() + Duration::from_secs(900);
    assert_eq!(held.status(Time::from_millis(end.millis() - 1)), Status::Reserved);
    assert_eq!(held.status(end), Status::Available);
    assert_eq!(held.is_free(), Err(Refusal::Reserved), "its end is orders' to tell");
}

#[test]
fn a_stale_end_does_not_free_a_ticket_that_a_newer_hold_has() {
    let ticket = ticket();
    let (first, second) = (Buying::of(&ticket), Buying::of(&ticket));
    let held = followed(ticket, &second.is(OrderStatus::Created, 2, 1));
    assert!(held.follow(&first.is(OrderStatus::Cancelled, 1, 7)).is_none());
}

#[test]
fn a_redelivered_start_does_not_lock_again() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
    let created = order.is(OrderStatus::Created, 1, 1);
    let free = followed(followed(ticket, &created), &order.is(OrderStatus::Cancelled, 1, 2));
    assert!(free.follow(&created).is_none());
    assert!(free.follow(&order.is(OrderStatus::Cancelled, 1, 2)).is_none());
}

#[test]
fn an_end_that_overtakes_its_start_is_remembered() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
    let ended = followed(ticket, &order.is(OrderStatus::Cancelled, 1, 2));
    assert_eq!((ended.hold, ended.hold_version), (1, 2));
    assert!(ended.follow(&order.is(OrderStatus::Created, 1, 1)).is_none());
}

#[test]
fn a_change_is_refused_while_an_order_has_the_ticket() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
    let held = followed(ticket.clone(), &order.is(OrderStatus::Created, 1, 1));
    let sold = followed(held.clone(), &order.is(OrderStatus::Complete, 1, 2));
    assert_eq!(held.edit(draft()).unwrap_err(), Refusal::Reserved);
    assert_eq!(held.delete().unwrap_err(), Refusal::Reserved);
    assert_eq!(sold.edit(draft()).unwrap_err(), Refusal::Sold);
    assert_eq!(sold.delete().unwrap_err(), Refusal::Sold);

    let mut retitled = draft();
    retitled.listing.title = "Hawkwind".to_owned();
    let edited = ticket.edit(retitled).unwrap().thing;
    assert_eq!((edited.listing.title.as_str(), edited.version), ("Hawkwind", 2));
    let deleted = ticket.delete().unwrap().thing;
    assert_eq!((deleted.deleted, deleted.version), (true, 2));
}

#[test]
fn a_deleted_ticket_answers_each_newer_order_and_stays_deleted() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
    let deleted = ticket.delete().unwrap().thing;
    let created = order.is(OrderStatus::Created, 1, 1);

    let told = deleted.follow(&created).unwrap();
    assert!(format!("{:?}", told.events).contains("ticket.deleted"));
    assert_eq!((told.thing.version, told.thing.order_id), (3, None));
    assert!(told.thing.deleted);
    assert!(told.thing.follow(&created).is_none());

    let completed = told.thing.follow(&order.is(OrderStatus::Complete, 1, 2)).unwrap();
    assert!(format!("{:?}", completed.events).contains("ticket.deleted"));
    assert!(!completed.thing.sold);

    let ended = completed.thing.follow(&order.is(OrderStatus::Cancelled, 1, 3)).unwrap();
    assert!(ended.events.is_empty(), "an order that has ended needs no answer");
    assert!(ended.thing.follow(&order.is(OrderStatus::Complete, 1, 2)).is_none());
}

/// Every order of delivery, each event once or twice: the newest alone, which is last, decides.
fn check_all_deliveries(ticket: &Ticket, history: &[Order]) {
    let in_order = history.iter().fold(ticket.clone(), followed);
    let last = history.last().unwrap();
    assert_eq!((in_order.hold, in_order.hold_version), (last.hold, last.version));
    let mut left = vec![2_u8; history.len()];
    let mut checked = 0_u32;
    deliver(ticket.clone(), history, &mut left, &mut |end| {
        // How often it changed on the way differs; what it is doesn't.
        assert_eq!(Ticket { version: 0, ..end }, Ticket { version: 0, ..in_order.clone() });
        checked += 1;
    });
    assert!(checked > 2520, "{checked} deliveries");
}

/// Goes on with each event that has a delivery left; `done` sees the ticket whenever all were there.
fn deliver(ticket: Ticket, history: &[Order], left: &mut [u8], done: &mut impl FnMut(Ticket)) {
    if left.iter().all(|&left| left < 2) {
        done(ticket.clone());
    }
    for event in 0..history.len() {
        if left[event] > 0 {
            left[event] -= 1;
            deliver(followed(ticket.clone(), &history[event]), history, left, done);
            left[event] += 1;
        }
    }
}

#[test]
fn two_holds_end_alike_whatever_the_order_of_their_events() {
    let ticket = ticket();
    let (first, second) = (Buying::of(&ticket), Buying::of(&ticket));
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
fn a_late_payment_under_a_new_hold_ends_alike_whatever_the_order_of_its_events() {
    let ticket = ticket();
    let order = Buying::of(&ticket);
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
