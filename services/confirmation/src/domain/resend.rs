//! The buyer has the confirmation sent again.

use std::time::Duration;

use common::Time;
use common::events::{Order, OrderStatus};

use super::{Kind, Mail};

/// How often a confirmation is sent again within [`PERIOD`].
const MAX_PER_PERIOD: usize = 3;
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendRefusal {
    /// It isn't paid, or no longer.
    NotComplete,
    /// The next one is possible after this time.
    TooOften(Duration),
}

impl Mail {
    /// The confirmation of an order once more, given all mails about it to its buyer, the oldest first. An order from before
    /// the service has none yet: then this is the first.
    pub fn resend(order: &Order, mails: &[Mail], now: Time) -> Result<Mail, ResendRefusal> {
        if order.status != OrderStatus::Complete {
            return Err(ResendRefusal::NotComplete);
        }
        let first = Mail::about(order, Kind::Paid, now);
        let sent: Vec<&Mail> = mails.iter().filter(|mail| mail.kind == Kind::Paid).collect();
        let Some(last) = sent.last() else { return Ok(first) };
        let mut allowed_at = last.created_at + INTERVAL;
        // The first mail was not requested.
        if let Some(limiting) = sent.iter().skip(1).rev().nth(MAX_PER_PERIOD - 1) {
            allowed_at = allowed_at.max(limiting.created_at + PERIOD);
        }
        if now < allowed_at {
            return Err(ResendRefusal::TooOften(now.until(allowed_at)));
        }
        Ok(first.again(sent.len(), now))
    }
}
