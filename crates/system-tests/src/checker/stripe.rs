//! What Stripe knows, payments knows, however webhooks were lost: each event was worked on, none is an invention, and the
//! payment says what its PaymentIntent, its refunds and its disputes say.

use std::collections::{HashMap, HashSet};

use super::index::{Account, Index};
use super::snapshot::{OrderStatus, Payment, PaymentState, PaymentStatus, Webhook};
use super::violations::{Invariant, Violations};

/// Events of a type that the double has invented aren't in its list.
const UNKNOWN_TYPE: &str = ".of_an_unknown_type";

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    events(index, violations);
    for payment in &index.snapshot.payments {
        if let Some(state) = &payment.state {
            refunds(index, payment, state, violations);
            dispute(index, payment, state, violations);
        }
    }
    for intent in &index.snapshot.ledger.payment_intents {
        let Some(order) = &intent.metadata.order_id else { continue };
        let is_live = index.orders.get(order.as_str()).is_some_and(|order| order.status.is_live());
        if intent.status == "requires_action" && !is_live {
            let id = &intent.id;
            violations.add(
                Invariant::NoLostMoney,
                format!("{id} of order {order}, which has ended, still asks the buyer"),
            );
        }
    }
    for order in &index.snapshot.orders {
        let is_disputed = order.cancel_reason.as_deref() == Some("disputed");
        let account = index.accounts.get(order.id.as_str());
        let is_lost = account.is_some_and(|account| account.charged_back() > 0);
        let id = &order.id;
        if is_disputed && !is_lost {
            violations.add(
                Invariant::NoLostMoney,
                format!("order {id} has ended because of a dispute, and none is lost"),
            );
        }
        if is_lost && order.status != OrderStatus::Cancelled {
            violations.add(
                Invariant::NoLostMoney,
                format!("a dispute of order {id} is lost, and it hasn't ended"),
            );
        }
        if is_disputed && !order.withdrawn {
            violations.add(
                Invariant::OneBuyer,
                format!("order {id} has ended because of a dispute, and its places are on sale"),
            );
        }
    }
}

/// Types of which another type says the same: payments need not know them.
const REDUNDANT: [&str; 5] = [
    "payment_intent.created",
    "charge.succeeded",
    "charge.captured",
    "charge.failed",
    "charge.updated",
];

fn events(index: &Index<'_>, violations: &mut Violations) {
    let snapshot = index.snapshot;
    let known: HashMap<&str, &Webhook> =
        snapshot.webhooks.iter().map(|webhook| (webhook.id.as_str(), webhook)).collect();
    let is_useful = |kind: &str| !REDUNDANT.contains(&kind);
    for event in snapshot.stripe_events.iter().filter(|event| is_useful(&event.kind)) {
        let (id, kind) = (&event.id, &event.kind);
        let what = match known.get(id.as_str()) {
            None => "isn't known to payments",
            Some(webhook) if webhook.next_run_at.is_some() => "is still to be worked on",
            Some(webhook) if webhook.intent.as_deref() != Some(event.intent.as_str()) => {
                "is about another PaymentIntent in payments"
            }
            Some(_) => continue,
        };
        violations.add(Invariant::NoLostEvent, format!("Stripe's event {id} ({kind}) {what}"));
    }
    let real: HashSet<&str> =
        snapshot.stripe_events.iter().map(|event| event.id.as_str()).collect();
    let kinds: HashSet<&str> =
        snapshot.stripe_events.iter().map(|event| event.kind.as_str()).collect();
    let is_invented = |webhook: &&Webhook| {
        kinds.contains(webhook.kind.as_str())
            && !webhook.kind.ends_with(UNKNOWN_TYPE)
            && !real.contains(webhook.id.as_str())
    };
    for webhook in snapshot.webhooks.iter().filter(is_invented) {
        let (id, kind) = (&webhook.id, &webhook.kind);
        violations.add(
            Invariant::NoLostEvent,
            format!("payments has an event {id} ({kind}), which Stripe doesn't have"),
        );
    }
}

/// A part that was refunded in the dashboard is counted.
fn refunds(
    index: &Index<'_>,
    payment: &Payment,
    state: &PaymentState,
    violations: &mut Violations,
) {
    let account = index.accounts.get(payment.order_id.as_str());
    let refunded = account.map_or(0, Account::refunded);
    if state.status == PaymentStatus::Completed && state.amount_refunded != refunded {
        let (id, ours) = (&state.id, state.amount_refunded);
        violations.add(
            Invariant::NoLostMoney,
            format!("payment {id} has {ours} cents refunded, and Stripe {refunded}"),
        );
    }
}

/// The newest dispute, while the payment can be disputed.
fn dispute(
    index: &Index<'_>,
    payment: &Payment,
    state: &PaymentState,
    violations: &mut Violations,
) {
    if ![PaymentStatus::Completed, PaymentStatus::ChargedBack].contains(&state.status) {
        return;
    }
    let account = index.accounts.get(payment.order_id.as_str());
    let newest = account.and_then(|account| account.disputes.iter().max_by_key(|it| &it.id));
    let theirs = newest.map(|dispute| match dispute.status.as_str() {
        "won" | "warning_closed" => (dispute.id.as_str(), "won"),
        "lost" => (dispute.id.as_str(), "lost"),
        _ => (dispute.id.as_str(), "open"),
    });
    let ours = state.dispute.as_ref().map(|it| (it.stripe_id.as_str(), it.status.as_str()));
    if ours != theirs {
        let id = &state.id;
        violations.add(
            Invariant::NoLostMoney,
            format!("payment {id} has the dispute {ours:?}, and Stripe {theirs:?}"),
        );
    }
}
