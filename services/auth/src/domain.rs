//! A user and a session, and what may become of them. Pure: who asks brings the time and the hashes.

use std::fmt;
use std::time::Duration;

use common::Time;
use common::events::{self, UserCreated, UserStatus, UserUpdated};
use common::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use store::{Aggregate, OutboxMessage};
use validator::ValidateEmail;

/// How long a session lives after it was last renewed.
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long the token before the current one still gets its successor: two tabs that renew at once, or
/// an answer that got lost on its way.
pub const GRACE: Duration = Duration::from_secs(10);

/// An address that mail can be sent to, in the one spelling that we compare and store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnEmailAddress;

impl EmailAddress {
    /// The longest that a mail server must take (RFC 5321 §4.5.3.1.3, less its brackets).
    const LONGEST_BYTES: usize = 254;

    /// Takes the address without the blanks around it, in lower case.
    pub fn parse(text: &str) -> Result<Self, NotAnEmailAddress> {
        let address = text.trim().to_lowercase();
        // `validator` lets anything stand before a literal such as [127.0.0.1], a line break included,
        // which would be a header of the mails that are sent there.
        let is_plain = !address
            .contains(|char: char| char.is_whitespace() || char.is_control() || char == '[');
        let fits = address.len() <= Self::LONGEST_BYTES && is_plain && address.validate_email();
        if fits { Ok(EmailAddress(address)) } else { Err(NotAnEmailAddress) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NotAnEmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an email address such as name@example.com")
    }
}

/// Someone who may sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub email: EmailAddress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// In the PHC string format, which names its algorithm and parameters.
    pub password_hash: String,
    pub status: UserStatus,
    #[serde(default)]
    pub groups: Vec<String>,
    pub version: i64,
    pub created_at: Time,
}

/// What someone says about themselves when they sign up.
#[derive(Clone, Debug)]
pub struct Profile {
    pub email: EmailAddress,
    pub name: Option<String>,
    pub phone: Option<String>,
}

impl User {
    pub fn sign_up(profile: Profile, password_hash: String, now: Time) -> (User, UserCreated) {
        let Profile { email, name, phone } = profile;
        let user = User {
            id: UserId::new(now),
            email,
            name,
            phone,
            password_hash,
            status: UserStatus::Active,
            groups: Vec::new(),
            version: 1,
            created_at: now,
        };
        let created = UserCreated(user.public_state());
        (user, created)
    }

    fn public_state(&self) -> events::User {
        events::User {
            id: self.id,
            email: self.email.as_str().to_owned(),
            name: self.name.clone(),
            status: self.status,
            version: self.version,
        }
    }
}

impl Aggregate for User {
    const COLLECTION: &'static str = "users";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        let user = self.public_state();
        vec![if self.version == 1 {
            OutboxMessage::of(&UserCreated(user))
        } else {
            OutboxMessage::of(&UserUpdated(user))
        }]
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

/// What is kept of a refresh token: enough to recognise it, not enough to use it.
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

/// A sign-in, and the family of refresh tokens that it goes on by.
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
    /// What a token's successor is computed with, so that one token never has two. Without the token
    /// itself it is of no use.
    pub rotation_secret: String,
}

/// What is to be done for someone who presents a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is the current one: its successor takes its place.
    Rotate,
    /// It was the current one a moment ago: hand out the same successor once more.
    Repeat,
    /// It was used up before: either its owner or a thief has a copy, so both sign in anew.
    Revoke,
    /// The session is over.
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

    pub fn renewal(&self, presented: &TokenHash, now: Time) -> Renewal {
        if self.revoked_at.is_some() || now >= self.expires_at {
            Renewal::Refuse
        } else if *presented == self.current {
            Renewal::Rotate
        } else if self.previous.as_ref() == Some(presented) && now < self.rotated_at + GRACE {
            Renewal::Repeat
        } else {
            Renewal::Revoke
        }
    }

    /// The session once `successor` is current; it lives on from now.
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
    fn what_a_presented_token_leads_to() {
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
        let before_the_grace_ends = rotated_at + GRACE - millisecond;

        for (case, session, presented, now, expected) in [
            ("the first token, at once", &first, "1", begun, Renewal::Rotate),
            (
                "the first token, late",
                &first,
                "1",
                begun + SESSION_LIFE - millisecond,
                Renewal::Rotate,
            ),
            ("the first token, too late", &first, "1", begun + SESSION_LIFE, Renewal::Refuse),
            ("no token of the session", &first, "x", begun, Renewal::Revoke),
            ("the current one", &second, "2", rotated_at, Renewal::Rotate),
            ("the previous one, at once", &second, "1", rotated_at, Renewal::Repeat),
            (
                "the previous one, just in time",
                &second,
                "1",
                before_the_grace_ends,
                Renewal::Repeat,
            ),
            ("the previous one, too late", &second, "1", rotated_at + GRACE, Renewal::Revoke),
            ("one that isn't yet", &second, "3", rotated_at, Renewal::Revoke),
            ("the one before the previous one", &third, "1", rotated_at, Renewal::Revoke),
            ("the current one when revoked", &revoked, "2", rotated_at, Renewal::Refuse),
            ("the previous one when revoked", &revoked, "1", rotated_at, Renewal::Refuse),
            ("none of them when revoked", &revoked, "x", rotated_at, Renewal::Refuse),
            ("a rotation prolongs", &second, "2", begun + SESSION_LIFE, Renewal::Rotate),
        ] {
            assert_eq!(session.renewal(&hash(presented), now), expected, "{case}");
        }
    }

    #[test]
    fn an_e_mail_address_has_one_spelling() {
        for (text, expected) in [
            ("kim@example.org", "kim@example.org"),
            ("  Kim.O'Hara+tickets@Example.ORG\n", "kim.o'hara+tickets@example.org"),
            ("kim@bücher.example", "kim@bücher.example"),
        ] {
            assert_eq!(EmailAddress::parse(text).as_ref().map(EmailAddress::as_str), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_e_mail_address_is_refused() {
        let too_long = format!("kim@{}.org", "a.".repeat(130));
        for text in [
            "",
            " ",
            "kim",
            "@example.org",
            "kim@",
            "kim@@example.org",
            "kim@example..org",
            "k im@example.org",
            "kim@example.org,eve@example.org",
            "kim@x\r\nBcc: eve [127.0.0.1]",
            "kim@[127.0.0.1]",
            "kim\0@example.org",
            "<kim@example.org>",
            too_long.as_str(),
        ] {
            assert_eq!(EmailAddress::parse(text), Err(NotAnEmailAddress), "{text:?}");
        }
    }
}
