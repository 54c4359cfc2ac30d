//! Typed identifiers: a UUIDv7 each, one type per kind, so that an order's id can't stand where a
//! ticket's belongs. To a client they are opaque strings; in MongoDB they are strings too.

use std::fmt;
use std::str::FromStr;

use bson::Bson;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;
use uuid::{NoContext, Timestamp, Uuid};

use crate::clock::Time;

/// An id that may stand in a route's path.
pub trait Id: FromStr {
    /// What it identifies, as a message to a client calls it.
    const NAMES: &'static str;
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $names:literal, such as $example:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
        #[schema(value_type = String, format = "uuid", example = $example)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: unique, and ordered by the millisecond of its creation (RFC 9562, UUIDv7).
            pub fn new(now: Time) -> Self {
                $name(uuid_v7(now))
            }

            /// When it was created, by the clock of the service that created it; none if it isn't a UUIDv7.
            pub fn created_at(self) -> Option<Time> {
                created_at(self.0)
            }

            /// Its 16 bytes.
            pub fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }

            /// The id of these 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Uuid::from_bytes(bytes))
            }
        }

        impl Id for $name {
            const NAMES: &'static str = $names;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse(text).map($name)
            }
        }

        impl From<$name> for Bson {
            fn from(id: $name) -> Bson {
                Bson::String(id.to_string())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

id! {
    /// A user, who buys or sells.
    UserId = "user", such as "01968d38-4f80-7c3a-9d2e-4b1d00001111",
    /// A ticket for sale.
    TicketId = "ticket", such as "01968d38-4f80-7c3a-9d2e-4b1d00002222",
    /// One buyer's reservation of a ticket, and what became of it.
    OrderId = "order", such as "01968d38-4f80-7c3a-9d2e-4b1d00003333",
    /// The one payment of an order.
    PaymentId = "payment", such as "01968d38-4f80-7c3a-9d2e-4b1d00004444",
    /// A signed-in session: a family of refresh tokens.
    SessionId = "session", such as "01968d38-4f80-7c3a-9d2e-4b1d00005555",
}

/// A text that isn't an id.
#[derive(Debug, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

fn uuid_v7(now: Time) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, millis / 1000, nanos))
}

fn created_at(id: Uuid) -> Option<Time> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let millis = seconds.checked_mul(1000)?.checked_add(u64::from(nanos / 1_000_000))?;
    Some(Time::from_millis(i64::try_from(millis).ok()?))
}

/// Only the form that we write ourselves, so that one thing never has two spellings.
fn parse(text: &str) -> Result<Uuid, NotAnId> {
    let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
    if id.hyphenated().to_string() == text { Ok(id) } else { Err(NotAnId) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_creation_time_and_has_one_spelling() {
        let now = Time::from_millis(1_700_000_000_123);
        let id = OrderId::new(now);
        assert_eq!(id.created_at(), Some(now));
        assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
        for text in
            [id.to_string().to_uppercase(), format!("{{{id}}}"), String::new(), "1".repeat(36)]
        {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }
}
