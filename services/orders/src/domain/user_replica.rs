//! The replica of a user.

use common::events::{self, Ban};
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
            ban: event.ban,
        }
    }
}
