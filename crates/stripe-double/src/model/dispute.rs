//! A buyer who asks their bank for the money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// <https://docs.stripe.com/api/disputes>
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub created: u64,
    pub amount: i64,
    pub currency: String,
    pub charge: String,
    pub payment_intent: String,
    pub reason: String,
    pub status: DisputeStatus,
    pub evidence: Option<String>,
    pub submissions: u64,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// An inquiry: the bank asks, and has withdrawn nothing.
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    pub fn is_open(self) -> bool {
        match self {
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => true,
            Self::WarningClosed | Self::Won | Self::Lost => false,
        }
    }

    pub fn is_inquiry(self) -> bool {
        match self {
            Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed => true,
            Self::NeedsResponse | Self::UnderReview | Self::Won | Self::Lost => false,
        }
    }

    /// Whether the charge can be refunded. What the bank has withdrawn can't.
    pub fn is_charge_refundable(self) -> bool {
        match self {
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::WarningClosed
            | Self::Won => true,
            Self::NeedsResponse | Self::UnderReview | Self::Lost => false,
        }
    }

    /// What follows when evidence was submitted.
    pub fn reviewed(self) -> Self {
        match self {
            Self::NeedsResponse => Self::UnderReview,
            Self::WarningNeedsResponse => Self::WarningUnderReview,
            other @ (Self::WarningUnderReview
            | Self::WarningClosed
            | Self::UnderReview
            | Self::Won
            | Self::Lost) => other,
        }
    }

    /// The bank's decision. An inquiry is closed without one.
    pub fn decided(self, is_won: bool) -> Self {
        match (self.is_inquiry(), is_won) {
            (true, _) => Self::WarningClosed,
            (false, true) => Self::Won,
            (false, false) => Self::Lost,
        }
    }
}
