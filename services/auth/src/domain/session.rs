//! A session: the family of refresh tokens that begins with a sign-in. Pure: the time is a parameter.

use std::time::Duration;

use common::Time;
use common::events::{EndedSession, UserSessionEnded};
use common::ids::{SessionId, UserId};
use httpkit::revocations::RETENTION;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

use super::User;

/// How long a session lasts after it was last refreshed.
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What is stored of a refresh token: enough to recognise it, not enough to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    pub fn new(hash: String) -> Self {
        TokenHash(hash)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A sign-in, and the refresh tokens that continue it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[serde(rename = "_id")]
    pub id: SessionId,
    pub user_id: UserId,
    /// The token that is to be presented next.
    pub current: TokenHash,
    /// The one before it.
    pub previous: Option<TokenHash>,
    /// When it was last continued.
    pub rotated_at: Time,
    pub expires_at: Time,
    pub revoked_at: Option<Time>,
    /// The generation of its user's sessions that it belongs to: it ends with all of them.
    #[serde(default)]
    pub generation: i64,
    /// From where it was last continued.
    #[serde(default)]
    pub device: Device,
    #[serde(default)]
    pub version: i64,
    /// The key from which a token's successor is computed, so that one token never has two successors. It is of no use
    /// without the token itself.
    pub rotation_secret: String,
}

/// From where a session is used, as far as its requests say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The client's IP address.
    pub address: Option<String>,
    /// The browser, as it describes itself.
    pub user_agent: Option<String>,
}

/// How to respond to a refresh token that is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDecision {
    /// It is the current one: its successor replaces it.
    Rotate,
    /// Its successor was issued and not used yet: return the same one again. Two tabs may refresh concurrently, or the
    /// response may have been lost.
    Repeat,
    /// Its successor was used as well: its owner or a thief has a copy, so both must sign in again.
    Revoke,
    /// The session has expired or was revoked, or the token was never one of its tokens: a session's id alone
    /// is not enough to end it.
    Refuse,
}

impl Session {
    /// A session of the user as they were read: ending all of their sessions after that ends this one, too.
    pub fn begin(
        id: SessionId,
        user: &User,
        first: TokenHash,
        rotation_secret: String,
        device: Device,
        now: Time,
    ) -> Self {
        Session {
            id,
            user_id: user.id,
            current: first,
            previous: None,
            rotated_at: now,
            expires_at: now + SESSION_LIFE,
            revoked_at: None,
            generation: user.session_generation,
            device,
            version: 1,
            rotation_secret,
        }
    }

    /// When it began.
    pub fn began_at(&self) -> Time {
        self.id.created_at().unwrap_or(self.rotated_at)
    }

    /// Whether it can still be continued, by a user of this generation.
    pub fn is_live(&self, generation: i64, now: Time) -> bool {
        self.revoked_at.is_none() && self.generation >= generation && now < self.expires_at
    }

    /// Ends it with all of its tokens, and says so to every service; none if it has ended. It is deleted once none of its
    /// session tokens can be valid any more.
    pub fn end(&self, now: Time) -> Option<Change<Session>> {
        if self.revoked_at.is_some() {
            return None;
        }
        let ended = Session {
            revoked_at: Some(now),
            expires_at: self.expires_at.min(now + RETENTION),
            version: self.version + 1,
            ..self.clone()
        };
        let event = UserSessionEnded(ended.to_event());
        Some(Change::with_event(ended, &event))
    }

    /// The event that describes it, for republishing: only that it has ended matters to others.
    pub fn snapshot_event(&self) -> Option<OutboxMessage> {
        self.revoked_at.map(|_| OutboxMessage::of(&UserSessionEnded(self.to_event())))
    }

    fn to_event(&self) -> EndedSession {
        EndedSession { id: self.id, user_id: self.user_id, version: self.version }
    }

    /// `generation` is its user's; `was_issued` says whether the session has ever had the presented token.
    pub fn decide_refresh(
        &self,
        presented: &TokenHash,
        was_issued: impl FnOnce() -> bool,
        generation: i64,
        now: Time,
    ) -> RefreshDecision {
        if !self.is_live(generation, now) {
            RefreshDecision::Refuse
        } else if *presented == self.current {
            RefreshDecision::Rotate
        } else if self.previous.as_ref() == Some(presented) {
            RefreshDecision::Repeat
        } else if was_issued() {
            RefreshDecision::Revoke
        } else {
            RefreshDecision::Refuse
        }
    }

    /// The session with `successor` as its current token, extended from now.
    pub fn rotated(&self, successor: TokenHash, device: Device, now: Time) -> Self {
        Session {
            current: successor,
            previous: Some(self.current.clone()),
            rotated_at: now,
            expires_at: now + SESSION_LIFE,
            device,
            version: self.version + 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailAddress, Profile};

    fn hash(text: &str) -> TokenHash {
        TokenHash::new(text.to_owned())
    }

    fn first(begun: Time) -> Session {
        let profile = Profile {
            email: EmailAddress::parse("kim@example.org").unwrap(),
            name: None,
            phone: None,
        };
        let user = User::sign_up(profile, "hash".to_owned(), Default::default(), begun).thing;
        let (id, secret) = (SessionId::new(begun), "secret".to_owned());
        Session::begin(id, &user, hash("1"), secret, Device::default(), begun)
    }

    #[test]
    fn a_session_ends_once_and_is_kept_for_as_long_as_its_tokens_may_be_valid() {
        let begun = Time::from_millis(1_700_000_000_000);
        let first = first(begun);
        let Change { thing: ended, events } = first.end(begun).unwrap();
        assert_eq!((ended.revoked_at, ended.expires_at), (Some(begun), begun + RETENTION));
        assert_eq!(events[0].id(), format!("user.session_ended:{}:2", first.id));
        assert!(ended.end(begun).is_none() && !ended.is_live(0, begun));
        assert_eq!(first.snapshot_event().map(|event| event.id().to_owned()), None);
        assert_eq!(ended.snapshot_event().unwrap().id(), events[0].id());
        let late = begun + SESSION_LIFE - Duration::from_secs(1);
        assert_eq!(first.end(late).unwrap().thing.expires_at, first.expires_at);
    }

    #[test]
    fn every_presented_token_gets_its_decision() {
        let begun = Time::from_millis(1_700_000_000_000);
        let rotated_at = begun + Duration::from_secs(3600);
        let first = first(begun);
        let second = first.rotated(hash("2"), Device::default(), rotated_at);
        let later = rotated_at + Duration::from_secs(1);
        let third = second.rotated(hash("3"), Device::default(), later);
        let revoked = Session { revoked_at: Some(rotated_at), ..second.clone() };
        let earlier = Session { generation: -1, ..second.clone() };
        let millisecond = Duration::from_millis(1);

        for (case, session, presented, now, expected) in [
            ("the first token, immediately", &first, "1", begun, RefreshDecision::Rotate),
            (
                "the first token, late",
                &first,
                "1",
                begun + SESSION_LIFE - millisecond,
                RefreshDecision::Rotate,
            ),
            (
                "the first token, after expiry",
                &first,
                "1",
                begun + SESSION_LIFE,
                RefreshDecision::Refuse,
            ),
            ("not a token of the session", &first, "x", begun, RefreshDecision::Refuse),
            ("the current token", &second, "2", rotated_at, RefreshDecision::Rotate),
            ("the previous token, immediately", &second, "1", rotated_at, RefreshDecision::Repeat),
            (
                "the previous token, while its successor is unused",
                &second,
                "1",
                rotated_at + SESSION_LIFE - millisecond,
                RefreshDecision::Repeat,
            ),
            ("a future token", &second, "3", rotated_at, RefreshDecision::Refuse),
            ("the token before the previous one", &third, "1", rotated_at, RefreshDecision::Revoke),
            ("the current token when revoked", &revoked, "2", rotated_at, RefreshDecision::Refuse),
            ("the previous token when revoked", &revoked, "1", rotated_at, RefreshDecision::Refuse),
            ("of an earlier generation", &earlier, "2", rotated_at, RefreshDecision::Refuse),
            ("another token when revoked", &revoked, "x", rotated_at, RefreshDecision::Refuse),
            (
                "a rotation extends the session",
                &second,
                "2",
                begun + SESSION_LIFE,
                RefreshDecision::Rotate,
            ),
        ] {
            let was_issued = || matches!(presented, "1" | "2");
            let decided = session.decide_refresh(&hash(presented), was_issued, 0, now);
            assert_eq!(decided, expected, "{case}");
        }
    }
}
