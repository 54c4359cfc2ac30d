//! MongoDB refuses: it responds, and does nothing for one of the services. mongod runs without users here, so its fail point
//! answers as it would after a mistake with that service's user.

use std::fmt;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::random::mostly_short;
use crate::workspace;

const WRITES: [&str; 4] = ["insert", "update", "delete", "findAndModify"];
const READS: [&str; 5] = ["find", "getMore", "aggregate", "count", "distinct"];
/// What a user without any role may still do.
const FREE: [&str; 1] = ["ping"];

/// What one service is refused, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    service: String,
    reason: Reason,
    /// Every second time, at random, instead of always: as when only one node of several has been changed.
    by_half: bool,
    pub time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    /// Unauthorized: the user has lost its role. Readiness, which needs none, isn't affected.
    RevokedRole,
    /// AuthenticationFailed
    WrongPassword,
    /// A managed cluster's error for a full quota: reads succeed.
    Quota,
    /// UnsatisfiableWriteConcern: the write is made, and the response is an error.
    Unconfirmed,
}

impl Refusal {
    pub(super) fn draw(rng: &mut StdRng) -> Option<Refusal> {
        const REASONS: [Reason; 4] =
            [Reason::RevokedRole, Reason::WrongPassword, Reason::Quota, Reason::Unconfirmed];
        Some(Refusal {
            service: workspace::services_with_database().choose(rng)?.clone(),
            reason: *REASONS.choose(rng)?,
            by_half: rng.random_bool(0.25),
            time: mostly_short(59.0, rng),
        })
    }

    /// The command that makes mongod refuse. There is one fail point: a later refusal replaces an earlier one.
    pub(super) fn command(&self) -> Document {
        let mode = match self.by_half {
            true => Bson::from(doc! { "activationProbability": 0.5 }),
            false => Bson::from("alwaysOn"),
        };
        let (commands, outcome) = self.reason.refused();
        let mut data = doc! { "appName": &self.service, "failCommands": commands };
        data.extend(outcome);
        doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data }
    }

    /// The command that ends it.
    pub(super) fn end() -> Document {
        doc! { "configureFailPoint": "failCommand", "mode": "off" }
    }
}

impl Reason {
    /// Which commands are refused, and how.
    fn refused(self) -> (Vec<&'static str>, Document) {
        let error = |code: i32| doc! { "errorCode": code };
        match self {
            Reason::RevokedRole => ([WRITES.as_slice(), &READS].concat(), error(13)),
            Reason::WrongPassword => ([WRITES.as_slice(), &READS, &FREE].concat(), error(18)),
            Reason::Quota => (WRITES.to_vec(), error(8000)),
            Reason::Unconfirmed => {
                let message = "Not enough data-bearing nodes";
                let concern = doc! { "code": 100, "errmsg": message };
                (WRITES.to_vec(), doc! { "writeConcernError": concern })
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            Reason::RevokedRole => "its role is revoked",
            Reason::WrongPassword => "its password is wrong",
            Reason::Quota => "its quota is full",
            Reason::Unconfirmed => "its writes are not confirmed",
        };
        let often = if self.by_half { "half of the time, " } else { "" };
        let (service, seconds) = (&self.service, self.time.as_secs_f64());
        write!(f, "mongod refuses {service}: {what}, {often}for {seconds:.1} s")
    }
}
