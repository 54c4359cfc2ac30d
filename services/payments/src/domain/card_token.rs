//! What the buyer's browser gets from Stripe in exchange for a card.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A token (`tok_…`), a PaymentMethod (`pm_…`) or a ConfirmationToken (`ctoken_…`, of the Payment Element). Whether it
/// exists, only Stripe knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardToken(String);

/// Without the token: this is what a log line has.
impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardToken")
    }
}

/// The text can't be one. Displays as the broken rule, which continues the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a Stripe token (tok_…), payment method (pm_…) or confirmation token (ctoken_…)")]
pub struct InvalidCardToken;

impl CardToken {
    const TOKEN: &str = "tok_";
    const PAYMENT_METHOD: &str = "pm_";
    const CONFIRMATION_TOKEN: &str = "ctoken_";
    const MAX_LENGTH: usize = 255;

    /// The PaymentMethod of this id.
    pub(super) fn of_method(id: &str) -> CardToken {
        CardToken(id.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The PaymentMethod's id, if it is one already; a token has to be exchanged for one.
    pub fn payment_method(&self) -> Option<&str> {
        self.0.starts_with(Self::PAYMENT_METHOD).then_some(self.as_str())
    }

    /// Whether a PaymentIntent is confirmed with it directly.
    pub fn is_confirmation_token(&self) -> bool {
        self.0.starts_with(Self::CONFIRMATION_TOKEN)
    }
}

impl FromStr for CardToken {
    type Err = InvalidCardToken;

    fn from_str(text: &str) -> Result<CardToken, InvalidCardToken> {
        let kinds = [Self::TOKEN, Self::PAYMENT_METHOD, Self::CONFIRMATION_TOKEN];
        let is_known = kinds.iter().any(|kind| text.starts_with(kind));
        if is_known && text.len() <= Self::MAX_LENGTH {
            Ok(CardToken(text.to_owned()))
        } else {
            Err(InvalidCardToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_or_a_payment_method_of_at_most_255_bytes_is_accepted() {
        let longest = format!("tok_{}", "x".repeat(251));
        for text in ["tok_visa", "pm_card_visa", "ctoken_1", &longest] {
            assert_eq!(text.parse::<CardToken>().unwrap().as_str(), text);
        }
        for text in ["", "visa", "4242424242424242", "card_1", &format!("{longest}x")] {
            assert_eq!(text.parse::<CardToken>(), Err(InvalidCardToken), "{text}");
        }
    }

    #[test]
    fn only_a_payment_method_needs_no_exchange() {
        let method = |text: &str| text.parse::<CardToken>().unwrap().payment_method().is_some();
        assert!(method("pm_card_visa") && !method("tok_visa") && !method("ctoken_1"));
    }
}
