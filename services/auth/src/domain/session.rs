//! A session: the family of refresh tokens that begins with a sign-in. Pure: the time is a parameter.

use std::time::Duration;

use common::Time;
use common::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};

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
    pub rotated_at: Time,
    pub expires_at: Time,
    pub revoked_at: Option<Time>,
    /// The key from which a token's successor is computed, so that one token never has two successors. It is of no use
    /// without the token itself.
    pub rotation_secret: String,
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
    pub fn begin(
        id: SessionId,
        user_id: UserId,
        first: TokenHash,
        rotation_secret: String,
        now: Time,
    ) -> Self {
        Session {
            id,
            user_id,
            current: first,
            previous: None,
            rotated_at: now,
            expires_at: now + SESSION_LIFE,
            revoked_at: None,
            rotation_secret,
        }
    }

    /// `was_issued` says whether the session has ever had the presented token.
    pub fn decide_refresh(
        &self,
        presented: &TokenHash,
        was_issued: impl FnOnce() -> bool,
        now: Time,
    ) -> RefreshDecision {
        if self.revoked_at.is_some() || now >= self.expires_at {
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
    pub fn rotated(&self, successor: TokenHash, now: Time) -> Self {
        Session {
            current: successor,
            previous: Some(self.current.clone()),
            rotated_at: now,
            expires_at: now + SESSION_LIFE,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> TokenHash {
        TokenHash::new(text.to_owned())
    }

    #[test]
    fn every_presented_token_gets_its_decision() {
        let begun = Time::from_millis(1_700_000_000_000);
        let rotated_at = begun + Duration::from_secs(3600);
        let first = Session::begin(
            SessionId::new(begun),
            UserId::new(begun),
            hash("1"),
            "secret".to_owned(),
            begun,
        );
        let second = first.rotated(hash("2"), rotated_at);
        let third = second.rotated(hash("3"), rotated_at + Duration::from_secs(1));
        let revoked = Session { revoked_at: Some(rotated_at), ..second.clone() };
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
            let decided = session.decide_refresh(&hash(presented), was_issued, now);
            assert_eq!(decided, expected, "{case}");
        }
    }
}
