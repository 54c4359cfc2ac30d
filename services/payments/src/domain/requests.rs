//! The requests that a payment remembers, so that each is answered in the same way however often it is
//! sent. At most one of them has no answer yet: the one whose attempt is under way.

use common::{Time, problem};
use httpkit::idempotency::RequestIdentity;
use httpkit::{Error, Result};
use serde::{Deserialize, Serialize};
use store::{Change, StoredRequest};

use super::Payment;

/// What became of what a request began: as much as its answer needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum End {
    /// The card was charged: the payment was `completed`, in this version.
    Paid { version: i64 },
    /// The card was declined.
    Declined { code: String, attempts_left: i64 },
    /// The money is to be given back: the payment was `refunding`, in this version.
    Refunding { version: i64 },
}

/// How a request stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    Ended(End),
    UnderWay {
        since: Time,
    },
    /// Nothing is known of it: it is new, or it came to nothing and may be made again.
    Unknown,
}

impl Payment {
    /// As [`Payment::claim`], for a request. None: it came before; [`Payment::progress`] tells the rest.
    pub fn claim_for(
        &self,
        key: &RequestIdentity,
        token: &str,
        attempts: i64,
        now: Time,
    ) -> Result<Option<Change<Payment>>> {
        if StoredRequest::find_in(&self.requests, key, now)?.is_some() {
            return Ok(None);
        }
        let mut change = self.claim(token, attempts, now)?;
        change.thing.remember(key, None, now);
        Ok(Some(change))
    }

    /// As [`Payment::refund`], for a request. None: it came before.
    pub fn refund_for(&self, key: &RequestIdentity, now: Time) -> Result<Option<Change<Payment>>> {
        if StoredRequest::find_in(&self.requests, key, now)?.is_some() {
            return Ok(None);
        }
        let mut change = self.refund(now).ok_or_else(|| {
            let detail = "Only a completed payment can be refunded, once.";
            Error::refused(&problem::NOT_REFUNDABLE, detail)
        })?;
        let version = change.thing.version;
        change.thing.remember(key, Some(End::Refunding { version }), now);
        Ok(Some(change))
    }

    /// How a request stands. Refuses (422) a key that was used for another one.
    pub fn progress(&self, key: &RequestIdentity, now: Time) -> Result<Progress> {
        Ok(match StoredRequest::find_in(&self.requests, key, now)? {
            None => Progress::Unknown,
            Some(StoredRequest { response: Some(end), .. }) => Progress::Ended(end.clone()),
            Some(StoredRequest { response: None, at, .. }) => Progress::UnderWay { since: *at },
        })
    }

    fn remember(&mut self, key: &RequestIdentity, end: Option<End>, now: Time) {
        self.requests.retain(|request| request.is_fresh(now));
        self.requests.push(StoredRequest::of(key, end, now));
    }

    /// The attempt has ended, and this is the answer to the request that began it. None: it came to
    /// nothing, and the request is forgotten.
    pub(super) fn ended(mut self, end: Option<End>) -> Payment {
        self.requests.retain(|request| request.response.is_some() || end.is_some());
        for request in self.requests.iter_mut().filter(|request| request.response.is_none()) {
            request.response.clone_from(&end);
        }
        self
    }
}
