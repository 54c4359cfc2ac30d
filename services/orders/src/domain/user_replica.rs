//! The replica of a user.

use common::events::{self, Ban, UserStatus};
use common::ids::UserId;
use serde::{Deserialize, Serialize};

/// The copy of a user, fed by user events: the contact details that buyer and seller of a paid order
/// see, and what a ban means for their orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserReplica {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub version: i64,
    pub email: String,
    pub name: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    /// Whether the account was closed by the owner of the address, who isn't its user.
    #[serde(default)]
    pub closed: bool,
    /// While the user is banned.
    #[serde(default)]
    pub ban: Option<Ban>,
}

impl UserReplica {
    pub fn of(event: &events::User) -> UserReplica {
        UserReplica {
            id: event.id,
            version: event.version,
            email: event.email.clone(),
            name: event.name.clone(),
            email_verified: event.email_verified,
            closed: event.status == UserStatus::Closed,
            ban: event.ban,
        }
    }

    /// Whether the other party of a paid order sees the contact details: an address that nobody has confirmed may be a stranger's.
    pub fn is_shown(&self, require_verified: bool) -> bool {
        !self.closed && (self.email_verified || !require_verified)
    }
}
