//! The requests that a document stores, so that each gets the same response however often it is sent. At most one of
//! them has no outcome yet: the one whose attempt is in progress.

use common::Time;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use store::{Change, KeyReusedError, RequestIdentity, StoredRequest};

use super::{CardToken, Limits, OrderPayment, PaymentRefusal, RefundRefusal, Version};

/// The outcome of a request: as much as its response needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum RequestOutcome {
    /// The card was charged: the payment was `completed`, in this version.
    Paid { version: Version },
    /// The card was declined.
    Declined { code: String, attempts_left: i64 },
    /// The refund has begun: the payment was `refunding`, in this version.
    Refunding { version: Version },
    /// An outcome of a later version.
    #[serde(untagged, skip_serializing)]
    Unknown(IgnoredAny),
}

impl RequestOutcome {
    pub(super) fn is_unknown(&self) -> bool {
        match self {
            RequestOutcome::Unknown(_) => true,
            RequestOutcome::Paid { .. }
            | RequestOutcome::Declined { .. }
            | RequestOutcome::Refunding { .. } => false,
        }
    }
}

/// How far a request has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    Finished(RequestOutcome),
    InProgress {
        since: Time,
    },
    /// Not stored: it is new, or it had no effect and may be sent again.
    Unknown,
}

impl OrderPayment {
    /// As [`OrderPayment::begin_attempt`], for a request. None: it is a repeat; see [`OrderPayment::progress`].
    pub fn begin_attempt_for(
        &self,
        request: &RequestIdentity,
        token: &CardToken,
        limits: Limits,
        now: Time,
    ) -> Result<Option<Change<OrderPayment>>, PaymentRefusal> {
        if StoredRequest::find_in(&self.requests, request, now)?.is_some() {
            return Ok(None);
        }
        let mut change = self.begin_attempt(token, limits, now)?;
        change.thing.store_request(request, None, now);
        Ok(Some(change))
    }

    /// As [`OrderPayment::begin_refund`], for a request. None: it is a repeat.
    pub fn begin_refund_for(
        &self,
        request: &RequestIdentity,
        relist: bool,
        limits: Limits,
        now: Time,
    ) -> Result<Option<Change<OrderPayment>>, RefundRefusal> {
        if StoredRequest::find_in(&self.requests, request, now)?.is_some() {
            return Ok(None);
        }
        if self.is_under_dispute() {
            return Err(RefundRefusal::Disputed);
        }
        let change = self.begin_refund(relist, limits, now);
        let mut change = change.ok_or(RefundRefusal::NotRefundable)?;
        let version = change.thing.version;
        change.thing.store_request(request, Some(RequestOutcome::Refunding { version }), now);
        Ok(Some(change))
    }

    /// How far a request has come. Refuses a key that was used for another one.
    pub fn progress(
        &self,
        request: &RequestIdentity,
        now: Time,
    ) -> Result<Progress, KeyReusedError> {
        Ok(match StoredRequest::find_in(&self.requests, request, now)? {
            None => Progress::Unknown,
            Some(StoredRequest { response: Some(outcome), .. }) => {
                Progress::Finished(outcome.clone())
            }
            Some(StoredRequest { response: None, at, .. }) => Progress::InProgress { since: *at },
        })
    }

    fn store_request(
        &mut self,
        request: &RequestIdentity,
        outcome: Option<RequestOutcome>,
        now: Time,
    ) {
        self.requests.retain(|request| request.is_fresh(now));
        self.requests.push(StoredRequest::of(request, outcome, now));
    }

    /// The attempt has ended, with this outcome of the request that began it. None: it had no effect, and the request
    /// is removed.
    pub(super) fn finish_request(mut self, outcome: Option<RequestOutcome>) -> OrderPayment {
        self.requests.retain(|request| request.response.is_some() || outcome.is_some());
        for request in self.requests.iter_mut().filter(|request| request.response.is_none()) {
            request.response.clone_from(&outcome);
        }
        self
    }
}
