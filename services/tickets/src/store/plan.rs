//! From which lists a search can be read, and what else the database filters by.

use bson::{Document, doc};
use common::Time;

use super::indexes::{Dimension, OWN_WORD, WORD, on_sale_index, own_index, term_index};
use crate::domain::words;
use crate::domain::{Search, SearchScope, Term};

/// Of how many of its terms a query compares the lists. The longest are the rarest, as a rule.
const COMPARED_TERMS: usize = 3;
/// How many terms the database compares. The others are compared here.
const FILTERED_TERMS: usize = 8;

/// A range of an index, whose keys are in the order of its dimension.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub index: &'static str,
    pub bounds: Vec<Document>,
}

/// What a ticket must satisfy beyond being in a list.
#[derive(Clone, Debug)]
struct Condition {
    /// A list that is in the order of this dimension has it as a range.
    dimension: Option<Dimension>,
    filter: Document,
}

/// A search at a certain time, and how it is read.
pub(super) struct Plan<'a> {
    pub search: &'a Search,
    pub now: Time,
    /// Its terms, the longest first, if lists of terms have every ticket.
    indexed_terms: Option<Vec<&'a Term>>,
    conditions: Vec<Condition>,
}

impl<'a> Plan<'a> {
    pub fn of(search: &'a Search, now: Time, is_indexed: bool) -> Self {
        let by_length = |terms: &'a Vec<Term>| {
            let mut terms: Vec<&Term> = terms.iter().collect();
            terms.sort_by_key(|term| std::cmp::Reverse(term.length()));
            terms
        };
        let terms = search.terms.as_ref().map(by_length);
        let mut conditions = ranges(search, now);
        if search.scope == SearchScope::OnSale {
            conditions.push(Condition { dimension: None, filter: doc! { "listed": true } });
        }
        if let Some(terms) = &terms {
            let filter = words_begin_with(terms, is_indexed);
            conditions.push(Condition { dimension: None, filter });
        }
        let indexed_terms = terms.filter(|_| is_indexed);
        Plan { search, now, indexed_terms, conditions }
    }

    /// A list in the search's order of which nearly everything matches: few words share its prefix.
    pub fn list_of_matches(&self) -> Option<List> {
        let Search { scope, terms, min_price, max_price, from, to, sort } = self.search;
        let dimension = Dimension::of(*sort);
        let has_other_price =
            dimension != Dimension::Price && (min_price.is_some() || max_price.is_some());
        let has_other_date = (dimension != Dimension::Date && (from.is_some() || to.is_some()))
            || self.search.names_days();
        let has_other_terms = match (terms, &self.indexed_terms, scope) {
            (None, _, _) => false,
            (Some(_), Some(terms), SearchScope::OnSale) => terms.len() > 1,
            (Some(_), _, _) => true,
        };
        let has_other = has_other_price || has_other_date || has_other_terms;
        (!has_other).then(|| self.lists(dimension).0)
    }

    /// The lists in the order of a dimension that have everything that matches.
    pub fn lists(&self, dimension: Dimension) -> (List, Vec<List>) {
        let bounds = |first: Document| {
            let range = |condition: &Condition| {
                (condition.dimension == Some(dimension)).then(|| condition.filter.clone())
            };
            [first].into_iter().chain(self.conditions.iter().filter_map(range)).collect()
        };
        match self.search.scope {
            SearchScope::Seller(seller) => {
                let of_seller = doc! { "userId": seller, "deleted": false };
                (List { index: own_index(dimension), bounds: bounds(of_seller) }, Vec::new())
            }
            SearchScope::OnSale => {
                let list = |prefix: &str| {
                    let bounds = bounds(doc! { "terms": prefix });
                    List { index: term_index(dimension), bounds }
                };
                let terms = self.indexed_terms.iter().flatten();
                let mut lists =
                    terms.flat_map(|term| term.prefixes()).take(COMPARED_TERMS).map(list);
                let all = || List {
                    index: on_sale_index(dimension),
                    bounds: bounds(doc! { "listed": true }),
                };
                (lists.next().unwrap_or_else(all), lists.collect())
            }
        }
    }

    /// The lists of the filters that the search isn't sorted by.
    pub fn other_lists(&self) -> Vec<List> {
        let Search { scope, min_price, max_price, from, to, sort, .. } = self.search;
        let has_range = |dimension: &Dimension| match dimension {
            Dimension::Created => false,
            Dimension::Price => min_price.is_some() || max_price.is_some(),
            Dimension::Date => from.is_some() || to.is_some(),
        };
        let others = [Dimension::Price, Dimension::Date].into_iter();
        let others = others.filter(|other| *other != Dimension::of(*sort)).filter(has_range);
        let lists = others.flat_map(|dimension| {
            let (first, others) = self.lists(dimension);
            [first].into_iter().chain(others)
        });
        let of_word = |term: &&Term| {
            let first = term.beginnings().first().map(|first| format!("^{first}"));
            let word = doc! { "words": { "$regex": first.unwrap_or_default() } };
            let (index, of) = match *scope {
                SearchScope::OnSale => (WORD, doc! { "indexed": true }),
                SearchScope::Seller(seller) => (OWN_WORD, doc! { "userId": seller }),
            };
            List { index, bounds: vec![of, word] }
        };
        let of_words = self.indexed_terms.iter().flatten().take(COMPARED_TERMS).map(of_word);
        lists.chain(of_words).collect()
    }

    /// What every list in the order of a dimension can be filtered by.
    pub fn ranges(&self) -> impl Iterator<Item = Document> {
        let ranges = self.conditions.iter().filter(|condition| condition.dimension.is_some());
        ranges.map(|condition| condition.filter.clone())
    }

    pub fn filter(&self, list: &List, range: Document) -> Document {
        let conditions = self.conditions.iter().map(|condition| condition.filter.clone());
        let scope = match self.search.scope {
            SearchScope::OnSale => doc! {},
            SearchScope::Seller(seller) => doc! { "userId": seller, "deleted": false },
        };
        all_of(list.bounds.iter().cloned().chain(conditions).chain([scope, range]))
    }

    /// Whether the database finds nothing but what matches.
    pub fn filter_is_exact(&self) -> bool {
        let is_exact = |terms: &Vec<&Term>| {
            terms.len() <= FILTERED_TERMS && terms.iter().all(|term| term.is_word())
        };
        let has_exact_terms = match &self.search.terms {
            Some(_) => self.indexed_terms.as_ref().is_some_and(is_exact),
            None => true,
        };
        has_exact_terms && !self.search.names_days()
    }
}

/// The ranges of prices and dates.
fn ranges(search: &Search, now: Time) -> Vec<Condition> {
    let mut all = Vec::new();
    let mut add = |dimension, filter| all.push(Condition { dimension: Some(dimension), filter });
    if search.scope == SearchScope::OnSale {
        add(Dimension::Date, doc! { "onSaleUntil": { "$gte": now } });
    }
    if let Some(min_price) = search.min_price {
        add(Dimension::Price, doc! { "price": { "$gte": min_price.minor() } });
    }
    if let Some(max_price) = search.max_price {
        add(Dimension::Price, doc! { "price": { "$lte": max_price.minor() } });
    }
    if let Some(from) = search.from {
        add(Dimension::Date, doc! { "onSaleUntil": { "$gte": from.earliest() } });
    }
    if let Some(to) = search.to {
        add(Dimension::Date, doc! { "onSaleUntil": { "$lte": to.latest() } });
    }
    if search.from.is_some() || search.to.is_some() {
        // A filter by date excludes undated tickets.
        add(Dimension::Date, doc! { "onSaleUntil": { "$lt": Time::NEVER } });
    }
    all
}

/// Every term is a prefix of one of the words. A term consists of letters and digits alone (`words::Folded`), so it needs no
/// escaping in a regular expression. A ticket whose words were not computed by this version is compared here.
fn words_begin_with(terms: &[&Term], is_indexed: bool) -> Document {
    let beginnings = terms.iter().take(FILTERED_TERMS).flat_map(|term| term.beginnings());
    let prefix = |begin: &str| doc! { "words": { "$regex": format!("^{begin}") } };
    let all = doc! { "$and": beginnings.map(prefix).collect::<Vec<_>>() };
    if is_indexed {
        all
    } else {
        doc! { "$or": [all, { "searchVersion": { "$ne": words::VERSION } }] }
    }
}

pub(super) fn all_of(filters: impl IntoIterator<Item = Document>) -> Document {
    let filters = filters.into_iter().filter(|filter| !filter.is_empty());
    doc! { "$and": filters.collect::<Vec<_>>() }
}
