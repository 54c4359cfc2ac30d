//! What is known of users and orders, by their events.

use common::Time;
use common::events::{self, AccountLink, LinkPurpose, UserStatus};
use common::ids::{OrderId, UserId};
use common::permissions::Owners;
use serde::{Deserialize, Serialize};
use store::Replica;

/// The copy of a user: the address, and which links to it are outstanding.
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
    #[serde(default)]
    pub links: Vec<AccountLink>,
    pub status: UserStatus,
}

impl UserReplica {
    pub fn of(user: &events::User) -> UserReplica {
        UserReplica {
            id: user.id,
            version: user.version,
            email: user.email.clone(),
            name: user.name.clone(),
            email_verified: user.email_verified,
            links: user.links.clone(),
            status: user.status,
        }
    }

    /// The name, once the address is the user's own: what somebody else has signed up with isn't mailed to its owner.
    pub fn confirmed_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.email_verified)
    }

    /// The outstanding link of a purpose.
    pub fn link(&self, purpose: LinkPurpose, now: Time) -> Option<&AccountLink> {
        let link = self.links.iter().find(|link| link.purpose == purpose);
        link.filter(|link| link.ends_at.is_none_or(|end| now < end))
    }
}

/// The copy of an order, whole: payments' events name an order and nothing else of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReplica {
    #[serde(rename = "_id")]
    pub id: OrderId,
    pub version: i64,
    pub order: events::Order,
}

impl OrderReplica {
    pub fn of(order: &events::Order) -> OrderReplica {
        OrderReplica { id: order.id, version: order.version, order: order.clone() }
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.order.ticket.user_id, buyer: Some(self.order.user_id) }
    }
}

impl Replica for OrderReplica {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// Whether mails are written about what came into being at that time. When the service is added to a running system, it is
/// given a month of events, and nobody wants mail about those. (An id that isn't a UUIDv7 is from before any of them.)
pub fn is_of_our_time(created_at: Option<Time>, began_at: Time) -> bool {
    created_at.is_some_and(|created_at| created_at >= began_at)
}
