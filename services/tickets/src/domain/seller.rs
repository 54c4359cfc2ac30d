//! The replica of a seller.

use common::Time;
use common::events;
use common::ids::UserId;
use serde::{Deserialize, Serialize};

/// What tickets knows of a user who has changed since they signed up: whether their listings are off sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SellerReplica {
    #[serde(rename = "_id")]
    pub id: UserId,
    pub version: i64,
    /// While they are banned: since when, by auth's clock.
    pub banned_at: Option<Time>,
}

impl SellerReplica {
    pub fn of(event: &events::User) -> SellerReplica {
        let banned_at = event.ban.map(|ban| ban.at);
        SellerReplica { id: event.id, version: event.version, banned_at }
    }
}
