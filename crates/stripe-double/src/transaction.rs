//! A request's view of the ledger: the committed state, and on top of it what the request has staged so far.

use std::time::Duration;

use crate::{
    clock::to_ms,
    ledger::{Change, Ledger},
    model::{
        Charge, ConfirmationToken, Dispute, EventRequest, PaymentIntent, PaymentMethod, Refund,
        WebhookEndpoint,
    },
    request::Access,
};

/// The settings that endpoints depend on.
#[derive(Debug, Clone)]
pub struct Options {
    pub refund_settles_after: Duration,
    /// Where browsers reach the double, without a slash at the end.
    pub public_url: String,
    /// The pause before the second attempt to deliver a webhook, which doubles from then on.
    pub webhook_retry_after: Duration,
    pub webhook_timeout: Duration,
}

#[derive(Debug)]
pub struct Transaction<'a> {
    committed: &'a Ledger,
    staged: Ledger,
    deleted_endpoints: Vec<String>,
    pub now_ms: u64,
    pub options: &'a Options,
    /// An injected fault: refunds fail.
    pub refunds_fail: bool,
    pub access: Access,
    /// The request to the API that this is; none if it is the dashboard or the time.
    pub request: Option<EventRequest>,
}

impl<'a> Transaction<'a> {
    pub fn new(
        committed: &'a Ledger,
        now_ms: u64,
        options: &'a Options,
        refunds_fail: bool,
    ) -> Self {
        Self {
            committed,
            staged: Ledger::default(),
            deleted_endpoints: Vec::new(),
            now_ms,
            options,
            refunds_fail,
            access: Access::Secret,
            request: None,
        }
    }

    pub fn now_seconds(&self) -> u64 {
        self.now_ms / 1000
    }

    /// When something that starts now ends, for the cards that take their time.
    pub fn settles_at_ms(&self) -> u64 {
        self.now_ms.saturating_add(to_ms(self.options.refund_settles_after))
    }

    /// The committed state, without this request's changes.
    pub fn committed(&self) -> &'a Ledger {
        self.committed
    }

    /// What this request has changed so far.
    pub fn staged(&self) -> &Ledger {
        &self.staged
    }

    pub fn into_changes(self) -> Vec<Change> {
        let Ledger {
            payment_methods,
            confirmation_tokens,
            payment_intents,
            charges,
            refunds,
            disputes,
            webhook_endpoints,
            ..
        } = self.staged;
        let payment_methods = payment_methods.into_values().map(Change::PaymentMethod);
        let tokens = confirmation_tokens.into_values().map(Change::ConfirmationToken);
        let payment_intents = payment_intents.into_values().map(Change::PaymentIntent);
        let charges = charges.into_values().map(Change::Charge);
        let refunds = refunds.into_values().map(Change::Refund);
        let disputes = disputes.into_values().map(Change::Dispute);
        let endpoints = webhook_endpoints.into_values().map(Change::WebhookEndpoint);
        let deleted = self.deleted_endpoints.into_iter().map(Change::DeletedWebhookEndpoint);
        payment_methods
            .chain(tokens)
            .chain(payment_intents)
            .chain(charges)
            .chain(refunds)
            .chain(disputes)
            .chain(endpoints)
            .chain(deleted)
            .collect()
    }

    pub fn confirmation_token(&self, id: &str) -> Option<&ConfirmationToken> {
        self.staged
            .confirmation_tokens
            .get(id)
            .or_else(|| self.committed.confirmation_tokens.get(id))
    }

    pub fn put_confirmation_token(&mut self, it: ConfirmationToken) {
        self.staged.confirmation_tokens.insert(it.id.clone(), it);
    }

    pub fn webhook_endpoint(&self, id: &str) -> Option<&WebhookEndpoint> {
        self.staged.webhook_endpoints.get(id).or_else(|| self.committed.webhook_endpoints.get(id))
    }

    pub fn put_webhook_endpoint(&mut self, it: WebhookEndpoint) {
        self.staged.webhook_endpoints.insert(it.id.clone(), it);
    }

    pub fn delete_webhook_endpoint(&mut self, id: String) {
        self.deleted_endpoints.push(id);
    }

    pub fn payment_method(&self, id: &str) -> Option<&PaymentMethod> {
        self.staged.payment_methods.get(id).or_else(|| self.committed.payment_methods.get(id))
    }

    pub fn payment_intent(&self, id: &str) -> Option<&PaymentIntent> {
        self.staged.payment_intents.get(id).or_else(|| self.committed.payment_intents.get(id))
    }

    pub fn charge(&self, id: &str) -> Option<&Charge> {
        self.staged.charges.get(id).or_else(|| self.committed.charges.get(id))
    }

    pub fn refund(&self, id: &str) -> Option<&Refund> {
        self.staged.refunds.get(id).or_else(|| self.committed.refunds.get(id))
    }

    pub fn dispute(&self, id: &str) -> Option<&Dispute> {
        self.staged.disputes.get(id).or_else(|| self.committed.disputes.get(id))
    }

    pub fn put_dispute(&mut self, it: Dispute) {
        self.staged.disputes.insert(it.id.clone(), it);
    }

    pub fn disputes_of<'b>(&'b self, charge: &'b Charge) -> impl Iterator<Item = &'b Dispute> {
        charge.disputes.iter().filter_map(|id| self.dispute(id))
    }

    pub fn put_payment_method(&mut self, it: PaymentMethod) {
        self.staged.payment_methods.insert(it.id.clone(), it);
    }

    pub fn put_payment_intent(&mut self, it: PaymentIntent) {
        self.staged.payment_intents.insert(it.id.clone(), it);
    }

    pub fn put_charge(&mut self, it: Charge) {
        self.staged.charges.insert(it.id.clone(), it);
    }

    pub fn put_refund(&mut self, it: Refund) {
        self.staged.refunds.insert(it.id.clone(), it);
    }

    pub fn amount_refunded(&self, charge: &Charge) -> i64 {
        charge.refunds.iter().filter_map(|id| self.refund(id)).map(Refund::counted).sum()
    }

    /// What can still be refunded.
    pub fn refundable(&self, charge: &Charge) -> i64 {
        charge.amount_captured() - self.amount_refunded(charge)
    }
}
