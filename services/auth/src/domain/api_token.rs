//! An API token: by it, a program acts for its user, within its scopes. It is exchanged for access tokens, as a refresh token is,
//! and ends as a session does. Pure: the time is a parameter.

use std::time::Duration;

use common::Time;
use common::events::{EndedSession, UserSessionEnded, UserStatus};
use common::ids::{SessionId, UserId};
use common::scopes::{Scope, Scopes};
use common::text::{self, TextError};
use httpkit::revocations::RETENTION;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

use super::{TokenHash, User};

/// How many a user may have at a time.
pub const MAX_TOKENS: usize = 50;
/// How long one may be valid.
pub const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// It isn't recorded more often that one was used.
const USE_PERIOD: Duration = Duration::from_secs(60);
pub const MAX_NAME_CHARS: usize = 100;

/// What is stored of an API token: enough to recognise it, not enough to use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its access tokens name it as their session.
    #[serde(rename = "_id")]
    pub id: SessionId,
    pub user_id: UserId,
    /// What the user calls it.
    pub name: String,
    pub scopes: Scopes,
    pub hash: TokenHash,
    /// The generation of its user's sessions that it belongs to: it ends with all of them.
    pub generation: i64,
    pub created_at: Time,
    /// It is deleted then.
    pub expires_at: Time,
    pub last_used_at: Option<Time>,
    pub revoked_at: Option<Time>,
    pub version: i64,
}

/// What a user asks for.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    pub scopes: Scopes,
    pub life: Duration,
}

impl ApiToken {
    /// A token of the user as they were read: ending all of their sessions after that ends this one, too.
    pub fn create(user: &User, new: NewToken, hash: TokenHash, now: Time) -> Self {
        let NewToken { name, scopes, life } = new;
        ApiToken {
            id: SessionId::new(now),
            user_id: user.id,
            name,
            scopes,
            hash,
            generation: user.session_generation,
            created_at: now,
            expires_at: now + life,
            last_used_at: None,
            revoked_at: None,
            version: 1,
        }
    }

    /// Whether its user may still use it.
    pub fn is_live(&self, user: &User, now: Time) -> bool {
        self.revoked_at.is_none()
            && now < self.expires_at
            && user.status == UserStatus::Active
            && self.generation >= user.session_generation
    }

    /// Whether it is worth a write that it is used.
    pub fn is_use_recorded(&self, now: Time) -> bool {
        self.last_used_at.is_some_and(|last| now < last + USE_PERIOD)
    }

    /// Ends it with all of its access tokens, and says so to every service; none if it has ended. It is deleted once none of
    /// them can be valid any more.
    pub fn revoke(&self, now: Time) -> Option<Change<ApiToken>> {
        if self.revoked_at.is_some() {
            return None;
        }
        let revoked = ApiToken {
            revoked_at: Some(now),
            expires_at: now + RETENTION,
            version: self.version + 1,
            ..self.clone()
        };
        let event = UserSessionEnded(revoked.to_event());
        Some(Change::with_event(revoked, &event))
    }

    /// The event that describes it, for republishing: only that it has ended matters to others.
    pub fn snapshot_event(&self) -> Option<OutboxMessage> {
        self.revoked_at.map(|_| OutboxMessage::of(&UserSessionEnded(self.to_event())))
    }

    fn to_event(&self) -> EndedSession {
        EndedSession { id: self.id, user_id: self.user_id, version: self.version }
    }
}

/// What the user calls it: some words.
pub fn name(text: &str) -> Result<String, String> {
    let name = text::one_line(text, MAX_NAME_CHARS).map_err(|error: TextError| error.to_string());
    name?.ok_or_else(|| "must not be empty".to_owned())
}

/// What it is for: at least one of the scopes.
pub fn scopes(names: &[String]) -> Result<Scopes, String> {
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    let scopes: Result<Scopes, _> = names.iter().map(|name| name.parse::<Scope>()).collect();
    match scopes {
        Ok(scopes) if !scopes.is_empty() => Ok(scopes),
        Ok(_) => Err(format!("must be at least one of {}", known())),
        Err(_) => Err(format!("must be some of {}", known())),
    }
}

/// For how long it is valid.
pub fn life(days: i64) -> Result<Duration, &'static str> {
    let days = u64::try_from(days).unwrap_or(0);
    let life = Duration::from_secs(days.saturating_mul(24 * 60 * 60));
    if (1..=365).contains(&days) { Ok(life) } else { Err("must be between 1 and 365") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailAddress, Profile};

    fn user() -> User {
        let email = EmailAddress::parse("kim@example.org").unwrap();
        let profile = Profile { email, name: None, phone: None };
        let nonces = ["a".to_owned(), "b".to_owned()];
        User::sign_up(profile, "hash".to_owned(), nonces, Time::from_millis(0)).thing
    }

    fn token(user: &User, now: Time) -> ApiToken {
        let scopes = [Scope::OrdersRead].into_iter().collect();
        let life = life(90).unwrap();
        let new = NewToken { name: "Ledger".to_owned(), scopes, life };
        ApiToken::create(user, new, TokenHash::new("hash".to_owned()), now)
    }

    #[test]
    fn it_is_live_until_it_expires_or_it_or_its_user_s_sessions_end() {
        let (kim, now) = (user(), Time::from_millis(1_700_000_000_000));
        let token = token(&kim, now);
        let last = now + Duration::from_secs(90 * 24 * 60 * 60 - 1);
        assert!(token.is_live(&kim, now) && token.is_live(&kim, last));
        assert!(!token.is_live(&kim, last + Duration::from_secs(1)));
        let revoked = token.revoke(now).unwrap();
        assert!(!revoked.thing.is_live(&kim, now));
        assert_eq!(revoked.thing.expires_at, now + RETENTION);
        assert_eq!(revoked.events[0].id(), format!("user.session_ended:{}:2", token.id));
        assert!(revoked.thing.revoke(now).is_none());
        assert!(token.snapshot_event().is_none() && revoked.thing.snapshot_event().is_some());
        assert!(!token.is_live(&kim.end_sessions().thing, now));
        let by = UserId::new(now);
        let banned = kim.ban("Fraud", false, by, now).unwrap().thing;
        assert!(!token.is_live(&banned, now));
        assert!(!token.is_live(&banned.unban(by, now).unwrap().thing, now));
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(scopes(&names(&["orders:read", "orders:read", "checkin"])).is_ok());
        for wrong in [&[][..], &["orders"], &["orders:read", "admin"], &[""]] {
            assert!(scopes(&names(wrong)).is_err(), "{wrong:?}");
        }
        assert_eq!(life(365), Ok(LONGEST_LIFE));
        for days in [0, -1, 366, i64::MIN, i64::MAX] {
            assert!(life(days).is_err(), "{days}");
        }
        assert_eq!(name(" Ledger ").as_deref(), Ok("Ledger"));
        assert!(name("  ").is_err() && name(&"x".repeat(101)).is_err());
    }
}
