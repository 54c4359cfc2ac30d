//! One mail, from its event to the server's answer.
//!
//! ```text
//! queued -> sending -> sent
//!   ^          |-----> failed      (the server refuses it: 5xx)
//!   |----------|                   (4xx, no server, no outcome)
//!   |-> suppressed                 (it would be untrue by now)
//! ```
//!
//! A process that sends a mail keeps [`Mail::next_run_at`] in the future: a lease. When it crashes, the lease expires and
//! another one sends the mail, under the same Message-ID.

use std::fmt;
use std::time::Duration;

use bson::Bson;
use common::Time;
use common::events::{AccountLink, LinkPurpose, Order, User, Versioned};
use common::ids::UserId;
use serde::{Deserialize, Serialize};
use store::Change;
use utoipa::ToSchema;

use super::{Kind, UserReplica};

/// A lease without a renewal expires after this time.
const LEASE: Duration = Duration::from_secs(5);
/// How often a lease is renewed.
pub const RENEWAL: Duration = Duration::from_secs(1);
/// For so long a server may defer a mail (RFC 5321 §4.5.4.1: at least four to five days).
const LONGEST_DEFERRAL: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// `<kind>:<order or user>`, and `:<number>` if there may be several or it was sent again on request: the same event leads to the
/// same id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailId(String);

impl MailId {
    /// The id that a command names.
    pub fn parse(text: &str) -> Self {
        MailId(text.to_owned())
    }

    /// The left side of its Message-ID: the same in each attempt, so that a duplicate is recognised as one.
    pub fn message_id(&self, domain: &str) -> String {
        format!("<{}@{domain}>", self.0.replace(':', "."))
    }
}

impl fmt::Display for MailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&MailId> for Bson {
    fn from(id: &MailId) -> Bson {
        Bson::String(id.0.clone())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailStatus)]
pub enum Status {
    /// It is to be sent.
    Queued,
    /// A process is sending it, or has died doing so.
    Sending,
    /// The server has accepted it.
    Sent,
    /// The server has refused it, and would again.
    Failed,
    /// It won't be sent: it would be untrue by now.
    Suppressed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Sending => "sending",
            Status::Sent => "sent",
            Status::Failed => "failed",
            Status::Suppressed => "suppressed",
            Status::Unknown => "unknown",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_final(self) -> bool {
        match self {
            Status::Sent | Status::Failed | Status::Suppressed => true,
            Status::Queued | Status::Sending | Status::Unknown => false,
        }
    }
}

/// One mail to one user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    #[serde(rename = "_id")]
    pub id: MailId,
    pub kind: Kind,
    /// The addressee. Their address is looked up when the mail is sent: it may not be known yet, or change until then.
    pub user_id: UserId,
    /// The order that it is about, as the event had it.
    pub order: Option<Order>,
    /// The link that it is about.
    #[serde(default)]
    pub link: Option<AccountLink>,
    /// The address that it goes to, whatever the user's is by then; none: the user's.
    #[serde(default)]
    pub to: Option<String>,
    pub status: Status,
    /// It can't be sent before the addressee's event has come.
    pub awaits_address: bool,
    /// To which address it was sent last.
    pub address: Option<String>,
    /// How often it was attempted to send it.
    pub attempts: i64,
    /// How often in a row that has led to nothing.
    pub failures: i64,
    /// How often the outcome of an attempt was not known: so many duplicates there may be.
    pub unknown_outcomes: i64,
    /// Why it isn't sent.
    pub reason: Option<String>,
    /// When it is due; none if nothing more is to be done.
    pub next_run_at: Option<Time>,
    pub created_at: Time,
    /// When it was queued last: an operator may have it sent after all.
    pub queued_at: Time,
    pub sent_at: Option<Time>,
    pub version: i64,
}

impl Mail {
    pub fn welcome(user: UserId, now: Time) -> Mail {
        Mail::new(MailId(format!("{}:{user}", Kind::Welcome.as_str())), Kind::Welcome, user, now)
    }

    pub fn about(order: &Order, kind: Kind, now: Time) -> Mail {
        let id = match kind.number(order) {
            Some(number) => MailId(format!("{}:{}:{number}", kind.as_str(), order.id)),
            None => MailId(format!("{}:{}", kind.as_str(), order.id)),
        };
        let mail = Mail::new(id, kind, kind.addressee(order), now);
        Mail { order: Some(order.clone()), ..mail }
    }

    /// What has become of a user's account since the service was first started, mailed to the address that the event names.
    pub fn about_account(user: &User, began_at: Time, now: Time) -> Vec<Mail> {
        let links = user.links.iter().filter(|link| link.issued_at >= began_at).flat_map(|link| {
            let kinds = Kind::about_link(link.purpose, link.at_sign_up);
            kinds.iter().map(move |kind| Mail::about_link(user, link, *kind, now))
        });
        let change = user.password_change.as_ref().filter(|change| change.at >= began_at);
        let changed = change.map(|change| {
            let kind = Kind::PasswordChanged;
            let id = MailId(format!("{}:{}:{}", kind.as_str(), user.id, change.at.millis()));
            Mail { to: Some(change.email.clone()), ..Mail::new(id, kind, user.id, now) }
        });
        links.chain(changed).collect()
    }

    fn about_link(user: &User, link: &AccountLink, kind: Kind, now: Time) -> Mail {
        let id = MailId(format!("{}:{}:{}", kind.as_str(), user.id, link.nonce));
        let to = if kind == Kind::EmailChangeNotice { &user.email } else { &link.email };
        let mail = Mail::new(id, kind, user.id, now);
        Mail { link: Some(link.clone()), to: Some(to.clone()), ..mail }
    }

    fn new(id: MailId, kind: Kind, user_id: UserId, now: Time) -> Mail {
        Mail {
            id,
            kind,
            user_id,
            order: None,
            link: None,
            to: None,
            status: Status::Queued,
            awaits_address: false,
            address: None,
            attempts: 0,
            failures: 0,
            unknown_outcomes: 0,
            reason: None,
            next_run_at: Some(now),
            created_at: now,
            queued_at: now,
            sent_at: None,
            version: 1,
        }
    }

    /// The same mail once more, as a mail of its own.
    pub(super) fn again(&self, number: usize, now: Time) -> Mail {
        let id = MailId(format!("{}:{number}", self.id));
        let again = Mail::new(id, self.kind, self.user_id, now);
        Mail { order: self.order.clone(), ..again }
    }

    /// Whether it contains a value that this version doesn't know.
    pub fn has_unknown_value(&self) -> bool {
        self.kind == Kind::Unknown
            || self.status == Status::Unknown
            || self.order.as_ref().is_some_and(Versioned::has_unknown_value)
            || self.link.as_ref().is_some_and(|link| link.purpose == LinkPurpose::Unknown)
    }

    /// Whether the order has changed since so that it would be untrue. (A replica that is older than the mail, which is
    /// written first, says nothing.)
    pub fn is_outdated(&self, now: &Order) -> bool {
        let is_newer = self.order.as_ref().is_none_or(|order| now.version > order.version);
        is_newer && self.kind.is_outdated(now)
    }

    /// The address that it goes to.
    pub fn address_of<'a>(&'a self, user: &'a UserReplica) -> &'a str {
        self.to.as_deref().unwrap_or(&user.email)
    }

    /// Why its link can't be opened any more, by what is known of its user: it was used, replaced or withdrawn, or it has ended.
    pub fn link_over(&self, user: &UserReplica, now: Time) -> Option<&'static str> {
        let link = self.link.as_ref()?;
        // The owner of the address before learns of it whatever has become of it.
        if self.kind == Kind::EmailChangeNotice {
            None
        } else if link.ends_at.is_some_and(|end| end <= now) {
            Some("its link has ended")
        } else if user.links.iter().all(|known| known.nonce != link.nonce) {
            Some("its link was used or replaced")
        } else {
            None
        }
    }

    /// A worker takes it, if it is due.
    pub fn claim(&self, now: Time) -> Option<Change<Mail>> {
        self.next_run_at.filter(|due| *due <= now)?;
        // The process that was sending it has died: the server may have accepted it.
        let died = i64::from(self.status == Status::Sending);
        self.to(Mail {
            status: Status::Sending,
            attempts: self.attempts + 1,
            unknown_outcomes: self.unknown_outcomes + died,
            next_run_at: Some(now + self.lease()),
            ..self.clone()
        })
    }

    /// Longer for a mail whose processes keep dying: it may be what kills them.
    fn lease(&self) -> Duration {
        const SUSPICIOUS: i64 = 5;
        const MAX_DOUBLINGS: i64 = 8;
        let doublings = (self.unknown_outcomes + 1 - SUSPICIOUS).clamp(0, MAX_DOUBLINGS);
        LEASE * (1 << doublings)
    }

    /// Extends the lease while the server is waited for.
    pub fn renew_lease(&self, now: Time) -> Option<Change<Mail>> {
        (self.status == Status::Sending).then_some(())?;
        self.to(Mail { next_run_at: Some(now + LEASE), ..self.clone() })
    }

    /// The server has accepted it. That is a fact, whatever was recorded meanwhile.
    pub fn accepted(&self, address: &str, now: Time) -> Option<Change<Mail>> {
        (self.status != Status::Sent).then_some(())?;
        self.to(Mail {
            status: Status::Sent,
            address: Some(address.to_owned()),
            awaits_address: false,
            failures: 0,
            reason: None,
            next_run_at: None,
            sent_at: Some(now),
            ..self.clone()
        })
    }

    /// The server has refused it for good (5xx), or it can't be written.
    pub fn refused(&self, reason: &str) -> Option<Change<Mail>> {
        self.end(Status::Failed, reason)
    }

    /// The server has put it off (4xx): it is tried again after the pause, for some days.
    pub fn deferred(&self, reason: &str, pause: Duration, now: Time) -> Option<Change<Mail>> {
        if self.queued_at.until(now) > LONGEST_DEFERRAL {
            return self.refused(&format!("put off for too long: {reason}"));
        }
        self.postpone(reason, pause, now)
    }

    /// There was no server to send it to, or the outcome is unknown: it is tried again after the pause.
    pub fn postpone(&self, reason: &str, pause: Duration, now: Time) -> Option<Change<Mail>> {
        self.is_open()?;
        self.to(Mail {
            status: Status::Queued,
            failures: self.failures + 1,
            reason: Some(reason.to_owned()),
            next_run_at: Some(now + pause),
            ..self.clone()
        })
    }

    /// As [`Mail::postpone`]: the server may have accepted it.
    pub fn outcome_unknown(
        &self,
        reason: &str,
        pause: Duration,
        now: Time,
    ) -> Option<Change<Mail>> {
        let mut change = self.postpone(reason, pause, now)?;
        change.thing.unknown_outcomes += 1;
        Some(change)
    }

    /// Its addressee isn't known yet. The event of the user makes it due; so does the pause.
    pub fn await_address(&self, pause: Duration, now: Time) -> Option<Change<Mail>> {
        let mut change = self.postpone("the address isn't known yet", pause, now)?;
        change.thing.awaits_address = true;
        Some(change)
    }

    /// The address is known now.
    pub fn address_known(&self, now: Time) -> Option<Change<Mail>> {
        (self.awaits_address && !self.status.is_final()).then_some(())?;
        let next_run_at = Some(now);
        self.to(Mail { awaits_address: false, failures: 0, next_run_at, ..self.clone() })
    }

    /// It would be untrue by now.
    pub fn suppress(&self, reason: &str) -> Option<Change<Mail>> {
        self.end(Status::Suppressed, reason)
    }

    /// An operator has it sent after all, or now.
    pub fn retry(&self, now: Time) -> Option<Change<Mail>> {
        (self.status != Status::Sent).then_some(())?;
        let (status, next_run_at) = (Status::Queued, Some(now));
        self.to(Mail { status, failures: 0, next_run_at, queued_at: now, ..self.clone() })
    }

    fn end(&self, status: Status, reason: &str) -> Option<Change<Mail>> {
        self.is_open()?;
        let reason = Some(reason.to_owned());
        self.to(Mail { status, reason, awaits_address: false, next_run_at: None, ..self.clone() })
    }

    fn is_open(&self) -> Option<()> {
        (!self.status.is_final()).then_some(())
    }

    /// Nobody else needs to know.
    #[expect(clippy::unnecessary_wraps, reason = "transitions return an option")]
    fn to(&self, next: Mail) -> Option<Change<Mail>> {
        Some(Change::without_event(Mail { version: self.version + 1, ..next }))
    }
}
