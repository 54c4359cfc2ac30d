//! The events of a transaction, from what it has changed: no endpoint can forget one.
//! <https://docs.stripe.com/api/events/types>

use serde_json::{Value, json};

use crate::{
    ids,
    model::{
        Capture, Charge, ChargeStatus, Dispute, DisputeStatus, Event, IntentStatus, PaymentIntent,
        Refund, RefundStatus,
    },
    transaction::Transaction,
};

/// In the order in which Stripe would create them.
pub fn of(transaction: &Transaction<'_>) -> Vec<Event> {
    let mut events = Events { transaction, events: Vec::new() };
    let committed = transaction.committed();
    let intents: Vec<&PaymentIntent> = transaction.staged().payment_intents.values().collect();
    for intent in &intents {
        if !committed.payment_intents.contains_key(&intent.id) {
            events.add("payment_intent.created", transaction.render_payment_intent(intent));
        }
    }
    for charge in transaction.staged().charges.values() {
        events.of_charge(committed.charges.get(&charge.id), charge);
    }
    for refund in transaction.staged().refunds.values() {
        events.of_refund(committed.refunds.get(&refund.id), refund);
    }
    for dispute in transaction.staged().disputes.values() {
        events.of_dispute(committed.disputes.get(&dispute.id), dispute);
    }
    for intent in intents {
        events.of_intent(committed.payment_intents.get(&intent.id), intent);
    }
    events.events
}

struct Events<'a> {
    transaction: &'a Transaction<'a>,
    events: Vec<Event>,
}

impl Events<'_> {
    fn add(&mut self, kind: &str, object: Value) {
        self.add_with(kind, object, None);
    }

    fn add_with(&mut self, kind: &str, object: Value, previous_attributes: Option<Value>) {
        self.events.push(Event {
            id: ids::new("evt"),
            created: self.transaction.now_seconds(),
            kind: kind.to_owned(),
            object,
            previous_attributes,
            request: self.transaction.request.clone(),
        });
    }

    fn of_charge(&mut self, before: Option<&Charge>, charge: &Charge) {
        let object = self.transaction.render_charge(charge);
        match before {
            None => match charge.status {
                ChargeStatus::Succeeded => self.add("charge.succeeded", object),
                ChargeStatus::Failed => self.add("charge.failed", object),
            },
            Some(before) if before.capture != charge.capture => match charge.capture {
                Capture::Captured { .. } => self.add("charge.captured", object),
                Capture::Released if self.has_expired(charge) => self.add("charge.expired", object),
                // A cancellation is an event of the intent alone.
                Capture::Released | Capture::Immediate | Capture::Awaited { .. } => {}
            },
            Some(_) => {}
        }
    }

    fn has_expired(&self, charge: &Charge) -> bool {
        self.transaction
            .payment_intent(&charge.payment_intent)
            .is_some_and(|intent| intent.cancellation_reason.as_deref() == Some("expired"))
    }

    fn of_refund(&mut self, before: Option<&Refund>, refund: &Refund) {
        let object = self.transaction.render_refund(refund);
        let is_new = before.is_none();
        if is_new {
            self.add("refund.created", object.clone());
            if let Some(charge) = self.transaction.charge(&refund.charge) {
                self.add("charge.refunded", self.transaction.render_charge(charge));
            }
        }
        let status_before = before.map(Refund::status);
        if !is_new && status_before != Some(refund.status()) {
            let previous = status_before.map(|status| json!({ "status": status }));
            self.add_with("refund.updated", object.clone(), previous.clone());
            self.add_with("charge.refund.updated", object.clone(), previous);
        }
        if refund.status() == RefundStatus::Failed && status_before != Some(RefundStatus::Failed) {
            self.add("refund.failed", object);
        }
    }

    /// Funds are withdrawn and reinstated for disputes that are more than an inquiry.
    fn of_dispute(&mut self, before: Option<&Dispute>, dispute: &Dispute) {
        let object = self.transaction.render_dispute(dispute);
        let was_open = before.is_none_or(|before| before.status.is_open());
        match before {
            None => {
                self.add("charge.dispute.created", object.clone());
                if !dispute.status.is_inquiry() {
                    self.add("charge.dispute.funds_withdrawn", object.clone());
                }
            }
            Some(_) if was_open && dispute.status.is_open() => {
                self.add("charge.dispute.updated", object.clone());
            }
            Some(_) => {}
        }
        if was_open && !dispute.status.is_open() {
            if dispute.status == DisputeStatus::Won {
                self.add("charge.dispute.funds_reinstated", object.clone());
            }
            self.add("charge.dispute.closed", object);
        }
    }

    fn of_intent(&mut self, before: Option<&PaymentIntent>, intent: &PaymentIntent) {
        let attempted = before.map_or(0, |before| before.charges.len()) < intent.charges.len();
        let challenge = |it: &PaymentIntent| it.challenge.as_ref().map(|it| it.secret.clone());
        let is_same_state = before.is_some_and(|before| {
            before.status == intent.status && challenge(before) == challenge(intent)
        });
        if is_same_state && !attempted {
            return;
        }
        let was_challenged = before.is_some_and(|it| it.status == IntentStatus::RequiresAction);
        let kind = match intent.status {
            IntentStatus::RequiresAction => "payment_intent.requires_action",
            IntentStatus::RequiresCapture => "payment_intent.amount_capturable_updated",
            IntentStatus::Succeeded => "payment_intent.succeeded",
            IntentStatus::Canceled => "payment_intent.canceled",
            IntentStatus::Processing => "payment_intent.processing",
            // Declined, or the challenge failed.
            IntentStatus::RequiresPaymentMethod if attempted || was_challenged => {
                "payment_intent.payment_failed"
            }
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation => return,
        };
        self.add(kind, self.transaction.render_payment_intent(intent));
    }
}
