use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{Double, mail, send};

/// What a client sees, and what is kept.
async fn with(fault: Value) -> (Option<String>, usize) {
    let double = Double::start().await;
    double.arm(fault).await;
    let outcome = match double.try_connect().await {
        Ok(mut connection) => send(&mut connection, &mail("kim@example.org", "x")).await,
        Err(error) => Err(error),
    };
    let seen = match outcome {
        Ok(()) => Some("accepted".to_owned()),
        Err(error) => error.status().map(|code| code.to_string()),
    };
    assert_eq!(double.get_json("/_faults").await[0]["hits"], 1);
    (seen, double.mails().await.len())
}

#[tokio::test]
async fn refusals_come_at_the_stage_that_they_are_armed_for() {
    for (stage, code) in
        [("connect", "421"), ("mail", "451"), ("rcpt", "451"), ("data", "451"), ("message", "451")]
    {
        let fault = json!({ "kind": "temporary", "match": { "stage": stage }, "times": 1 });
        assert_eq!(with(fault).await, (Some(code.to_owned()), 0), "{stage}");
    }
    let permanent = json!({ "kind": "permanent", "match": { "stage": "rcpt" }, "times": 1 });
    assert_eq!(with(permanent).await, (Some("550".to_owned()), 0));
    assert_eq!(with(json!({ "kind": "full", "times": 1 })).await, (Some("452".to_owned()), 0));
}

#[tokio::test]
async fn an_outcome_can_be_unknown_with_and_without_the_mail_being_kept() {
    for (kind, kept) in [("close", 0), ("close_accepted", 1), ("hang", 0), ("hang_accepted", 1)] {
        let fault = json!({ "kind": kind, "times": 1, "delay_ms": 1 });
        assert_eq!(with(fault).await, (None, kept), "{kind}");
    }
}

#[tokio::test]
async fn a_hang_lasts_as_long_as_it_was_armed_for_and_hits_its_recipient_alone() {
    let double = Double::start().await;
    double.arm(json!({ "kind": "hang", "match": { "recipient": "kim@" } })).await;
    let mut connection = double.connect().await;
    send(&mut connection, &mail("lee@example.org", "x")).await.unwrap();
    let hanging = mail("kim@example.org", "x");
    assert!(timeout(Duration::from_millis(200), send(&mut connection, &hanging)).await.is_err());

    double.delete("/_faults").await;
    double.arm(json!({ "kind": "slow", "delay_ms": 200, "times": 1 })).await;
    let begun = Instant::now();
    send(&mut double.connect().await, &hanging).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(double.mails().await.len(), 2);
}
