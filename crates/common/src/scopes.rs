//! What a program may do for a user: the scopes of its token. A user's own session has none, and isn't limited.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One thing that a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read listings, the user's own included.
    TicketsRead,
    /// List, change and remove tickets, and say who stands at their doors.
    TicketsWrite,
    /// Let people in, and read how many are.
    CheckIn,
    /// Read orders, their mails and the codes of their tickets.
    OrdersRead,
    /// Reserve, cancel, and say what became of a delivery.
    OrdersWrite,
    /// Read payments.
    PaymentsRead,
    /// Pay and refund.
    PaymentsWrite,
}

impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        let names = Scope::ALL.map(Scope::as_str);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
    }
}

impl ToSchema for Scope {}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 7] = [
        Scope::TicketsRead,
        Scope::TicketsWrite,
        Scope::CheckIn,
        Scope::OrdersRead,
        Scope::OrdersWrite,
        Scope::PaymentsRead,
        Scope::PaymentsWrite,
    ];

    /// As tokens and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::TicketsRead => "tickets:read",
            Scope::TicketsWrite => "tickets:write",
            Scope::CheckIn => "checkin",
            Scope::OrdersRead => "orders:read",
            Scope::OrdersWrite => "orders:write",
            Scope::PaymentsRead => "payments:read",
            Scope::PaymentsWrite => "payments:write",
        }
    }

    /// What a request needs, by its route; none if it takes a session. A route that isn't among these is the user's alone:
    /// accounts, sessions, tokens, administration.
    pub fn of_request(is_read: bool, route: &str) -> Option<Scope> {
        let is = |area: &str| {
            let rest = route.strip_prefix("/api/").and_then(|rest| rest.strip_prefix(area));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let by_method = |read, write| Some(if is_read { read } else { write });
        if is("tickets") && (route.ends_with("/checkin") || is_read && route.ends_with("/door")) {
            Some(Scope::CheckIn)
        } else if is("tickets") {
            by_method(Scope::TicketsRead, Scope::TicketsWrite)
        } else if is("orders") {
            by_method(Scope::OrdersRead, Scope::OrdersWrite)
        } else if is("payments") {
            by_method(Scope::PaymentsRead, Scope::PaymentsWrite)
        } else {
            None
        }
    }
}

/// Not the name of a scope.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes: in tokens and in the API a text, separated by blanks (RFC 6749 §3.3).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether this scope is one of them.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether there are none, which allow nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

const fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Scopes(scopes.into_iter().fold(0, |all, scope| all | bit(scope)))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A scope of a later version allows nothing here.
impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(de::Error::custom)?;
        Ok(text.split(' ').filter_map(|scope| scope.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_text_separated_by_blanks() {
        let all: Scopes = Scope::ALL.into_iter().collect();
        let text = "tickets:read tickets:write checkin orders:read orders:write payments:read \
                    payments:write";
        assert_eq!(all.to_string(), text);
        let some: Scopes = [Scope::OrdersRead, Scope::CheckIn].into_iter().collect();
        let json = serde_json::to_string(&some).unwrap();
        assert_eq!(json, r#""checkin orders:read""#);
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), some);
        let later: Scopes = serde_json::from_str(r#""orders:read orders:dream""#).unwrap();
        assert_eq!(later.iter().collect::<Vec<_>>(), [Scope::OrdersRead]);
        assert!(serde_json::from_str::<Scopes>(r#""""#).unwrap().is_empty());
    }
}
