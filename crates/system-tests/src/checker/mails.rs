//! Every complete order has one confirmation to its buyer and one to its seller, sent or with a recorded failure; what counts as
//! sent has arrived; and a mail has arrived twice only where the outcome of an attempt was unknown.

use std::collections::HashMap;

use super::index::Index;
use super::snapshot::{Mail, MailStatus, OrderStatus};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    let snapshot = index.snapshot;
    let mails: HashMap<&str, &Mail> =
        snapshot.mails.iter().map(|mail| (mail.id.as_str(), mail)).collect();
    for order in snapshot.orders.iter().filter(|order| order.status == OrderStatus::Complete) {
        for kind in ["paid", "sold"] {
            let id = format!("{kind}:{}", order.id);
            let what = match mails.get(id.as_str()).map(|mail| mail.status) {
                Some(MailStatus::Sent | MailStatus::Failed) => continue,
                Some(status) => format!("the mail {id} of a complete order is {status:?}"),
                None => format!("a complete order has no mail {id}"),
            };
            violations.add(Invariant::NoLostMail, what);
        }
    }

    let mut copies: HashMap<String, i64> = HashMap::new();
    for message_id in &snapshot.mailbox {
        let id = message_id.split_once('@').map_or(message_id.as_str(), |(id, _)| id);
        *copies.entry(id.replace('.', ":")).or_default() += 1;
    }
    for mail in &snapshot.mails {
        let (id, unknown) = (&mail.id, mail.unknown_outcomes);
        let arrived = copies.remove(id.as_str()).unwrap_or_default();
        let at_least = i64::from(mail.status == MailStatus::Sent);
        if !(at_least..=1 + unknown).contains(&arrived) {
            violations.add(
                Invariant::NoLostMail,
                format!(
                    "the mail {id} is {:?} and has arrived {arrived} times; {unknown} outcomes were unknown",
                    mail.status
                ),
            );
        }
    }
    for id in copies.into_keys() {
        violations.add(Invariant::NoLostMail, format!("{id} has arrived, and was not written"));
    }
}
