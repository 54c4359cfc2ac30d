//! The transitions of a mail that are hard to reach from outside.

use std::time::Duration;

use common::Time;
use common::ids::UserId;
use confirmation::domain::{Mail, Status};

const NOW: Time = Time::NEVER;

fn mail() -> Mail {
    let now = Time::from_millis(1_700_000_000_000);
    Mail::welcome(UserId::new(now), now)
}

#[test]
fn a_mail_whose_senders_keep_dying_is_left_alone_for_longer_and_longer() {
    let mut mail = mail();
    let mut now = mail.created_at;
    let mut leases = Vec::new();
    for _ in 0..16 {
        mail = mail.claim(now).unwrap().thing;
        let due = mail.next_run_at.unwrap();
        assert!(mail.claim(now).is_none(), "it is leased");
        leases.push(now.until(due).as_secs());
        now = due;
    }
    assert_eq!(leases[..8], [5, 5, 5, 5, 5, 5, 10, 20]);
    assert_eq!(leases[13..], [1280, 1280, 1280]);
    assert_eq!(mail.unknown_outcomes, 15);
}

#[test]
fn what_has_ended_stays_so_but_for_a_success_that_becomes_known_later() {
    let pause = Duration::from_secs(1);
    let refused = mail().refused("550").unwrap().thing;
    assert_eq!(refused.status, Status::Failed);
    assert!(refused.postpone("x", pause, NOW).is_none());
    assert!(refused.suppress("x").is_none() && refused.claim(NOW).is_none());
    let sent = refused.accepted("kim@example.org", NOW).unwrap().thing;
    assert_eq!(sent.status, Status::Sent);
    assert!(sent.refused("550").is_none() && sent.retry(NOW).is_none());
    assert!(sent.accepted("kim@example.org", NOW).is_none());
    assert!(sent.address_known(NOW).is_none() && sent.renew_lease(NOW).is_none());
}
