//! What people and banks do at Stripe, without a request to its API: their events name none. Refunds, captures and
//! cancellations are the API's own commands.

use serde_json::Value;

use crate::{
    app::Command,
    deadlines,
    errors::ApiError,
    ledger::Ledger,
    model::{Dispute, DisputeStatus, RefundCourse, RefundStatus},
    params::Params,
    routes::{
        disputes,
        lookup::{load_intent, unexpected_state},
    },
    transaction::Transaction,
};

/// The bank lets an authorisation expire early.
#[derive(Debug)]
pub struct Expire(String);

impl Command for Expire {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.0.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let intent = load_intent(&self.0, transaction)?;
        let newest = intent.charges.last().and_then(|id| transaction.charge(id)).cloned();
        let Some(charge) = newest.filter(|charge| charge.capture_before_ms().is_some()) else {
            let message = "This PaymentIntent has no open authorization.";
            return Err(unexpected_state(message, &intent, transaction));
        };
        deadlines::expire(charge, transaction);
        load_intent(&self.0, transaction).map(|intent| transaction.render_payment_intent(&intent))
    }
}

/// The buyer asks their bank for the money.
#[derive(Debug)]
pub struct OpenDispute {
    intent: String,
    amount: Option<i64>,
    reason: String,
    is_inquiry: bool,
}

impl Command for OpenDispute {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            intent: id.to_owned(),
            amount: params.amount("amount")?,
            reason: params.text("reason")?.unwrap_or_else(|| "fraudulent".to_owned()),
            is_inquiry: params.boolean("inquiry")?.unwrap_or(false),
        })
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.intent.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let intent = load_intent(&self.intent, transaction)?;
        let mut charges = intent.charges.iter().filter_map(|id| transaction.charge(id));
        let Some(charge) = charges.find(|charge| charge.is_captured()).cloned() else {
            let message = "This PaymentIntent has no captured charge to dispute.";
            return Err(unexpected_state(message, &intent, transaction));
        };
        if transaction.disputes_of(&charge).any(|dispute| dispute.status.is_open()) {
            return Err(ApiError::invalid(format!("Charge {} is being disputed.", charge.id)));
        }
        // What the buyer has back can't be asked for once more.
        let is_lost = |dispute: &&Dispute| dispute.status == DisputeStatus::Lost;
        let lost: i64 = transaction.disputes_of(&charge).filter(is_lost).map(|it| it.amount).sum();
        let amount = self.amount.unwrap_or_else(|| transaction.refundable(&charge) - lost);
        if !(1..=charge.amount_captured() - lost).contains(&amount) {
            return Err(ApiError::invalid("Nothing is left to dispute.").param("amount"));
        }
        let dispute =
            crate::disputes::open(&charge, amount, &self.reason, self.is_inquiry, transaction);
        Ok(transaction.render_dispute(&dispute))
    }
}

/// The bank decides a dispute.
#[derive(Debug)]
pub struct DecideDispute {
    id: String,
    is_won: bool,
}

impl Command for DecideDispute {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let outcome = params.one_of("outcome", &["won", "lost"])?;
        let outcome = outcome.ok_or_else(|| ApiError::missing_param("outcome"))?;
        Ok(Self { id: id.to_owned(), is_won: outcome == "won" })
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        ledger.intent_of(&self.id).into_iter().collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        disputes::decide(&self.id, self.is_won, transaction)
    }
}

/// The buyer's bank accepts a pending refund, or returns one, even days after it had succeeded.
#[derive(Debug)]
pub struct SettleRefund {
    id: String,
    has_failed: bool,
}

impl Command for SettleRefund {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let outcome = params.one_of("outcome", &["succeeded", "failed"])?;
        let outcome = outcome.ok_or_else(|| ApiError::missing_param("outcome"))?;
        Ok(Self { id: id.to_owned(), has_failed: outcome == "failed" })
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        ledger.intent_of(&self.id).into_iter().collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut refund = transaction
            .refund(&self.id)
            .cloned()
            .ok_or_else(|| ApiError::not_found("refund", &self.id, "refund"))?;
        if refund.status() == RefundStatus::Failed {
            return Err(ApiError::invalid("This refund has already failed."));
        }
        refund.course = if self.has_failed { RefundCourse::Fails } else { RefundCourse::Succeeds };
        let body = transaction.render_refund(&refund);
        transaction.put_refund(refund);
        Ok(body)
    }
}
