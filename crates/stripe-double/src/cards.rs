//! Stripe's test cards, whose number decides the outcome of a charge: <https://docs.stripe.com/testing>.

use crate::errors::ApiError;

#[derive(Debug)]
pub struct Card {
    pub number: &'static str,
    pub brand: &'static str,
    pub funding: &'static str,
    pub behaviour: Behaviour,
    /// `visa` stands for both `tok_visa` and `pm_card_visa`.
    pub names: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    Pays,
    Declines(Decline),
    /// Requires 3-D Secure first; then it pays or is declined.
    Authenticates(Option<Decline>),
    /// Pays. A refund is `pending`, and succeeds later.
    RefundsLate,
    /// Pays. A refund is `succeeded`, and fails later.
    FailsRefunds,
    /// Pays. The buyer disputes the charge later.
    Disputes {
        reason: &'static str,
        is_inquiry: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Decline {
    pub code: &'static str,
    /// Only a `card_declined` has one.
    pub decline_code: Option<&'static str>,
    pub message: &'static str,
    pub param: Option<&'static str>,
}

const fn declined(decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code: Some(decline_code), message, param: None }
}

const fn refused(
    code: &'static str,
    message: &'static str,
    param: Option<&'static str>,
) -> Decline {
    Decline { code, decline_code: None, message, param }
}

const GENERIC: Decline = declined("generic_decline", "Your card was declined.");
const NO_FUNDS: Decline = declined("insufficient_funds", "Your card has insufficient funds.");
const LOST: Decline = declined("lost_card", "Your card was declined.");
const STOLEN: Decline = declined("stolen_card", "Your card was declined.");
const FRAUDULENT: Decline = declined("fraudulent", "Your card was declined.");
const TOO_OFTEN: Decline = declined(
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
);
const EXPIRED: Decline = refused("expired_card", "Your card has expired.", Some("exp_month"));
const WRONG_CVC: Decline =
    refused("incorrect_cvc", "Your card's security code is incorrect.", Some("cvc"));
const UNPROCESSED: Decline = refused(
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    None,
);

/// How a card that requires 3-D Secure is declined under `error_on_requires_action` and `off_session`.
pub const UNAUTHENTICATED: Decline = Decline {
    code: "authentication_required",
    decline_code: Some("authentication_required"),
    message: "Your card was declined. This transaction requires authentication.",
    param: None,
};

const fn credit(
    number: &'static str,
    brand: &'static str,
    behaviour: Behaviour,
    names: &'static [&'static str],
) -> Card {
    Card { number, brand, funding: "credit", behaviour, names }
}

const fn funded(
    funding: &'static str,
    number: &'static str,
    brand: &'static str,
    names: &'static [&'static str],
) -> Card {
    Card { number, brand, funding, behaviour: Behaviour::Pays, names }
}

use Behaviour::{Authenticates, Declines, Disputes, FailsRefunds, Pays, RefundsLate};

pub static CARDS: &[Card] = &[
    credit("4242424242424242", "visa", Pays, &["visa", "us"]),
    funded("debit", "4000056655665556", "visa", &["visa_debit"]),
    credit("5555555555554444", "mastercard", Pays, &["mastercard"]),
    credit("2223003122003222", "mastercard", Pays, &[]),
    funded("debit", "5200828282828210", "mastercard", &["mastercard_debit"]),
    funded("prepaid", "5105105105105100", "mastercard", &["mastercard_prepaid"]),
    credit("378282246310005", "amex", Pays, &["amex", "amex_threeDSecureNotSupported"]),
    credit("371449635398431", "amex", Pays, &[]),
    credit("6011111111111117", "discover", Pays, &["discover"]),
    credit("6011000990139424", "discover", Pays, &[]),
    funded("debit", "6011981111111113", "discover", &["discover_debit"]),
    credit("3056930009020004", "diners", Pays, &["diners"]),
    credit("36227206271667", "diners", Pays, &[]),
    credit("3566002020360505", "jcb", Pays, &["jcb"]),
    credit("6200000000000005", "unionpay", Pays, &["unionpay"]),
    credit("4000000000000077", "visa", Pays, &["bypassPending"]),
    // Fraud checks that let the charge through.
    credit("4000000000009235", "visa", Pays, &["riskLevelElevated"]),
    credit("4000000000000101", "visa", Pays, &["cvcCheckFail"]),
    credit("4000000000000010", "visa", Pays, &["avsFail"]),
    credit("4000000000000028", "visa", Pays, &["avsLine1Fail"]),
    credit("4000000000000036", "visa", Pays, &["avsZipFail"]),
    credit("4000000000000044", "visa", Pays, &["avsUnchecked"]),
    // Declines.
    credit(
        "4000000000000002",
        "visa",
        Declines(GENERIC),
        &["chargeDeclined", "visa_chargeDeclined"],
    ),
    credit(
        "4000000000009995",
        "visa",
        Declines(NO_FUNDS),
        &["chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"],
    ),
    credit(
        "4000000000009987",
        "visa",
        Declines(LOST),
        &["chargeDeclinedLostCard", "visa_chargeDeclinedLostCard"],
    ),
    credit(
        "4000000000009979",
        "visa",
        Declines(STOLEN),
        &["chargeDeclinedStolenCard", "visa_chargeDeclinedStolenCard"],
    ),
    credit("4000000000000069", "visa", Declines(EXPIRED), &["chargeDeclinedExpiredCard"]),
    credit("4000000000000127", "visa", Declines(WRONG_CVC), &["chargeDeclinedIncorrectCvc"]),
    credit("4000000000000119", "visa", Declines(UNPROCESSED), &["chargeDeclinedProcessingError"]),
    credit(
        "4000000000006975",
        "visa",
        Declines(TOO_OFTEN),
        &["chargeDeclinedVelocityLimitExceeded", "visa_chargeDeclinedVelocityLimitExceeded"],
    ),
    credit(
        "4100000000000019",
        "visa",
        Declines(FRAUDULENT),
        &["radarBlock", "chargeDeclinedFraudulent"],
    ),
    credit("4000000000004954", "visa", Declines(FRAUDULENT), &["riskLevelHighest"]),
    credit("4000000000000341", "visa", Declines(GENERIC), &["chargeCustomerFail"]),
    // 3-D Secure.
    credit("4000000000003055", "visa", Pays, &["threeDSecureOptional"]),
    credit(
        "4000000000003220",
        "visa",
        Authenticates(None),
        &["threeDSecure2Required", "threeDSecureRequired"],
    ),
    credit("4000002500003155", "visa", Authenticates(None), &["authenticationRequiredOnSetup"]),
    credit("4000002760003184", "visa", Authenticates(None), &["authenticationRequired"]),
    credit(
        "4000008400001629",
        "visa",
        Authenticates(Some(GENERIC)),
        &["threeDSecureRequiredChargeDeclined"],
    ),
    credit(
        "4000008260003178",
        "visa",
        Authenticates(Some(NO_FUNDS)),
        &["authenticationRequiredChargeDeclinedInsufficientFunds"],
    ),
    // Refunds.
    credit("4000000000007726", "visa", RefundsLate, &["pendingRefund"]),
    credit("4000000000005126", "visa", FailsRefunds, &["refundFail"]),
    // Disputes.
    credit(
        "4000000000000259",
        "visa",
        Disputes { reason: "fraudulent", is_inquiry: false },
        &["createDispute"],
    ),
    credit(
        "4000000000002685",
        "visa",
        Disputes { reason: "product_not_received", is_inquiry: false },
        &["createDisputeProductNotReceived"],
    ),
    credit(
        "4000000000001976",
        "visa",
        Disputes { reason: "general", is_inquiry: true },
        &["createDisputeInquiry"],
    ),
];

impl Card {
    pub fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }
}

/// The card that `tok_…` or `pm_card_…` stands for.
pub fn by_name(id: &str, prefix: &str) -> Option<&'static Card> {
    let name = id.strip_prefix(prefix)?;
    CARDS.iter().find(|card| card.names.contains(&name))
}

pub fn by_number(number: &str) -> Option<&'static Card> {
    CARDS.iter().find(|card| card.number == number)
}

/// A number as a person types it: mistyped, one of Stripe's, or a real card, which a test key must not accept.
pub fn parse_number(number: &str) -> Result<&'static Card, ApiError> {
    let number: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if let Some(card) = by_number(&number) {
        return Ok(card);
    }
    if !passes_luhn(&number) {
        return Err(
            ApiError::card("incorrect_number", "Your card number is incorrect.").param("number")
        );
    }
    let message =
        "Your card was declined. Your request was in test mode, but used a non test card.";
    Err(ApiError::card("card_declined", message).with("decline_code", "test_mode_live_card"))
}

fn passes_luhn(number: &str) -> bool {
    let Some(digits) = number.chars().map(|c| c.to_digit(10)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    (12..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CARDS, by_number, parse_number, passes_luhn};

    #[test]
    fn every_card_has_a_valid_number_and_unique_names() {
        let mut names = BTreeSet::new();
        for card in CARDS {
            assert!(passes_luhn(card.number), "{}", card.number);
            assert!(
                std::ptr::eq(by_number(card.number).unwrap(), card),
                "duplicate card {}",
                card.number
            );
            assert!(card.names.iter().all(|name| names.insert(name)), "{:?}", card.names);
        }
    }

    #[test]
    fn a_real_card_is_distinguished_from_a_mistyped_one() {
        assert_eq!(
            parse_number("4242 4242 4242 4241").unwrap_err().fields["code"],
            "incorrect_number"
        );
        assert_eq!(
            parse_number("4539578763621486").unwrap_err().fields["decline_code"],
            "test_mode_live_card"
        );
    }
}
