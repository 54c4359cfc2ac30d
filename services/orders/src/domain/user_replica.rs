//! The replica of a user.

use common::events;
use common::ids::UserId;
use serde::{Deserialize, Serialize};

/// The copy of a user, fed by user events: the contact details that buyer and seller of a paid order see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserReplica {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub version: i64,
    pub email: String,
    pub name: Option<String>,
}

impl UserReplica {
    pub fn of(event: &events::User) -> UserReplica {
        UserReplica {
            id: event.id,
            version: event.version,
            email: event.email.clone(),
            name: event.name.clone(),
        }
    }
}
