//! A request's view of the ledger: the committed state, and on top of it what the request has staged so far.

use std::time::Duration;

use crate::{
    ledger::{Change, Ledger},
    model::{Charge, ConfirmationToken, PaymentIntent, PaymentMethod, Refund},
    request::Access,
};

/// The settings that endpoints depend on.
#[derive(Debug, Clone)]
pub struct Options {
    pub refund_settles_after: Duration,
    /// Where browsers reach the double, without a slash at the end.
    pub public_url: String,
}

#[derive(Debug)]
pub struct Transaction<'a> {
    committed: &'a Ledger,
    staged: Ledger,
    pub now_ms: u64,
    pub options: &'a Options,
    /// An injected fault: refunds fail.
    pub refunds_fail: bool,
    pub access: Access,
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
            now_ms,
            options,
            refunds_fail,
            access: Access::Secret,
        }
    }

    pub fn now_seconds(&self) -> u64 {
        self.now_ms / 1000
    }

    /// The committed state, without this request's changes.
    pub fn committed(&self) -> &'a Ledger {
        self.committed
    }

    pub fn into_changes(self) -> Vec<Change> {
        let Ledger {
            payment_methods, confirmation_tokens, payment_intents, charges, refunds, ..
        } = self.staged;
        let payment_methods = payment_methods.into_values().map(Change::PaymentMethod);
        let tokens = confirmation_tokens.into_values().map(Change::ConfirmationToken);
        let payment_intents = payment_intents.into_values().map(Change::PaymentIntent);
        let charges = charges.into_values().map(Change::Charge);
        let refunds = refunds.into_values().map(Change::Refund);
        payment_methods.chain(tokens).chain(payment_intents).chain(charges).chain(refunds).collect()
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
        charge
            .refunds
            .iter()
            .filter_map(|id| self.refund(id))
            .map(|refund| refund.counted(self.now_ms))
            .sum()
    }

    /// What can still be refunded.
    pub fn refundable(&self, charge: &Charge) -> i64 {
        charge.amount_captured() - self.amount_refunded(charge)
    }
}
