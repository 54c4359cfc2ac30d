//! Looking up a PaymentIntent, and the error if it is in the wrong state.

use crate::{errors::ApiError, model::PaymentIntent, transaction::Transaction};

/// The intent that a path refers to.
pub fn load_intent(id: &str, view: &Transaction<'_>) -> Result<PaymentIntent, ApiError> {
    view.payment_intent(id)
        .cloned()
        .ok_or_else(|| ApiError::not_found("payment_intent", id, "intent"))
}

pub fn unexpected_state(message: &str, intent: &PaymentIntent, view: &Transaction<'_>) -> ApiError {
    ApiError::invalid(message)
        .code("payment_intent_unexpected_state")
        .with("payment_intent", view.render_payment_intent(intent))
}
