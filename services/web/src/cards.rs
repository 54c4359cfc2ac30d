//! The test cards of deployments without a Stripe publishable key: Stripe's test tokens, which the local
//! Stripe double supports too. <https://docs.stripe.com/testing>

pub struct TestCard {
    pub token: &'static str,
    pub name: &'static str,
    /// What comes of a payment with it.
    pub result: &'static str,
}

pub const TEST_CARDS: &[TestCard] = &[
    card("tok_visa", "Visa ···· 4242", "Payment succeeds"),
    card("tok_mastercard", "Mastercard ···· 4444", "Payment succeeds"),
    card("tok_chargeDeclined", "Visa ···· 0002", "Declined"),
    card("tok_chargeDeclinedInsufficientFunds", "Visa ···· 9995", "Insufficient funds"),
    card("tok_chargeDeclinedExpiredCard", "Visa ···· 0069", "Expired"),
    card("tok_threeDSecure2Required", "Visa ···· 3220", "Bank asks to confirm (3-D Secure)"),
];

const fn card(token: &'static str, name: &'static str, result: &'static str) -> TestCard {
    TestCard { token, name, result }
}
