//! The cards to choose from where no real ones are taken: Stripe's test tokens, which the local double
//! knows too. <https://docs.stripe.com/testing>

pub struct TestCard {
    pub token: &'static str,
    pub name: &'static str,
    pub what: &'static str,
}

pub const TEST_CARDS: &[TestCard] = &[
    card("tok_visa", "Visa ···· 4242", "pays"),
    card("tok_mastercard", "Mastercard ···· 4444", "pays"),
    card("tok_chargeDeclined", "Visa ···· 0002", "is declined"),
    card("tok_chargeDeclinedInsufficientFunds", "Visa ···· 9995", "has too little money"),
    card("tok_chargeDeclinedExpiredCard", "Visa ···· 0069", "has expired"),
    card("tok_threeDSecure2Required", "Visa ···· 3220", "asks for 3-D Secure"),
];

const fn card(token: &'static str, name: &'static str, what: &'static str) -> TestCard {
    TestCard { token, name, what }
}
