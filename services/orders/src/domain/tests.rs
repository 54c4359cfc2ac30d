use std::collections::BTreeSet;

use common::events::{Event, Subject};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::fixtures::{self, FailedPaymentChanges as _, PaymentChanges as _, RefundChanges as _};

use super::*;

const RESERVATION: Duration = Duration::from_secs(900);

fn now() -> Time {
    Time::parse("2026-01-31T12:00:00Z").unwrap()
}

fn ticket() -> OrderedTicket {
    fixtures::ordered_ticket(&fixtures::ticket(now()))
}

fn places(numbers: &[u16]) -> Vec<Place> {
    numbers.iter().copied().map(Place::new).collect()
}

fn reserve(ticket: &OrderedTicket, numbers: &[u16]) -> Change<Order> {
    let (id, buyer) = (OrderId::new(now()), UserId::new(now()));
    let slot = Slots::new(1).all().next().unwrap();
    Order::reserve(id, buyer, ticket.clone(), places(numbers), slot, now(), RESERVATION)
}

fn payment(order: &Order) -> events::Payment {
    fixtures::payment(order.id, now()).with_amount(order.total)
}

fn decline(order: &Order, r#final: bool) -> events::FailedPayment {
    fixtures::failed_payment(order.id, now()).with_final(r#final).with_version(4)
}

/// The order's payment, as its later events name it.
fn of(order: &Order) -> events::Payment {
    let id = order.payment.as_ref().map_or_else(|| PaymentId::new(now()), |payment| payment.id);
    payment(order).with_id(id)
}

fn refund(order: &Order, relist: bool) -> events::Refund {
    fixtures::refund(&of(order)).with_relist(relist)
}

/// Everything that can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Confirmed,
    Cancelled,
    TimerEarly,
    TimerDue,
    PaidAndFree,
    PaidAndGone,
    Declined,
    /// Older than the payment that may have been answered.
    FailedBefore,
    Failed,
    Released,
    Refunded,
    Withdrawn,
    DisputeLost,
    TicketDeleted,
}

use Move::*;

const MOVES: [Move; 14] = [
    Confirmed,
    Cancelled,
    TimerEarly,
    TimerDue,
    PaidAndFree,
    PaidAndGone,
    Declined,
    FailedBefore,
    Failed,
    Released,
    Refunded,
    Withdrawn,
    DisputeLost,
    TicketDeleted,
];

/// `free` are the places that an expired order would get.
fn make(order: &Order, r#move: Move, free: &[u16]) -> Option<Change<Order>> {
    let end = order.expires_at;
    match r#move {
        // As the store's filter decides.
        Confirmed => (order.status == OrderStatus::Created)
            .then(|| Change::without_event(order.with_status(OrderStatus::AwaitingPayment, None))),
        Cancelled => order.cancel(CancelReason::User),
        TimerEarly => due(order.expire(end - Duration::from_millis(1))),
        TimerDue => due(order.expire(end)),
        PaidAndFree => order.paid(&payment(order), Retake::Free { places: places(free) }, end),
        PaidAndGone => order.paid(&payment(order), Retake::Gone, end),
        Declined => order.payment_failed(&decline(order, false)),
        FailedBefore => order.payment_failed(&decline(order, true).with_version(2)),
        Failed => order.payment_failed(&decline(order, true)),
        Released => order.released(&fixtures::released(&of(order))),
        DisputeLost => order.disputed(&fixtures::disputed(&of(order), events::DisputeStatus::Lost)),
        Refunded => order.refunded(&refund(order, true)),
        Withdrawn => order.refunded(&refund(order, false)),
        TicketDeleted => order.ticket_deleted(),
    }
}

fn due(expiry: Expiry) -> Option<Change<Order>> {
    match expiry {
        Expiry::Due(change) => Some(*change),
        Expiry::NotBefore(_) | Expiry::Nothing => None,
    }
}

/// The table's name of a change, whose event must match what is stored.
fn name(before: &Order, change: Option<Change<Order>>) -> String {
    let Some(Change { thing: after, events }) = change else { return ".".to_owned() };
    assert_sound(before, &after);
    let Some(event) = events.first() else { return "recorded".to_owned() };
    assert_eq!(events.len(), 1, "one event per change: event ids contain the version");
    let data = format!("{event:?}");
    assert!(data.contains(&format!("{}:{}", after.id, after.version)), "{data}");
    match event.subject() {
        Subject::OrderUpdated if after.status == OrderStatus::Cancelled => "seen".to_owned(),
        Subject::OrderUpdated => after.status.as_str().to_owned(),
        Subject::OrderCancelled if after.occupies => "withdrawn".to_owned(),
        Subject::OrderCancelled => after.cancel_reason.unwrap().as_str().to_owned(),
        Subject::OrderCompleted if after.places == before.places => "complete".to_owned(),
        Subject::OrderCompleted => "retaken".to_owned(),
        Subject::OrderRefundRequired => match after.refund_required.unwrap() {
            RefundReason::TooLate => "refund: too late".to_owned(),
            RefundReason::OrderCancelled => "refund: cancelled".to_owned(),
            RefundReason::TicketDeleted => "refund: deleted".to_owned(),
            RefundReason::Banned => "refund: banned".to_owned(),
            RefundReason::Unknown => "refund: unknown".to_owned(),
        },
        other @ (Subject::OrderCreated
        | Subject::UserCreated
        | Subject::UserUpdated
        | Subject::UserSessionEnded
        | Subject::TicketCreated
        | Subject::TicketUpdated
        | Subject::TicketDeleted
        | Subject::TicketReserved
        | Subject::ExpirationComplete
        | Subject::PaymentCreated
        | Subject::PaymentCaptured
        | Subject::PaymentFailed
        | Subject::PaymentReleased
        | Subject::PaymentRefunded
        | Subject::PaymentDisputed) => panic!("no change of an order publishes {other}"),
    }
}

/// The invariants of every change.
fn assert_sound(before: &Order, after: &Order) {
    assert_eq!(after.version, before.version + 1, "every change increments the version");
    assert_eq!(after.occupies, after.status.is_live() || after.withdrawn);
    let may_withdraw = [Some(CancelReason::Refunded), Some(CancelReason::Disputed)];
    assert!(!after.withdrawn || may_withdraw.contains(&after.cancel_reason), "{after:?}");
    let unpaid = matches!(after.status, OrderStatus::Created | OrderStatus::AwaitingPayment);
    assert_eq!(after.unpaid, unpaid);
    assert_eq!(after.cancel_reason.is_some(), after.status == OrderStatus::Cancelled);
    assert_eq!(Quantity::of(&after.places), after.quantity);
    let constants = |order: &Order| {
        let money = (order.quantity, order.total);
        (order.id, order.created_at, order.user_id, order.seller_id, order.expires_at, money)
    };
    assert_eq!(constants(after), constants(before));
    assert_eq!((&after.ticket, after.ticket_id), (&before.ticket, before.ticket_id));
    let answer = |order: &Order| order.payment.as_ref().and_then(|payment| payment.answer);
    if answer(before).is_some() {
        assert_eq!(answer(after), answer(before), "an answer is never revised");
    }
    let settled = |order: &Order| order.payment.as_ref().is_some_and(|payment| payment.settled);
    assert!(settled(after) || !settled(before), "money that has gone back is never expected again");
    assert!(after.payment_version() >= before.payment_version(), "newer wins");
    if before.refund_required.is_some() {
        assert_eq!(after.refund_required, before.refund_required, "a refund is required once");
    }
}

/// Every state of an order, by the moves that lead there, and the result of each further move, in the order of [`MOVES`].
#[rustfmt::skip]
const TABLE: &[(&[Move], [&str; MOVES.len()])] = &[
    (&[],                              ["recorded",         "user", ".", "expired", "complete",          "complete",          ".", "payment_failed", "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "ticket_deleted"]),
    (&[Confirmed],                     [".",                "user", ".", "expired", "complete",          "complete",          ".", "payment_failed", "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "ticket_deleted"]),
    (&[PaidAndGone],                   [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "refund: deleted"]),
    (&[Confirmed, PaidAndGone],        [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "refund: deleted"]),
    (&[TimerDue, PaidAndFree],         [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "refund: deleted"]),
    (&[PaidAndGone, TicketDeleted],    [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "payment_failed", "refunded", "refunded", "withdrawn", "withdrawn", "."]),
    (&[Cancelled],                     [".",                ".",    ".", ".",       "refund: cancelled", "refund: cancelled", ".", "seen",           "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[TicketDeleted],                 [".",                ".",    ".", ".",       "refund: cancelled", "refund: cancelled", ".", "seen",           "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[TimerDue],                      [".",                ".",    ".", ".",       "retaken",           "refund: too late",  ".", "seen",           "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[FailedBefore],                  [".",                ".",    ".", ".",       "refund: cancelled", "refund: cancelled", ".", ".",              "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[Failed],                        [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              "seen",     "seen",     "seen",      "seen",      "."]),
    (&[TimerDue, FailedBefore],        [".",                ".",    ".", ".",       "retaken",           "refund: too late",  ".", ".",              "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[TimerDue, Failed],              [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              "seen",     "seen",     "seen",      "seen",      "."]),
    (&[Cancelled, PaidAndFree],        [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[TimerDue, PaidAndGone],         [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              "seen",           "seen",     "seen",     "seen",      "seen",      "."]),
    (&[PaidAndGone, Failed],           [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              "seen",     "seen",     "seen",      "seen",      "."]),
    (&[Cancelled, PaidAndFree, Failed],[".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              "seen",     "seen",     "seen",      "seen",      "."]),
    (&[Released],                      [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[Refunded],                      [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[PaidAndGone, Released],         [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[PaidAndGone, Refunded],         [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[PaidAndGone, Withdrawn],        [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[PaidAndGone, DisputeLost],      [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[Cancelled, Refunded],           [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
    (&[TimerDue, Released],            [".",                ".",    ".", ".",       ".",                 ".",                 ".", ".",              ".",              ".",        ".",        ".",         ".",         "."]),
];

#[test]
fn the_table_lists_every_legal_transition() {
    for (path, expected) in TABLE {
        let mut order = reserve(&ticket(), &[1, 2]).thing;
        for step in *path {
            order = make(&order, *step, &[3, 4]).expect("the path is legal").thing;
        }
        let got = MOVES.map(|step| name(&order, make(&order, step, &[5, 6])));
        assert_eq!(got, *expected, "after {path:?}");
    }
}

#[test]
fn an_early_timer_gets_the_time_of_its_retry() {
    let order = reserve(&ticket(), &[1]).thing;
    let early = order.expires_at - Duration::from_millis(1);
    assert!(matches!(order.expire(early), Expiry::NotBefore(time) if time == order.expires_at));
    let ended = order.cancel(CancelReason::User).unwrap().thing;
    assert!(matches!(ended.expire(early), Expiry::Nothing));
}

#[test]
fn an_expired_reservation_reads_as_expired_before_the_database_records_it() {
    let order = reserve(&ticket(), &[1]).thing;
    let end = order.expires_at;
    let before = end - Duration::from_millis(1);
    assert_eq!(order.status_at(before), (OrderStatus::Created, None));
    let expired = (OrderStatus::Cancelled, Some(CancelReason::Expired));
    assert_eq!(order.status_at(end), expired);
    assert_eq!(make(&order, Confirmed, &[1]).unwrap().thing.status_at(end), expired);
    let cancelled = make(&order, Cancelled, &[1]).unwrap().thing;
    assert_eq!(cancelled.status_at(end), (OrderStatus::Cancelled, Some(CancelReason::User)));
    let paid = make(&order, PaidAndGone, &[1]).unwrap().thing;
    assert_eq!(paid.status_at(end), (OrderStatus::Complete, None));
}

#[test]
fn what_is_older_than_what_was_seen_of_the_payment_changes_nothing() {
    let order = reserve(&ticket(), &[1]).thing;
    let paid = make(&order, PaidAndGone, &[1]).unwrap().thing;
    assert_eq!(paid.payment_version(), 3);
    let mut late = refund(&paid, true);
    late.version = 3;
    assert!(paid.refunded(&late).is_none());
    let refunded = make(&paid, Refunded, &[1]).unwrap().thing;
    assert_eq!(refunded.payment_version(), 5);
    // A refund that is repeated under a newer version (its first one has failed) is recorded, and changes nothing else.
    late.version = 9;
    let again = refunded.refunded(&late).unwrap().thing;
    assert_eq!((again.payment_version(), again.status), (9, OrderStatus::Cancelled));
    assert_eq!(again.cancel_reason, refunded.cancel_reason);
}

/// Some orders of a listing of three, with random moves that the store would allow.
#[test]
fn the_invariants_hold_after_random_moves() {
    const ORDERS: usize = 5;
    let (mut retaken, mut withdrawn, mut refunded) = (0, 0, 0);
    for seed in 0..3_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let listing = Quantity::new(3);
        let mut orders: Vec<Order> = Vec::new();
        let mut required = [0; ORDERS];
        for step in 0..60 {
            let occupying = orders.iter().filter(|order| order.occupies);
            let occupied: Vec<Place> =
                occupying.flat_map(|order| order.places.iter().copied()).collect();
            let taken: BTreeSet<Place> = occupied.iter().copied().collect();
            assert_eq!(taken.len(), occupied.len(), "seed {seed}, step {step}: {occupied:?}");
            if orders.len() < ORDERS && (orders.is_empty() || random.random_bool(0.3)) {
                let wanted = Quantity::new(random.random_range(1..=2));
                if let Some(places) = choose_places(listing, &taken, wanted, &mut random) {
                    let numbers: Vec<u16> = places.into_iter().map(Place::number).collect();
                    orders.push(reserve(&ticket(), &numbers).thing);
                }
                continue;
            }
            let index = random.random_range(0..orders.len());
            let mut happens = MOVES[random.random_range(0..MOVES.len())];
            let before = orders[index].clone();
            let free = choose_places(listing, &taken, before.quantity, &mut random);
            // The unique index allows an order to get places only while no other order occupies them.
            if happens == PaidAndFree && free.is_none() {
                happens = PaidAndGone;
            }
            let free: Vec<u16> = free.into_iter().flatten().map(Place::number).collect();
            let Some(change) = make(&before, happens, &free) else { continue };
            let published: Vec<_> = change.events.iter().map(OutboxMessage::subject).collect();
            let after = change.thing;
            let what = format!("seed {seed}, step {step}: {happens:?} of {before:?}");
            assert_sound(&before, &after);
            if !before.occupies && after.occupies {
                retaken += 1;
                assert_eq!(happens, PaidAndFree, "{what}");
                assert_eq!(before.cancel_reason, Some(CancelReason::Expired), "{what}");
                assert_eq!(after.status, OrderStatus::Complete, "{what}");
            } else {
                assert_eq!(after.places, before.places, "{what}");
            }
            withdrawn += usize::from(after.withdrawn && !before.withdrawn);
            if published.contains(&OrderRefundRequired::SUBJECT) {
                refunded += 1;
                required[index] += 1;
                assert_eq!(required[index], 1, "{what}: a refund was required twice");
            }
            orders[index] = after;
        }
    }
    let effects = [retaken, withdrawn, refunded];
    assert!(effects.iter().all(|count| *count > 100), "{effects:?}: too few moves had an effect");
}
