//! Places in a list, and ranges between them.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use common::Time;
use common::ids::TicketId;

use super::indexes::{Dimension, id_of};
use crate::domain::{Sort, Ticket};

/// A place in a list: after the ticket with this sort key and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// In its own unit: cents, or milliseconds.
    pub key: i64,
    pub id: String,
}

/// The ranges of a list after one position, up to and with another one, in its order. A position is a key and an id: each
/// range has one of the two fixed, so that it is one range of the index, too.
pub(super) fn between(
    sort: Sort,
    index: &str,
    after: Option<&Position>,
    until: Option<&Position>,
) -> Vec<Document> {
    let field = Dimension::of(sort).field();
    let id = id_of(index);
    let bytes = |position: &Position| id_in(index, &position.id);
    let (beyond, before, up_to) = match sort {
        Sort::Newest | Sort::MostExpensive => ("$lt", "$gt", "$gte"),
        Sort::Cheapest | Sort::Soonest => ("$gt", "$lt", "$lte"),
    };
    let key = |position: &Position| -> Bson {
        match Dimension::of(sort) {
            Dimension::Created | Dimension::Date => Time::from_millis(position.key).into(),
            Dimension::Price => position.key.into(),
        }
    };
    match (after, until) {
        (None, None) => vec![doc! {}],
        (Some(after), None) => vec![
            doc! { field: key(after), id: { beyond: bytes(after) } },
            doc! { field: { beyond: key(after) } },
        ],
        (None, Some(until)) => vec![
            doc! { field: { before: key(until) } },
            doc! { field: key(until), id: { up_to: bytes(until) } },
        ],
        (Some(after), Some(until)) if after.key == until.key => {
            vec![doc! { field: key(after), id: { beyond: bytes(after), up_to: bytes(until) } }]
        }
        (Some(after), Some(until)) => vec![
            doc! { field: key(after), id: { beyond: bytes(after) } },
            doc! { field: { beyond: key(after), before: key(until) } },
            doc! { field: key(until), id: { up_to: bytes(until) } },
        ],
    }
}

pub(super) fn is_beyond(sort: Sort, one: &Position, other: &Position) -> bool {
    let (one, other) = ((one.key, &one.id), (other.key, &other.id));
    match sort {
        Sort::Newest | Sort::MostExpensive => one < other,
        Sort::Cheapest | Sort::Soonest => one > other,
    }
}

pub(super) fn position(sort: Sort, ticket: &Ticket) -> Position {
    Position { key: sort.key(ticket), id: ticket.id.to_string() }
}

/// An id as an index has it. (A cursor may have anything else; that is after or before all others.)
fn id_in(index: &str, text: &str) -> Bson {
    match text.parse::<TicketId>() {
        Ok(id) if id_of(index) == "uuid" => uuid(id).into(),
        Ok(_) | Err(_) => text.into(),
    }
}

/// The bytes of an id, whose order is that of the texts.
pub(super) fn uuid(id: TicketId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: id.to_bytes().to_vec() }
}

pub(super) fn position_of_key(sort: Sort, id: &str, key: &Document) -> Option<Position> {
    let field = Dimension::of(sort).field();
    let number = match Dimension::of(sort) {
        Dimension::Created | Dimension::Date => key.get_datetime(field).ok()?.timestamp_millis(),
        Dimension::Price => key.get_i64(field).ok()?,
    };
    let id = match (key.get_str(id), key.get_binary_generic(id)) {
        (Ok(text), _) => text.to_owned(),
        (_, bytes) => TicketId::from_bytes(bytes.ok()?.as_slice().try_into().ok()?).to_string(),
    };
    Some(Position { key: number, id })
}

/// The list's order, with the id as tie-break. The most expensive first is the index of the cheapest, read backwards.
pub(super) fn order(sort: Sort, index: &str) -> Document {
    let id = id_of(index);
    match sort {
        Sort::Newest => doc! { "createdAt": -1, id: -1 },
        Sort::Cheapest => doc! { "price": 1, id: 1 },
        Sort::MostExpensive => doc! { "price": -1, id: -1 },
        Sort::Soonest => doc! { "onSaleUntil": 1, id: 1 },
    }
}
