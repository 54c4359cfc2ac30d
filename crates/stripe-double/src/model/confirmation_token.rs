//! What a page collects, until the server confirms with it.

use serde::{Deserialize, Serialize};

use super::PaymentMethod;

/// <https://docs.stripe.com/api/confirmation_tokens>
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmationToken {
    pub id: String,
    pub created: u64,
    pub expires_at: u64,
    /// It exists on its own only once an intent has been confirmed with this token.
    pub payment_method: PaymentMethod,
    pub return_url: Option<String>,
    /// The intent that it has confirmed: it can't confirm another one.
    pub payment_intent: Option<String>,
}
