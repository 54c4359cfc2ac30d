//! The schemas of values whose form serde's derive doesn't show, as events carry them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::clock::Time;
use crate::ids::{OrderId, PaymentId, SessionId, TicketId, UserId};
use crate::money::{Currency, Money};
use crate::places::{Place, Quantity};

macro_rules! schemas {
    ($($kind:ident: $schema:tt;)+) => {$(
        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

schemas! {
    UserId: { "type": "string", "format": "uuid", "description": "A user, who buys or sells." };
    TicketId: { "type": "string", "format": "uuid", "description": "A listing." };
    OrderId: { "type": "string", "format": "uuid", "description": "An order." };
    PaymentId: { "type": "string", "format": "uuid", "description": "The one payment of an order." };
    SessionId: { "type": "string", "format": "uuid", "description": "A session." };
    Time: {
        "type": "string",
        "format": "date-time",
        "description": "RFC 3339, in UTC.",
        "examples": ["2026-11-21T12:00:00.000Z"],
    };
    Money: {
        "type": "integer",
        "description": "In the currency's minor unit (cents).",
        "examples": [2050],
    };
    Currency: {
        "type": "string",
        "pattern": "^[a-z]{3}$",
        "description": "An ISO 4217 code in lower case.",
        "examples": ["eur"],
    };
    Place: { "type": "integer", "minimum": 1, "description": "The number of a place." };
    Quantity: { "type": "integer", "minimum": 0, "maximum": 1000, "description": "How many places." };
}
