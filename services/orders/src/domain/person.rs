//! The replica of a user.

use common::events;
use common::ids::UserId;
use serde::{Deserialize, Serialize};

/// What orders knows of a user, fed by user events: how the two sides of a sale reach each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub version: i64,
    pub email: String,
    pub name: Option<String>,
}

impl Person {
    pub fn of(event: &events::User) -> Person {
        Person {
            id: event.id,
            version: event.version,
            email: event.email.clone(),
            name: event.name.clone(),
        }
    }
}
