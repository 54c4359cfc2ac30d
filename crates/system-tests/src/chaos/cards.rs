//! Stripe's test cards that the clients pay with.

pub const GOOD_CARDS: [&str; 5] =
    ["tok_visa", "tok_mastercard", "tok_visa_debit", "pm_card_visa", "tok_pendingRefund"];
pub const BAD_CARDS: [&str; 4] = [
    "tok_chargeDeclined",
    "tok_chargeDeclinedInsufficientFunds",
    "tok_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclined",
];
/// The buyer's bank asks the buyer.
pub const CHALLENGED_CARD: &str = "tok_threeDSecure2Required";
