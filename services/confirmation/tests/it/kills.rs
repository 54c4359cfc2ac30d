//! A process that is killed at any instant loses no mail.

use std::collections::BTreeMap;
use std::time::Duration;

use common::Clock;
use common::events::{OrderCompleted, UserCreated};
use serde_json::json;
use testkit::{Infra, fixtures, retry_for};

use crate::world::{CONSUMED, FROM, Mailbox, order_of, user_event};

const KILLS: usize = 50;
/// Between two kills; each sale is two mails.
const SALES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing() {
    let infra = Infra::start_at(Clock::system()).await;
    let mailbox = Mailbox::start().await;
    // So that most kills hit a mail between its claim and its outcome.
    mailbox.arm(json!({ "kind": "slow", "delay_ms": 30 })).await;
    let program = infra.program("confirmation");
    let program = program.with("SMTP_URL", mailbox.smtp_url()).with("MAIL_FROM", FROM);
    let program = program.serving(&infra, 0, 0).without("JWT_PRIVATE_KEY");

    let mut process = program.start();
    infra.bus().wait_for_consumers("confirmation", &CONSUMED).await;
    let (seller, buyer) = (infra.user(), infra.user());
    for (user, email) in [(&buyer, "buyer@example.org"), (&seller, "seller@example.org")] {
        infra.bus().publish(&UserCreated(user_event(user.id, email, &infra))).await;
    }
    let mut expected = vec![format!("welcome.{}", buyer.id), format!("welcome.{}", seller.id)];
    for kill in 0..KILLS {
        for _ in 0..SALES {
            let order = fixtures::completed(&order_of(&buyer, &seller, &infra));
            infra.bus().publish(&OrderCompleted(order.clone())).await;
            expected.extend(["paid", "sold"].map(|kind| format!("{kind}.{}", order.id)));
        }
        // A different place in its work each time: while it starts, while it consumes, while it sends.
        tokio::time::sleep(Duration::from_millis(60 + 11 * (kill as u64 % 40))).await;
        process.kill().await.unwrap();
        process = program.start();
    }

    let all_sent = retry_for(Duration::from_secs(60), async || {
        let arrived = mailbox.arrived().await;
        let missing = expected.iter().filter(|id| {
            let id = format!("{id}@example.com");
            !arrived.iter().any(|mail| mail.message_id == id)
        });
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            Ok(arrived)
        } else {
            Err(format!("{} of {}: {missing:?}", missing.len(), expected.len()))
        }
    });
    let arrived = all_sent.await.unwrap();
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    for mail in &arrived {
        *copies.entry(&mail.message_id).or_default() += 1;
    }
    assert_eq!(copies.len(), expected.len(), "no mail that nobody expects");
    let duplicates = arrived.len() - copies.len();
    // One kill interrupts at most as many mails as are sent concurrently.
    assert!(duplicates <= KILLS * 8, "{duplicates}");
    println!("{KILLS} kills, {} mails, {duplicates} duplicates", copies.len());
    assert!(infra.bus().dead_letters().await.is_empty());
}
