//! What administrators do to accounts. Each act is recorded on the account by the write that has its effect; no write takes an
//! entry away.

use common::Time;
use common::events::{self, UserStatus};
use common::ids::UserId;
use common::text::{self, TextError};
use serde::{Deserialize, Serialize};
use store::Change;
use utoipa::ToSchema;

use super::User;

pub const MAX_REASON_CHARS: usize = 500;

/// Why a user can't use the marketplace, and what becomes of their orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// For the user and for administrators. It is in no event.
    pub reason: String,
    /// Whether paid orders are refunded.
    pub refund: bool,
    pub at: Time,
}

/// One act of an administrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub at: Time,
    /// Who has done it. None: an operator, by the service's settings.
    pub by: Option<UserId>,
    pub act: Act,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Of a ban: whether paid orders are refunded.
    pub refund: Option<bool>,
    /// The group, of an act about one.
    pub group: Option<String>,
}

/// What an administrator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Banned,
    Unbanned,
    AddedToGroup,
    RemovedFromGroup,
    /// A value of a later version.
    #[serde(other)]
    Unknown,
}

impl AuditEntry {
    fn new(at: Time, by: Option<UserId>, act: Act) -> Self {
        AuditEntry { at, by, act, reason: None, refund: None, group: None }
    }
}

/// Why a user is banned: some words.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text::one_line(text, MAX_REASON_CHARS).map_err(|error: TextError| error.to_string());
    text?.ok_or_else(|| "must not be empty".to_owned())
}

impl User {
    /// Bans the user: all of their sessions end, and they can't begin one. Once more with other words or another choice is
    /// another act; with the same, none. A closed account stays closed.
    pub fn ban(&self, reason: &str, refund: bool, by: UserId, now: Time) -> Option<Change<User>> {
        let is_same = |ban: &Ban| ban.reason == reason && ban.refund == refund;
        if self.closed_at.is_some() || self.ban.as_ref().is_some_and(is_same) {
            return None;
        }
        let entry = AuditEntry {
            reason: Some(reason.to_owned()),
            refund: Some(refund),
            ..AuditEntry::new(now, Some(by), Act::Banned)
        };
        let ban = Ban { reason: reason.to_owned(), refund, at: now };
        let user = User {
            status: UserStatus::Banned,
            ban: Some(ban),
            session_generation: self.session_generation + 1,
            ..self.clone()
        };
        Some(self.changed(user.with_entry(entry)))
    }

    /// Lifts the ban. The user signs in again; what it has ended stays ended.
    pub fn unban(&self, by: UserId, now: Time) -> Option<Change<User>> {
        self.ban.as_ref()?;
        let user = User { status: UserStatus::Active, ban: None, ..self.clone() };
        let entry = AuditEntry::new(now, Some(by), Act::Unbanned);
        Some(self.changed(user.with_entry(entry)))
    }

    /// Makes the user a member of the group: from their next sign-in or refresh on.
    pub fn add_to_group(&self, group: &str, by: Option<UserId>, now: Time) -> Option<Change<User>> {
        if self.groups.iter().any(|one| one == group) {
            return None;
        }
        let mut user = self.clone();
        user.groups.push(group.to_owned());
        let entry = AuditEntry {
            group: Some(group.to_owned()),
            ..AuditEntry::new(now, by, Act::AddedToGroup)
        };
        Some(self.changed(user.with_entry(entry)))
    }

    /// Ends that. Their tokens say that they are a member, so all of their sessions end.
    pub fn remove_from_group(&self, group: &str, by: UserId, now: Time) -> Option<Change<User>> {
        if !self.groups.iter().any(|one| one == group) {
            return None;
        }
        let mut user = self.clone();
        user.groups.retain(|one| one != group);
        user.session_generation += 1;
        let entry = AuditEntry {
            group: Some(group.to_owned()),
            ..AuditEntry::new(now, Some(by), Act::RemovedFromGroup)
        };
        Some(self.changed(user.with_entry(entry)))
    }

    fn with_entry(mut self, entry: AuditEntry) -> Self {
        self.audit.push(entry);
        self
    }
}

impl Ban {
    /// The part of it that other services receive.
    pub fn to_event(&self) -> events::Ban {
        events::Ban { at: self.at, refund: self.refund }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailAddress, Profile};

    fn user() -> User {
        let email = EmailAddress::parse("kim@example.org").unwrap();
        let profile = Profile { email, name: None, phone: None };
        User::sign_up(profile, "hash".to_owned(), Default::default(), Time::from_millis(0)).thing
    }

    #[test]
    fn every_act_is_recorded_once_and_no_entry_is_lost() {
        let (kim, by) = (user(), UserId::new(Time::from_millis(0)));
        let now = Time::from_millis(1);
        let banned = kim.ban("Fraud", true, by, now).unwrap().thing;
        assert!(banned.ban("Fraud", true, by, now).is_none());
        let again = banned.ban("Fraud", false, by, now).unwrap().thing;
        let unbanned = again.unban(by, now).unwrap().thing;
        assert!(unbanned.unban(by, now).is_none() && kim.unban(by, now).is_none());
        let member = unbanned.add_to_group("admin", None, now).unwrap().thing;
        assert!(member.add_to_group("admin", None, now).is_none());
        let left = member.remove_from_group("admin", by, now).unwrap().thing;
        assert!(left.remove_from_group("admin", by, now).is_none());
        let acts: Vec<Act> = left.audit.iter().map(|entry| entry.act).collect();
        use Act::*;
        assert_eq!(acts, [Banned, Banned, Unbanned, AddedToGroup, RemovedFromGroup]);
        assert_eq!(left.audit[3].by, None);
    }

    #[test]
    fn a_user_who_is_banned_or_loses_a_group_is_signed_out_and_nobody_else() {
        let (kim, by, now) = (user(), UserId::new(Time::from_millis(0)), Time::from_millis(1));
        let banned = kim.ban("Fraud", false, by, now).unwrap().thing;
        assert_eq!((banned.status, banned.session_generation), (UserStatus::Banned, 1));
        let unbanned = banned.unban(by, now).unwrap().thing;
        assert_eq!((unbanned.status, unbanned.session_generation), (UserStatus::Active, 1));
        let member = unbanned.add_to_group("admin", Some(by), now).unwrap().thing;
        assert_eq!(member.session_generation, 1);
        assert_eq!(member.remove_from_group("admin", by, now).unwrap().thing.session_generation, 2);
    }
}
