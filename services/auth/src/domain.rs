//! Users and sessions, and their transitions. Pure: times and hashes are parameters.

pub mod api_token;
pub mod change;
pub mod email_address;
pub mod links;
pub mod moderation;
pub mod password;
pub mod profile;
pub mod session;

use common::Time;
use common::events::{self, AccountLink, PasswordChange, UserCreated, UserStatus, UserUpdated};
use common::ids::UserId;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

pub use api_token::{ApiToken, NewToken};
pub use change::ProfileChange;
pub use email_address::EmailAddress;
pub use links::LinkRefusal;
pub use moderation::{Act, AuditEntry, Ban};
pub use profile::Profile;
pub use session::{Device, RefreshDecision, Session, TokenHash};

/// Someone who can sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub email: EmailAddress,
    /// Whether the user has shown that mails to it reach them.
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    /// In the PHC string format, which names its algorithm and parameters.
    pub password_hash: String,
    #[serde(default)]
    pub password_change: Option<PasswordChange>,
    /// The links that were issued and not used yet: one of each purpose at most.
    #[serde(default)]
    pub links: Vec<AccountLink>,
    pub status: UserStatus,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Sessions of earlier generations have ended. It only grows.
    #[serde(default)]
    pub session_generation: i64,
    /// While the user is banned.
    #[serde(default)]
    pub ban: Option<Ban>,
    /// When the owner of the address has closed the account.
    #[serde(default)]
    pub closed_at: Option<Time>,
    /// What administrators have done to the account: append-only.
    #[serde(default)]
    pub audit: Vec<AuditEntry>,
    pub version: i64,
    pub created_at: Time,
}

impl User {
    /// `nonces` are those of the two links that the user is welcomed with.
    pub fn sign_up(
        profile: Profile,
        password_hash: String,
        nonces: [String; 2],
        now: Time,
    ) -> Change<User> {
        let Profile { email, name, phone } = profile;
        let user = User {
            id: UserId::new(now),
            links: User::links_at_sign_up(&email, nonces, now),
            email,
            email_verified: false,
            name,
            phone,
            password_hash,
            password_change: None,
            status: UserStatus::Active,
            groups: Vec::new(),
            session_generation: 0,
            ban: None,
            closed_at: None,
            audit: Vec::new(),
            version: 1,
            created_at: now,
        };
        let event = UserCreated(user.to_event());
        Change::with_event(user, &event)
    }

    /// Ends all of the user's sessions, also one that is being begun: it belongs to the generation that was read before.
    pub fn end_sessions(&self) -> Change<User> {
        let session_generation = self.session_generation + 1;
        self.changed(User { session_generation, ..self.clone() })
    }

    fn changed(&self, changed: User) -> Change<User> {
        let user = User { version: self.version + 1, ..changed };
        let event = UserUpdated(user.to_event());
        Change::with_event(user, &event)
    }

    /// The event that describes the current state, for republishing.
    pub fn snapshot_event(&self) -> OutboxMessage {
        if self.version == 1 {
            OutboxMessage::of(&UserCreated(self.to_event()))
        } else {
            OutboxMessage::of(&UserUpdated(self.to_event()))
        }
    }

    /// What the closing of the account means for orders: as a ban that keeps what is paid.
    fn closure(&self) -> Option<events::Ban> {
        self.closed_at.map(|at| events::Ban { at, refund: false })
    }

    /// The part of the user that other services receive.
    fn to_event(&self) -> events::User {
        events::User {
            id: self.id,
            email: self.email.as_str().to_owned(),
            email_verified: self.email_verified,
            name: self.name.clone(),
            status: self.status,
            links: self.links.clone(),
            password_change: self.password_change.clone(),
            ban: self.ban.as_ref().map(Ban::to_event).or_else(|| self.closure()),
            session_generation: self.session_generation,
            version: self.version,
        }
    }
}
