//! Settings on which several services must agree. They come from environment variables; the doc comments are what
//! `--help` prints.

use clap::Args;

use crate::money::{Currency, Money};
use crate::time_zone;

/// In which currency and time zone the deployment sells. tickets enforces it, web shows it.
#[derive(Clone, Debug, Args)]
pub struct MarketSettings {
    /// ISO 4217 code of the currency of every price; it must have two decimals
    #[arg(long, env = "CURRENCY", default_value = "usd")]
    pub currency: Currency,

    /// The least that a ticket may cost; Stripe takes nothing below 0.50 usd
    #[arg(long, env = "MIN_PRICE", default_value = "0.50")]
    pub min_price: Money,

    /// IANA time zone of dates that come without one
    #[arg(long, env = "TIME_ZONE", default_value = "UTC", value_parser = time_zone::parse)]
    pub time_zone: String,
}

/// Whether people buy and sell with an address that nobody has confirmed. tickets and orders enforce it.
#[derive(Clone, Copy, Debug, Args)]
pub struct VerificationSettings {
    /// Whether buying and selling takes a confirmed email address
    #[arg(long, env = "REQUIRE_VERIFIED_EMAIL", default_value_t = false,
          action = clap::ArgAction::Set)]
    pub require_verified_email: bool,
}
