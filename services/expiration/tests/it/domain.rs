//! The transitions of a schedule, without anything around them.

use std::time::Duration;

use common::Time;
use common::events::{Order, OrderStatus};
use expiration::domain::{Firing, Schedule, State};
use testkit::fixtures::OrderChanges as _;

use crate::world::{HOLD, order};

fn now() -> Time {
    Time::from_millis(1_800_000_000_000)
}

fn at(status: OrderStatus, version: i64, order: &Order) -> Order {
    order.clone().with_status(status).with_version(version)
}

fn fired(schedule: &Schedule) -> Schedule {
    let Firing::Due(change) = schedule.fire(schedule.expires_at) else { panic!("not due") };
    change.thing
}

#[test]
fn a_schedule_begins_as_its_orders_status_says() {
    for status in OrderStatus::ALL {
        let expected = match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => State::Scheduled,
            OrderStatus::Complete | OrderStatus::Cancelled => State::Over,
        };
        let schedule = Schedule::of(&at(status, 7, &order(now(), HOLD)));
        assert_eq!((schedule.state, schedule.order_version), (expected, 7), "{status:?}");
        assert_eq!((schedule.version, schedule.firings), (1, 0));
    }
}

#[test]
fn only_a_newer_version_of_the_order_changes_it_and_then_whatever_it_was() {
    let order = order(now(), HOLD);
    let scheduled = Schedule::of(&at(OrderStatus::Created, 5, &order));
    let over = Schedule::of(&at(OrderStatus::Cancelled, 5, &order));
    for known in [scheduled.clone(), fired(&scheduled), over] {
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
            assert_eq!(followed.firings, known.firings);
        }
    }
}

#[test]
fn it_fires_from_the_very_millisecond_on_and_once() {
    let schedule = Schedule::of(&order(now(), HOLD));
    let end = now() + HOLD;
    let before = end - Duration::from_millis(1);
    assert!(matches!(schedule.fire(before), Firing::NotBefore(time) if time == end));
    for late in [Duration::ZERO, HOLD] {
        let Firing::Due(change) = schedule.fire(end + late) else { panic!("not due") };
        assert_eq!(change.thing.state, State::Fired);
        assert_eq!((change.thing.version, change.thing.firings), (2, 1));
        assert_eq!(change.events.len(), 1);
        assert!(matches!(change.thing.fire(end + late), Firing::Nothing));
    }
}

#[test]
fn only_what_is_scheduled_has_a_timer() {
    let schedule = Schedule::of(&order(now(), HOLD));
    assert_eq!(schedule.rings_at(), Some(now() + HOLD));
    assert_eq!(fired(&schedule).rings_at(), None);
    let over = Schedule::of(&at(OrderStatus::Complete, 1, &order(now(), HOLD)));
    assert_eq!(over.rings_at(), None);
    assert!(matches!(over.fire(now() + HOLD), Firing::Nothing));
}
