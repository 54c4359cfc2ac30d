//! The indexes of the tickets.

use bson::{Document, doc};
use mongodb::IndexModel;
use store::mongo;

use crate::domain::Sort;

/// What a list is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Created,
    Price,
    Date,
}

impl Dimension {
    const ALL: [Dimension; 3] = [Dimension::Created, Dimension::Price, Dimension::Date];

    pub fn of(sort: Sort) -> Self {
        match sort {
            Sort::Newest => Dimension::Created,
            Sort::Cheapest | Sort::MostExpensive => Dimension::Price,
            Sort::Soonest => Dimension::Date,
        }
    }

    /// That of an index of lists.
    pub fn of_index(index: &str) -> Option<Self> {
        Dimension::ALL.into_iter().find(|dimension| {
            [on_sale_index, own_index, term_index].iter().any(|name| name(*dimension) == index)
        })
    }

    pub fn field(self) -> &'static str {
        match self {
            Dimension::Created => "createdAt",
            Dimension::Price => "price",
            Dimension::Date => "onSaleUntil",
        }
    }

    fn order(self, id: &str) -> Document {
        match self {
            Dimension::Created => doc! { "createdAt": -1, id: -1 },
            Dimension::Price => doc! { "price": 1, id: 1 },
            Dimension::Date => doc! { "onSaleUntil": 1, id: 1 },
        }
    }
}

/// The index of everything that is on sale.
pub(super) fn on_sale_index(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Created => "on_sale_newest",
        Dimension::Price => "on_sale_cheapest",
        Dimension::Date => "on_sale_soonest",
    }
}

/// The field that breaks ties in an index. There are so many keys of terms that the 16 bytes of the id pay; documents of the
/// previous version don't have them. Their order is that of the ids.
pub(super) fn id_of(index: &str) -> &'static str {
    if index.starts_with("term_") { "uuid" } else { "_id" }
}

/// The index of each seller's own tickets.
pub(super) fn own_index(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Created => "own_newest",
        Dimension::Price => "own_cheapest",
        Dimension::Date => "own_soonest",
    }
}

/// The index of what is on sale by the prefixes of its words.
pub(super) fn term_index(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Created => "term_newest",
        Dimension::Price => "term_cheapest",
        Dimension::Date => "term_soonest",
    }
}

/// The index of what is on sale by its words.
pub(super) const WORD: &str = "word";

/// The index of each seller's tickets by their words.
pub(super) const OWN_WORD: &str = "own_word";

/// The index by which tickets are found whose search fields are to be written again.
pub(super) const SEARCH_STATE: &str = "search_state";

/// One index for each order of each kind of list. The filtered fields come last in them, so that the index alone determines
/// which documents to fetch. (Replicas of the previous version have others: `docs/operating.md` says when to drop them.)
pub(super) fn indexes() -> Vec<IndexModel> {
    let list = |name: &str, of: Document, dimension: Dimension| {
        let mut keys = of;
        keys.extend(dimension.order(id_of(name)));
        for filtered in Dimension::ALL.map(Dimension::field) {
            if !keys.contains_key(filtered) {
                keys.insert(filtered, 1);
            }
        }
        mongo::index(name, keys)
    };
    let lists = Dimension::ALL.into_iter().flat_map(|dimension| {
        [
            list(on_sale_index(dimension), doc! { "listed": 1 }, dimension),
            list(own_index(dimension), doc! { "userId": 1, "deleted": 1 }, dimension),
            list(term_index(dimension), doc! { "terms": 1 }, dimension),
        ]
    });
    let others = [
        mongo::partial_index(WORD, doc! { "indexed": 1, "words": 1 }, doc! { "indexed": true }),
        mongo::index(OWN_WORD, doc! { "userId": 1, "words": 1 }),
        mongo::index(
            SEARCH_STATE,
            doc! { "listed": 1, "indexed": 1, "searchVersion": 1, "searchedEdit": 1, "editedVersion": 1 },
        ),
        mongo::partial_index("dirty", doc! { "dirty": 1 }, doc! { "dirty": true }),
    ];
    lists.chain(others).collect()
}
