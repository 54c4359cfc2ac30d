//! Money: integer minor units everywhere inside, a decimal string in the API, never a float.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An amount in minor units (cents) of the deployment's currency.
///
/// In events and databases it is an integer; its `Display` writes the API's decimal (`20.50`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

/// As responses have it ([`as_decimal`]).
impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^-?\d+\.\d{2}$"));
        let text = text.description(Some("An amount of money, with two decimals."));
        text.examples(["20.50"]).into()
    }
}

impl ToSchema for Money {}

impl Money {
    /// The highest price of a ticket: 999,999.99.
    pub const MAX: Money = Money(99_999_999);

    /// From cents.
    pub const fn from_minor(minor: i64) -> Self {
        Money(minor)
    }

    /// In cents.
    pub const fn minor(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100)
    }
}

/// A text that isn't an amount of money.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount with at most two decimals, such as 20.50")]
pub struct NotMoney;

impl FromStr for Money {
    type Err = NotMoney;

    /// Takes plain decimals (`20`, `20.5`, `20.50`): no sign, no exponent, no more than two decimals.
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 || whole.len() > 12 {
            return Err(NotMoney);
        }
        let whole: i64 = whole.parse().map_err(|_| NotMoney)?;
        let cents: i64 = format!("{decimals:0<2}").parse().map_err(|_| NotMoney)?;
        Ok(Money(whole * 100 + cents))
    }
}

/// For responses of the API: `#[serde(serialize_with = "money::as_decimal")]`.
pub fn as_decimal<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

/// What a client sent for an amount: a JSON number or string, kept as it was in the body, because
/// a float would round it before we saw it. [`AmountInput::parse`] says whether it is one.
#[derive(Clone, Debug)]
pub struct AmountInput(String);

impl AmountInput {
    /// The amount, if it is one.
    pub fn parse(&self) -> Result<Money, NotMoney> {
        self.0.parse()
    }
}

impl PartialSchema for AmountInput {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = text.pattern(Some(r"^\d{1,12}(\.\d{1,2})?$"));
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
        let either = OneOfBuilder::new().item(text).item(number);
        let either = either.description(Some("An amount of money, with at most two decimals."));
        either.examples(["20.50"]).into()
    }
}

impl ToSchema for AmountInput {
    fn name() -> Cow<'static, str> {
        "Amount".into()
    }
}

impl<'de> Deserialize<'de> for AmountInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let token = raw.get();
        match token.bytes().next() {
            Some(b'"') => serde_json::from_str(token).map(AmountInput).map_err(de::Error::custom),
            Some(b'-' | b'0'..=b'9') => Ok(AmountInput(token.to_owned())),
            _ => Err(de::Error::custom("expected an amount as a number or a string")),
        }
    }
}

/// An ISO 4217 code, in lower case as Stripe writes it; only currencies with two decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(pattern = "^[a-z]{3}$", example = "usd")]
pub struct Currency(String);

/// Stripe's currencies that don't have two decimals.
/// <https://docs.stripe.com/currencies#zero-decimal>
const OTHER_DECIMALS: &[&str] = &[
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv",
    "xaf", "xof", "xpf", "bhd", "jod", "kwd", "omr", "tnd",
];

impl Currency {
    /// The code in lower case, such as `usd`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = text.to_ascii_lowercase();
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err("expected a three-letter ISO 4217 code such as usd".into());
        }
        if OTHER_DECIMALS.contains(&code.as_str()) {
            return Err(format!(
                "{code} doesn't have two decimals; only currencies that do are supported"
            ));
        }
        Ok(Currency(code))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_from_the_raw_token() {
        let amount = |json: &str| {
            serde_json::from_str::<AmountInput>(json).ok().and_then(|input| input.parse().ok())
        };
        assert_eq!(amount("20.5"), Some(Money(2050)));
        assert_eq!(amount(r#""20.50""#), Some(Money(2050)));
        assert_eq!(amount("0.1"), Some(Money(10)));
        assert_eq!(amount("999999.99"), Some(Money::MAX));
        for refused in [
            "20.505",
            "1e300",
            "-1",
            "NaN",
            "true",
            "null",
            "{}",
            "[1]",
            r#""""#,
            r#"" 1""#,
            r#""1.""#,
            r#"{"$gt":""}"#,
        ] {
            assert_eq!(amount(refused), None, "{refused}");
        }
    }

    #[test]
    fn an_amount_is_written_with_two_decimals() {
        assert_eq!(Money(2050).to_string(), "20.50");
        assert_eq!(Money(5).to_string(), "0.05");
        assert_eq!(Money(-5).to_string(), "-0.05");
    }

    #[test]
    fn a_currency_without_two_decimals_is_refused() {
        assert!("USD".parse::<Currency>().is_ok());
        assert!("jpy".parse::<Currency>().is_err());
        assert!("euros".parse::<Currency>().is_err());
    }
}
