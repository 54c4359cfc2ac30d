//! What the API shows of a user.

use common::Time;
use common::ids::{SessionId, UserId};
use serde::Serialize;

use crate::domain::{Session, User};

/// A user, as they see themselves.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: UserId,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        UserView {
            id: user.id,
            email: user.email.as_str().to_owned(),
            name: user.name,
            phone: user.phone,
        }
    }
}

/// A session, as its user sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    created_at: Time,
    last_used_at: Time,
    expires_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl SessionView {
    pub fn of(session: Session, asking: SessionId) -> Self {
        SessionView {
            id: session.id,
            current: session.id == asking,
            created_at: session.began_at(),
            last_used_at: session.rotated_at,
            expires_at: session.expires_at,
            address: session.device.address,
            user_agent: session.device.user_agent,
        }
    }
}
