use common::events::{Event, Subject};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::fixtures::{self, FailedPaymentChanges as _, PaymentChanges as _};

use super::*;

const RESERVATION: Duration = Duration::from_secs(900);

fn now() -> Time {
    Time::parse("2026-01-31T12:00:00Z").unwrap()
}

fn ticket() -> OrderedTicket {
    fixtures::ordered_ticket(&fixtures::ticket(now()))
}

fn reserve(ticket: &OrderedTicket, hold: i64) -> Change<Order> {
    let (id, buyer) = (OrderId::new(now()), UserId::new(now()));
    Order::reserve(id, buyer, ticket.clone(), hold, now(), RESERVATION)
}

fn payment(order: &Order) -> events::Payment {
    fixtures::payment(order.id, now()).with_amount(order.ticket.listing.price)
}

fn decline(order: &Order, r#final: bool) -> events::FailedPayment {
    fixtures::failed_payment(order.id, now()).with_final(r#final).with_version(4)
}

fn refund(order: &Order) -> events::Refund {
    let id = order.payment.as_ref().map_or_else(|| PaymentId::new(now()), |payment| payment.id);
    fixtures::refund(&payment(order).with_id(id))
}

/// Everything that can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Locked,
    LockedUnderAnotherNumber,
    Cancelled,
    TimerEarly,
    TimerDue,
    PaidAndFree,
    PaidAndGone,
    Declined,
    DeclinedFinally,
    Refunded,
    TicketDeleted,
}

use Move::*;

const MOVES: [Move; 11] = [
    Locked,
    LockedUnderAnotherNumber,
    Cancelled,
    TimerEarly,
    TimerDue,
    PaidAndFree,
    PaidAndGone,
    Declined,
    DeclinedFinally,
    Refunded,
    TicketDeleted,
];

/// `free` is the fencing number under which an expired order would get its ticket back.
fn make(order: &Order, r#move: Move, free: i64) -> Option<Change<Order>> {
    let end = order.expires_at;
    match r#move {
        Locked => order.confirm_lock(order.hold()),
        LockedUnderAnotherNumber => order.confirm_lock(order.hold() + 1),
        Cancelled => order.cancel(CancelReason::User),
        TimerEarly => due(order.expire(end - Duration::from_millis(1))),
        TimerDue => due(order.expire(end)),
        PaidAndFree => order.paid(&payment(order), Retake::Free { hold: free }),
        PaidAndGone => order.paid(&payment(order), Retake::Gone),
        Declined => order.payment_failed(&decline(order, false)),
        DeclinedFinally => order.payment_failed(&decline(order, true)),
        Refunded => order.refunded(&refund(order)),
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
        Subject::OrderUpdated => after.status.as_str().to_owned(),
        Subject::OrderCancelled => after.cancel_reason.unwrap().as_str().to_owned(),
        Subject::OrderCompleted if after.holds == before.holds => "complete".to_owned(),
        Subject::OrderCompleted => "retaken".to_owned(),
        Subject::OrderRefundRequired => match after.refund_required.unwrap() {
            RefundReason::TooLate => "refund: too late".to_owned(),
            RefundReason::OrderCancelled => "refund: cancelled".to_owned(),
            RefundReason::TicketDeleted => "refund: deleted".to_owned(),
            RefundReason::Unknown => "refund: unknown".to_owned(),
        },
        other @ (Subject::OrderCreated
        | Subject::UserCreated
        | Subject::UserUpdated
        | Subject::TicketCreated
        | Subject::TicketUpdated
        | Subject::TicketDeleted
        | Subject::TicketReserved
        | Subject::ExpirationComplete
        | Subject::PaymentCreated
        | Subject::PaymentFailed
        | Subject::PaymentRefunded) => panic!("no change of an order publishes {other}"),
    }
}

/// The invariants of every change.
fn assert_sound(before: &Order, after: &Order) {
    assert_eq!(after.version, before.version + 1, "every change increments the version");
    assert_eq!(after.active, after.status.is_live());
    let unpaid = matches!(after.status, OrderStatus::Created | OrderStatus::AwaitingPayment);
    assert_eq!(after.unpaid, unpaid);
    assert_eq!(after.cancel_reason.is_some(), after.status == OrderStatus::Cancelled);
    assert!(after.holds.starts_with(&before.holds), "a fencing number is never removed");
    assert!(after.holds.is_sorted_by(|older, newer| older < newer), "{:?}", after.holds);
    let constants = |order: &Order| {
        (order.id, order.created_at, order.user_id, order.seller_id, order.expires_at)
    };
    assert_eq!(constants(after), constants(before));
    assert_eq!((&after.ticket, after.ticket_id), (&before.ticket, before.ticket_id));
    let answer = |order: &Order| order.payment.as_ref().and_then(|payment| payment.answer);
    if answer(before).is_some() {
        assert_eq!(answer(after), answer(before), "an answer is never revised");
    }
    let refunded = |order: &Order| order.payment.as_ref().is_some_and(|payment| payment.refunded);
    assert!(refunded(after) || !refunded(before), "a refund is never revoked");
    if before.refund_required.is_some() {
        assert_eq!(after.refund_required, before.refund_required, "a refund is required once");
    }
}

/// Every state of an order, by the moves that lead there, and the result of each further move.
#[rustfmt::skip]
const TABLE: &[(&[Move], [&str; MOVES.len()])] = &[
//   moves so far                     locked              other  cancel  early  due        paid, free           paid, gone           decl.  decl. finally     refunded    ticket deleted
    (&[],                           ["awaiting:payment", ".",   "user", ".",   "expired", "complete",          "complete",          ".",   "payment_failed", "refunded", "ticket_deleted"]),
    (&[Locked],                     [".",                ".",   "user", ".",   "expired", "complete",          "complete",          ".",   "payment_failed", "refunded", "ticket_deleted"]),
    (&[PaidAndGone],                [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "refunded", "refund: deleted"]),
    (&[Locked, PaidAndGone],        [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "refunded", "refund: deleted"]),
    (&[TimerDue, PaidAndFree],      [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "refunded", "refund: deleted"]),
    (&[PaidAndGone, TicketDeleted], [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "refunded", "."]),
    (&[Cancelled],                  [".",                ".",   ".",    ".",   ".",       "refund: cancelled", "refund: cancelled", ".",   ".",              "recorded", "."]),
    (&[DeclinedFinally],            [".",                ".",   ".",    ".",   ".",       "refund: cancelled", "refund: cancelled", ".",   ".",              "recorded", "."]),
    (&[TicketDeleted],              [".",                ".",   ".",    ".",   ".",       "refund: cancelled", "refund: cancelled", ".",   ".",              "recorded", "."]),
    (&[TimerDue],                   [".",                ".",   ".",    ".",   ".",       "retaken",           "refund: too late",  ".",   ".",              "recorded", "."]),
    (&[Cancelled, PaidAndFree],     [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "recorded", "."]),
    (&[TimerDue, PaidAndGone],      [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              "recorded", "."]),
    (&[Refunded],                   [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              ".",        "."]),
    (&[PaidAndGone, Refunded],      [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              ".",        "."]),
    (&[Cancelled, Refunded],        [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              ".",        "."]),
    (&[TimerDue, Refunded],         [".",                ".",   ".",    ".",   ".",       ".",                 ".",                 ".",   ".",              ".",        "."]),
];

#[test]
fn the_table_lists_every_legal_transition() {
    for (path, expected) in TABLE {
        let mut order = reserve(&ticket(), 1).thing;
        for step in *path {
            order = make(&order, *step, 2).expect("the path is legal").thing;
        }
        let got = MOVES.map(|step| name(&order, make(&order, step, 3)));
        assert_eq!(got, *expected, "after {path:?}");
    }
}

#[test]
fn an_early_timer_gets_the_time_of_its_retry() {
    let order = reserve(&ticket(), 1).thing;
    let early = order.expires_at - Duration::from_millis(1);
    assert!(matches!(order.expire(early), Expiry::NotBefore(time) if time == order.expires_at));
    let ended = order.cancel(CancelReason::User).unwrap().thing;
    assert!(matches!(ended.expire(early), Expiry::Nothing));
}

#[test]
fn an_expired_reservation_reads_as_expired_before_the_database_records_it() {
    let order = reserve(&ticket(), 1).thing;
    let end = order.expires_at;
    let before = end - Duration::from_millis(1);
    assert_eq!(order.status_at(before), (OrderStatus::Created, None));
    let expired = (OrderStatus::Cancelled, Some(CancelReason::Expired));
    assert_eq!(order.status_at(end), expired);
    assert_eq!(make(&order, Locked, 2).unwrap().thing.status_at(end), expired);
    let cancelled = make(&order, Cancelled, 2).unwrap().thing;
    assert_eq!(cancelled.status_at(end), (OrderStatus::Cancelled, Some(CancelReason::User)));
    let paid = make(&order, PaidAndGone, 2).unwrap().thing;
    assert_eq!(paid.status_at(end), (OrderStatus::Complete, None));
}

#[test]
fn an_order_keeps_the_highest_version_of_its_payment() {
    let order = reserve(&ticket(), 1).thing;
    let refunded = make(&order, PaidAndGone, 2).and_then(|paid| make(&paid.thing, Refunded, 2));
    assert_eq!(refunded.unwrap().thing.payment_version(), 5);
    let mut late = refund(&order);
    late.version = 1;
    let paid = make(&order, PaidAndGone, 2).unwrap().thing;
    assert_eq!(paid.refunded(&late).unwrap().thing.payment_version(), 3);
}

/// Some orders of one ticket, with random moves that the store would allow.
#[test]
fn the_invariants_hold_after_random_moves() {
    const ORDERS: usize = 4;
    let (mut retaken, mut refunded) = (0, 0);
    for seed in 0..3_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let ticket = ticket();
        let mut orders: Vec<Order> = Vec::new();
        let mut required = [0; ORDERS];
        for step in 0..60 {
            let live = orders.iter().filter(|order| order.active).count();
            assert!(live <= 1, "seed {seed}, step {step}: two orders have the ticket");
            let greatest = orders.iter().flat_map(|order| &order.holds).max().copied();
            let next = greatest.unwrap_or(0) + 1;
            if orders.len() < ORDERS && live == 0 && (orders.is_empty() || random.random_bool(0.3))
            {
                orders.push(reserve(&ticket, next).thing);
                continue;
            }
            let index = random.random_range(0..orders.len());
            let mut happens = MOVES[random.random_range(0..MOVES.len())];
            // The unique index allows an order to get its ticket back only while no other order is live.
            if happens == PaidAndFree && live > 0 {
                happens = PaidAndGone;
            }
            let before = orders[index].clone();
            let Some(change) = make(&before, happens, next) else { continue };
            let published: Vec<_> = change.events.iter().map(OutboxMessage::subject).collect();
            let after = change.thing;
            let what = format!("seed {seed}, step {step}: {happens:?} of {before:?}");
            assert_sound(&before, &after);
            if !before.active && after.active {
                retaken += 1;
                assert_eq!(happens, PaidAndFree, "{what}");
                assert_eq!(before.cancel_reason, Some(CancelReason::Expired), "{what}");
                assert_eq!(after.status, OrderStatus::Complete, "{what}");
                assert!(greatest.is_some_and(|greatest| after.hold() > greatest), "{what}");
            } else {
                assert_eq!(after.holds, before.holds, "{what}");
            }
            if published.contains(&OrderRefundRequired::SUBJECT) {
                refunded += 1;
                required[index] += 1;
                assert_eq!(required[index], 1, "{what}: a refund was required twice");
            }
            orders[index] = after;
        }
        let mut holds: Vec<_> = orders.iter().flat_map(|order| order.holds.clone()).collect();
        let all = holds.len();
        holds.sort_unstable();
        holds.dedup();
        assert_eq!(holds.len(), all, "seed {seed}: two orders have had the same fencing number");
    }
    assert!(retaken > 100 && refunded > 100, "{retaken}, {refunded}: too few moves had an effect");
}
