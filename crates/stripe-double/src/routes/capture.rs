//! <https://docs.stripe.com/api/payment_intents/capture>

use serde_json::Value;

use crate::{
    app::Command,
    errors::ApiError,
    ledger::Ledger,
    model::{Capture, Charge, IntentStatus, Metadata},
    params::Params,
    routes::{
        confirm::with_dispute,
        lookup::{load_intent, unexpected_state},
    },
    transaction::Transaction,
};

#[derive(Debug)]
pub struct CaptureIntent {
    intent: String,
    amount: Option<i64>,
    metadata: Metadata,
}

impl Command for CaptureIntent {
    const NOT_COVERED: &'static [&'static str] = &[
        "amount_details",
        "application_fee_amount",
        "hooks",
        "payment_details",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
    ];

    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        if params.boolean("final_capture")? == Some(false) {
            return Err(ApiError::not_covered("Capturing several times", "final_capture"));
        }
        Ok(Self {
            intent: id.to_owned(),
            amount: params.amount("amount_to_capture")?,
            metadata: params.metadata()?,
        })
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.intent.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut intent = load_intent(&self.intent, transaction)?;
        let authorised = intent.charges.last().and_then(|id| transaction.charge(id)).cloned();
        let (IntentStatus::RequiresCapture, Some(charge)) = (intent.status, authorised) else {
            return Err(unexpected_state(
                &format!(
                    "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with one of the \
                     following statuses may be captured: requires_capture.",
                    intent.status.name()
                ),
                &intent,
                transaction,
            ));
        };
        let amount = self.amount.unwrap_or(intent.amount);
        if amount > intent.amount {
            return Err(ApiError::invalid(
                "The amount to capture must be less than or equal to the authorized amount.",
            )
            .code("amount_too_large")
            .param("amount_to_capture"));
        }
        let mut charge = Charge { capture: Capture::Captured { amount }, ..charge };
        if let Some(method) = transaction.payment_method(&charge.payment_method) {
            charge = with_dispute(charge, method, transaction);
        }
        transaction.put_charge(charge);
        intent.status = IntentStatus::Succeeded;
        intent.metadata.extend(self.metadata);
        let body = transaction.render_payment_intent(&intent);
        transaction.put_payment_intent(intent);
        Ok(body)
    }
}
