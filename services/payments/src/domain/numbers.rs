//! One type per kind of number. Documents store them as plain integers.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            pub const FIRST: Self = $name(1);

            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                $name(number)
            }
        }

        impl Add<i64> for $name {
            type Output = Self;
            fn add(self, by: i64) -> Self {
                $name(self.0 + by)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

numbers! {
    /// The version of a document: of ours, or of the order that it replicates.
    Version,
    /// The number of an attempt, which is part of its idempotency keys.
    AttemptNumber,
    /// The number in the idempotency key under which a PaymentIntent is created.
    IntentNumber,
    /// The number in the idempotency key under which the payment is captured.
    CaptureNumber,
    /// The number in the idempotency key under which a refund is created.
    RefundNumber,
}

impl Default for CaptureNumber {
    fn default() -> Self {
        CaptureNumber::FIRST
    }
}

impl AttemptNumber {
    /// Before the first attempt.
    pub const NONE: Self = AttemptNumber(0);
}

/// What ends an order without a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many declined cards end an order.
    pub max_declines: i64,
}

impl Limits {
    /// How many more cards may be tried after that many declines.
    pub fn attempts_left(self, declines: i64) -> i64 {
        (self.max_declines - declines).max(0)
    }

    /// Whether that many declines end an order.
    pub fn is_reached_by(self, declines: i64) -> bool {
        declines >= self.max_declines
    }
}
