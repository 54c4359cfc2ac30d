//! Currencies: the minimum charge of each, and the format of an amount.

/// The smallest charge in minor units: <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>.
const MINIMUMS: &[(&str, i64)] = &[
    ("aed", 200),
    ("aud", 50),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
];

/// The largest amount of a charge, in minor units.
pub const MAXIMUM: i64 = 99_999_999;

pub fn minimum(currency: &str) -> Option<i64> {
    MINIMUMS.iter().find(|(name, _)| *name == currency).map(|(_, minimum)| *minimum)
}

/// `$20.50`, `¥50`, `20.50 chf`.
pub fn formatted(amount: i64, currency: &str) -> String {
    let number = match currency {
        "jpy" => amount.to_string(),
        _ => format!("{}.{:02}", amount / 100, amount % 100),
    };
    match currency {
        "usd" => format!("${number}"),
        "eur" => format!("€{number}"),
        "gbp" => format!("£{number}"),
        "jpy" => format!("¥{number}"),
        _ => format!("{number} {currency}"),
    }
}
