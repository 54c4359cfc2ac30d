//! The transitions of a schedule.

use std::time::Duration;

use common::Time;
use common::events::{Order, OrderStatus};
use expiration::domain::{ExpiryDecision, Schedule, State};
use testkit::fixtures::OrderChanges as _;

use crate::world::{RESERVATION, order};

fn now() -> Time {
    Time::from_millis(1_800_000_000_000)
}

fn at(status: OrderStatus, version: i64, order: &Order) -> Order {
    order.clone().with_status(status).with_version(version)
}

fn expired(schedule: &Schedule) -> Schedule {
    let ExpiryDecision::Expire(change) = schedule.expire(schedule.expires_at) else {
        panic!("not due")
    };
    change.thing
}

#[test]
fn a_new_schedule_follows_from_the_status_of_its_order() {
    for status in OrderStatus::ALL {
        let expected = match status {
            OrderStatus::Unknown => unreachable!("not among all that are known"),
            OrderStatus::Created | OrderStatus::AwaitingPayment => State::Scheduled,
            OrderStatus::Complete | OrderStatus::Cancelled => State::Ended,
        };
        let schedule = Schedule::of(&at(status, 7, &order(now(), RESERVATION)));
        assert_eq!((schedule.state, schedule.order_version), (expected, 7), "{status:?}");
        assert_eq!((schedule.version, schedule.expirations), (1, 0));
    }
}

#[test]
fn only_a_newer_version_of_the_order_changes_it_whatever_its_state() {
    let order = order(now(), RESERVATION);
    let scheduled = Schedule::of(&at(OrderStatus::Created, 5, &order));
    let ended = Schedule::of(&at(OrderStatus::Cancelled, 5, &order));
    for known in [scheduled.clone(), expired(&scheduled), ended] {
        for status in OrderStatus::ALL {
            for version in [1, 4, 5] {
                assert_eq!(
                    known.follow(&at(status, version, &order)),
                    None,
                    "{known:?} {status:?}"
                );
            }
            let newer = at(status, 9, &order);
            let followed = known.follow(&newer).unwrap();
            assert_eq!(followed.state, Schedule::of(&newer).state, "{known:?} {status:?}");
            assert_eq!(followed.order_version, 9);
            assert_eq!(followed.version, known.version + 1);
            assert_eq!(followed.expirations, known.expirations);
        }
    }
}

#[test]
fn it_expires_at_the_very_millisecond_and_once() {
    let schedule = Schedule::of(&order(now(), RESERVATION));
    let end = now() + RESERVATION;
    let before = end - Duration::from_millis(1);
    assert!(matches!(schedule.expire(before), ExpiryDecision::NotDue(time) if time == end));
    for late in [Duration::ZERO, RESERVATION] {
        let ExpiryDecision::Expire(change) = schedule.expire(end + late) else { panic!("not due") };
        assert_eq!(change.thing.state, State::Expired);
        assert_eq!((change.thing.version, change.thing.expirations), (2, 1));
        assert_eq!(change.events.len(), 1);
        assert!(matches!(change.thing.expire(end + late), ExpiryDecision::NothingToDo));
    }
}

#[test]
fn only_a_scheduled_expiry_has_a_timer() {
    let schedule = Schedule::of(&order(now(), RESERVATION));
    assert_eq!(schedule.due_at(), Some(now() + RESERVATION));
    assert_eq!(expired(&schedule).due_at(), None);
    let ended = Schedule::of(&at(OrderStatus::Complete, 1, &order(now(), RESERVATION)));
    assert_eq!(ended.due_at(), None);
    assert!(matches!(ended.expire(now() + RESERVATION), ExpiryDecision::NothingToDo));
}
