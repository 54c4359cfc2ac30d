//! Pages of lists, read in the order of an index by a bounded scan: what a page costs depends neither on how many tickets
//! there are nor on how many match.
//!
//! An index has a list for each seller, for all that is on sale, and for each prefix of a word, in each order. A page is read
//! in its order from the list that promises the fewest tickets besides those that match: that of its rarest term. If that
//! one is long, a short list of another filter (the prices, the dates) is sorted instead, if there is one. Otherwise the long
//! list is read, [`SCAN`] keys of it for a page, which may then be incomplete: its cursor continues after them.

use bson::{Bson, Document, doc};
use common::Time;
use futures::TryStreamExt;
use mongodb::options::Hint;
use store::Result;

use super::indexes::{Dimension, OWN_WORD, on_sale_index, own_index, term_index};
use super::{Store, TicketDocument};
use crate::domain::words;
use crate::domain::{Search, SearchScope, Sort, Term, Ticket};

/// How many keys of a list a page reads.
pub const SCAN: u64 = 2000;
/// How many tickets a page sorts.
pub const SHORT: u64 = 1000;
/// Of how many of its terms a query compares the lists. The longest are the rarest, as a rule.
const COMPARED_TERMS: usize = 3;
/// How many terms the database compares. The others are compared here.
const FILTERED_TERMS: usize = 8;
/// Marks the queries that sort. There is a test of that.
const SORTS: &str = "sorts a short list";

/// A place in a list: after the ticket with this sort key and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// In its own unit: cents, or milliseconds.
    pub key: i64,
    pub id: String,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    pub tickets: Vec<Ticket>,
    /// Where the list continues, if it does. An incomplete page has one, too.
    pub next: Option<Position>,
}

/// A range of an index, whose keys are in the order of its dimension.
#[derive(Clone, Debug)]
struct List {
    index: &'static str,
    bounds: Vec<Document>,
}

/// What a ticket must satisfy beyond being in a list.
#[derive(Clone, Debug)]
struct Condition {
    /// A list that is in the order of this dimension has it as a range.
    dimension: Option<Dimension>,
    filter: Document,
}

/// A search at a certain time, and how it is read.
struct Plan<'a> {
    search: &'a Search,
    now: Time,
    /// Its terms, the longest first, if lists of terms have every ticket.
    indexed_terms: Option<Vec<&'a Term>>,
    conditions: Vec<Condition>,
}

impl Store {
    /// At most `limit` tickets after the position, and where the next page begins.
    pub async fn page(
        &self,
        search: &Search,
        now: Time,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if search.terms.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page { tickets: Vec::new(), next: None });
        }
        let plan = Plan::of(search, now, self.search_index.is_complete());
        // One more than the page contains shows whether there is a next page.
        let wanted = limit + 1;
        let mut after = after;
        let mut tickets = Vec::new();
        if let Some(list) = plan.list_of_matches() {
            let range = between(search.sort, after.as_ref(), None);
            let read = self.read(&plan, &list, &range, wanted).await?;
            let is_end = read.len() < wanted;
            let last = read.last().map(|last| position(search.sort, last));
            tickets.extend(read.into_iter().filter(|ticket| search.includes(ticket, now)));
            if is_end || tickets.len() == wanted {
                return Ok(Page::of(search.sort, tickets, limit, None));
            }
            after = last.or(after);
        }
        let wanted = wanted - tickets.len();
        let (list, end) = self.shortest(&plan, after.as_ref()).await?;
        if end.is_some()
            && let Some(short) = self.short_list(&plan).await?
        {
            tickets.extend(self.sort(&plan, &short, after.as_ref(), wanted).await?);
            return Ok(Page::of(search.sort, tickets, limit, None));
        }
        let range = between(search.sort, after.as_ref(), end.as_ref());
        tickets.extend(self.read_matches(&plan, &list, &range, wanted).await?);
        Ok(Page::of(search.sort, tickets, limit, end))
    }

    /// Of the lists in the search's order, one that ends within [`SCAN`] keys, else the one of which so many keys extend
    /// farthest; and which key that is.
    async fn shortest(
        &self,
        plan: &Plan<'_>,
        after: Option<&Position>,
    ) -> Result<(List, Option<Position>)> {
        let sort = plan.search.sort;
        let (first, others) = plan.lists(Dimension::of(sort));
        let mut best = (self.end(plan, &first, after).await?, first);
        for list in others {
            let Some(farthest) = &best.0 else { break };
            let end = self.end(plan, &list, after).await?;
            if end.as_ref().is_none_or(|end| is_beyond(sort, end, farthest)) {
                best = (end, list);
            }
        }
        Ok((best.1, best.0))
    }

    /// The last of the next [`SCAN`] keys of a list; none if there aren't so many.
    async fn end(
        &self,
        plan: &Plan<'_>,
        list: &List,
        after: Option<&Position>,
    ) -> Result<Option<Position>> {
        let sort = plan.search.sort;
        let field = Dimension::of(sort).field();
        let keys = self.documents.collection().clone_with_type::<Document>();
        for range in between(sort, after, None) {
            let found = keys
                .find(all_of(list.bounds.iter().cloned().chain([range])))
                .sort(order(sort))
                .projection(doc! { field: 1, "_id": 1 })
                .skip(SCAN - 1)
                .limit(1)
                .hint(Hint::Name(list.index.to_owned()))
                .await?;
            let found: Vec<Document> = found.try_collect().await?;
            if let Some(key) = found.first() {
                return Ok(position_of_key(sort, key));
            }
        }
        Ok(None)
    }

    /// The shortest list of another filter than the one that the search is sorted by, if it is short.
    async fn short_list(&self, plan: &Plan<'_>) -> Result<Option<List>> {
        let mut best: Option<(u64, List)> = None;
        for list in plan.other_lists() {
            let at_most = best.as_ref().map_or(SHORT, |(count, _)| count.saturating_sub(1));
            let count = self
                .documents
                .collection()
                .count_documents(all_of(list.bounds.clone()))
                .limit(at_most + 1)
                .hint(Hint::Name(list.index.to_owned()))
                .await?;
            if count <= at_most {
                best = Some((count, list));
            }
        }
        Ok(best.map(|(_, list)| list))
    }

    /// The tickets of a list, whether they match or not.
    async fn read(
        &self,
        plan: &Plan<'_>,
        list: &List,
        ranges: &[Document],
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        let mut tickets = Vec::new();
        for range in ranges {
            let filter = all_of(list.bounds.iter().cloned().chain([range.clone()]));
            let found = self.find(plan, list, filter, wanted - tickets.len()).await?;
            tickets.extend(found);
            if tickets.len() == wanted {
                break;
            }
        }
        Ok(tickets)
    }

    /// The tickets of a list that match.
    async fn read_matches(
        &self,
        plan: &Plan<'_>,
        list: &List,
        ranges: &[Document],
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        let mut tickets = Vec::new();
        for range in ranges {
            let filter = plan.filter(list, range.clone());
            tickets.extend(self.find_matches(plan, list, filter, wanted - tickets.len()).await?);
            if tickets.len() == wanted {
                break;
            }
        }
        Ok(tickets)
    }

    /// The tickets of a short list that match, sorted.
    async fn sort(
        &self,
        plan: &Plan<'_>,
        list: &List,
        after: Option<&Position>,
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        let ranges = between(plan.search.sort, after, None);
        self.find_matches(plan, list, plan.filter(list, doc! { "$or": ranges }), wanted).await
    }

    async fn find(
        &self,
        plan: &Plan<'_>,
        list: &List,
        filter: Document,
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        let collection = self.documents.collection();
        let found = collection
            .find(filter)
            .sort(order(plan.search.sort))
            .projection(unread())
            .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
            .hint(Hint::Name(list.index.to_owned()))
            .await?;
        Ok(found.map_ok(|TicketDocument(ticket)| ticket).try_collect().await?)
    }

    async fn find_matches(
        &self,
        plan: &Plan<'_>,
        list: &List,
        filter: Document,
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        let collection = self.documents.collection();
        let find = collection.find(filter).sort(order(plan.search.sort)).projection(unread());
        // What the filter can't say is known only after the tickets are read: without a limit, as many batches as it takes.
        let find = if plan.filter_is_exact() {
            find.limit(i64::try_from(wanted).unwrap_or(i64::MAX))
        } else {
            find.batch_size(u32::try_from(wanted).unwrap_or(u32::MAX))
        };
        let is_sorted = Dimension::of_index(list.index) != Some(Dimension::of(plan.search.sort));
        let find = if is_sorted { find.comment(SORTS) } else { find };
        let mut found = find.hint(Hint::Name(list.index.to_owned())).await?;
        let mut tickets = Vec::new();
        while tickets.len() < wanted
            && let Some(TicketDocument(ticket)) = found.try_next().await?
        {
            if plan.search.includes(&ticket, plan.now) {
                tickets.push(ticket);
            }
        }
        Ok(tickets)
    }
}

impl Page {
    /// Of tickets that are one more than the page has, if there are so many; `end` is where the scan ended.
    fn of(sort: Sort, mut tickets: Vec<Ticket>, limit: usize, end: Option<Position>) -> Page {
        let next = if tickets.len() > limit {
            tickets.truncate(limit);
            tickets.last().map(|last| position(sort, last))
        } else {
            end
        };
        Page { tickets, next }
    }
}

impl<'a> Plan<'a> {
    fn of(search: &'a Search, now: Time, is_indexed: bool) -> Self {
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

    /// A list in the search's order of which nearly everything matches: few words have a longer term's prefix in common.
    fn list_of_matches(&self) -> Option<List> {
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
    fn lists(&self, dimension: Dimension) -> (List, Vec<List>) {
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
                let list = |indexed: &str| {
                    let bounds = bounds(doc! { "terms": indexed });
                    List { index: term_index(dimension), bounds }
                };
                let terms = self.indexed_terms.iter().flatten();
                let mut lists =
                    terms.flat_map(|term| term.indexed()).take(COMPARED_TERMS).map(list);
                let all = || List {
                    index: on_sale_index(dimension),
                    bounds: bounds(doc! { "listed": true }),
                };
                (lists.next().unwrap_or_else(all), lists.collect())
            }
        }
    }

    /// The lists of the filters that the search isn't sorted by.
    fn other_lists(&self) -> Vec<List> {
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
        let of_word = |seller, term: &&Term| List {
            index: OWN_WORD,
            bounds: term
                .beginnings()
                .first()
                .map(|first| doc! { "userId": seller, "words": { "$regex": format!("^{first}") } })
                .into_iter()
                .collect(),
        };
        let terms = self.indexed_terms.iter().flatten().take(COMPARED_TERMS);
        let of_words: Vec<List> = match *scope {
            SearchScope::OnSale => Vec::new(),
            SearchScope::Seller(seller) => terms.map(|term| of_word(seller, term)).collect(),
        };
        lists.chain(of_words).collect()
    }

    fn filter(&self, list: &List, range: Document) -> Document {
        let conditions = self.conditions.iter().map(|condition| condition.filter.clone());
        let scope = match self.search.scope {
            SearchScope::OnSale => doc! {},
            SearchScope::Seller(seller) => doc! { "userId": seller, "deleted": false },
        };
        all_of(list.bounds.iter().cloned().chain(conditions).chain([scope, range]))
    }

    /// Whether the database finds nothing but what matches.
    fn filter_is_exact(&self) -> bool {
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

/// The ranges of a list after one position, up to and with another one, in its order. A position is a key and an id: each
/// range has one of the two fixed, so that it is one range of the index, too.
fn between(sort: Sort, after: Option<&Position>, until: Option<&Position>) -> Vec<Document> {
    let field = Dimension::of(sort).field();
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
            doc! { field: key(after), "_id": { beyond: &after.id } },
            doc! { field: { beyond: key(after) } },
        ],
        (None, Some(until)) => vec![
            doc! { field: { before: key(until) } },
            doc! { field: key(until), "_id": { up_to: &until.id } },
        ],
        (Some(after), Some(until)) if after.key == until.key => {
            vec![doc! { field: key(after), "_id": { beyond: &after.id, up_to: &until.id } }]
        }
        (Some(after), Some(until)) => vec![
            doc! { field: key(after), "_id": { beyond: &after.id } },
            doc! { field: { beyond: key(after), before: key(until) } },
            doc! { field: key(until), "_id": { up_to: &until.id } },
        ],
    }
}

fn is_beyond(sort: Sort, one: &Position, other: &Position) -> bool {
    let (one, other) = ((one.key, &one.id), (other.key, &other.id));
    match sort {
        Sort::Newest | Sort::MostExpensive => one < other,
        Sort::Cheapest | Sort::Soonest => one > other,
    }
}

fn position(sort: Sort, ticket: &Ticket) -> Position {
    Position { key: sort.key(ticket), id: ticket.id.to_string() }
}

fn position_of_key(sort: Sort, key: &Document) -> Option<Position> {
    let field = Dimension::of(sort).field();
    let number = match Dimension::of(sort) {
        Dimension::Created | Dimension::Date => key.get_datetime(field).ok()?.timestamp_millis(),
        Dimension::Price => key.get_i64(field).ok()?,
    };
    Some(Position { key: number, id: key.get_str("_id").ok()?.to_owned() })
}

/// The list's order, with the id as tie-break. The most expensive first is the index of the cheapest, read backwards.
fn order(sort: Sort) -> Document {
    match sort {
        Sort::Newest => doc! { "createdAt": -1, "_id": -1 },
        Sort::Cheapest => doc! { "price": 1, "_id": 1 },
        Sort::MostExpensive => doc! { "price": -1, "_id": -1 },
        Sort::Soonest => doc! { "onSaleUntil": 1, "_id": 1 },
    }
}

fn all_of(filters: impl IntoIterator<Item = Document>) -> Document {
    let filters = filters.into_iter().filter(|filter| !filter.is_empty());
    doc! { "$and": filters.collect::<Vec<_>>() }
}

/// The fields that no reader needs.
fn unread() -> Document {
    doc! { "words": 0, "terms": 0, "listed": 0, "onSaleUntil": 0, "outbox": 0, "requests": 0 }
}
