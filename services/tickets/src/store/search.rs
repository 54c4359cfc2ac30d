//! Pages of lists, read in the order of an index by a bounded scan: what a page costs depends neither on how many tickets
//! there are nor on how many match.
//!
//! An index has a list for each seller, for all that is on sale, and for each prefix of a word, in each order. A page is read
//! in its order from the list that promises the fewest tickets besides those that match: that of its rarest term. If that
//! one is long, a short list of another filter (a word, the prices, the dates) is sorted instead, if there is one. Otherwise
//! the long list is read, [`SCAN`] keys of it for a page, which may then be incomplete: its cursor continues after them.

use std::collections::HashMap;

use bson::{Document, doc};
use common::Time;
use futures::TryStreamExt;
use mongodb::options::Hint;
use store::Result;

use super::indexes::{Dimension, id_of};
use super::plan::{List, Plan, all_of};
use super::position::{Position, between, is_beyond, order, position, position_of_key};
use super::{Store, TicketDocument};
use crate::domain::{Search, Sort, Ticket};

/// How many keys of a list a page reads.
pub const SCAN: u64 = 2000;
/// How many tickets a page sorts …
pub const SHORT: u64 = 1000;
/// … if the index doesn't have what they are sorted by; else it sorts so many keys, and reads the tickets of the first.
pub const SHORT_KEYS: u64 = 3000;
/// How many tickets are read by their ids at once.
const READ_AT_ONCE: usize = 100;
/// Marks the queries that sort. There is a test of that.
const SORTS: &str = "sorts a short list";

/// MongoDB's own index.
const BY_ID: &str = "_id_";

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    pub tickets: Vec<Ticket>,
    /// Where the list continues, if it does. An incomplete page has one, too.
    pub next: Option<Position>,
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
            let range = between(search.sort, list.index, after.as_ref(), None);
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
            let (found, end) = self.sort(&plan, &short, after.as_ref(), wanted).await?;
            tickets.extend(found);
            return Ok(Page::of(search.sort, tickets, limit, end));
        }
        let range = between(search.sort, list.index, after.as_ref(), end.as_ref());
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
        let id = id_of(list.index);
        let keys = self.documents.collection().clone_with_type::<Document>();
        for range in between(sort, list.index, after, None) {
            let found = keys
                .find(all_of(list.bounds.iter().cloned().chain([range])))
                .sort(order(sort, list.index))
                .projection(key_of(sort, list.index))
                .skip(SCAN - 1)
                .limit(1)
                .hint(Hint::Name(list.index.to_owned()))
                .await?;
            let found: Vec<Document> = found.try_collect().await?;
            if let Some(key) = found.first() {
                return Ok(position_of_key(sort, id, key));
            }
        }
        Ok(None)
    }

    /// The shortest list of another filter than the one that the search is sorted by, if it is short.
    async fn short_list(&self, plan: &Plan<'_>) -> Result<Option<List>> {
        let mut best: Option<(u64, List)> = None;
        for list in plan.other_lists() {
            let short = if Dimension::of_index(list.index).is_some() { SHORT_KEYS } else { SHORT };
            let shorter = best.as_ref().map_or(short, |(count, _)| count.saturating_sub(1));
            let at_most = short.min(shorter);
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

    /// The first tickets of a short list that match, in the search's order; and where that ended, if it isn't the end.
    async fn sort(
        &self,
        plan: &Plan<'_>,
        list: &List,
        after: Option<&Position>,
        wanted: usize,
    ) -> Result<(Vec<Ticket>, Option<Position>)> {
        let ranges = between(plan.search.sort, list.index, after, None);
        if Dimension::of_index(list.index).is_none() {
            let filter = plan.filter(list, doc! { "$or": ranges });
            return Ok((self.find_matches(plan, list, filter, wanted).await?, None));
        }
        let keys = self.sort_keys(plan, list, ranges).await?;
        let mut tickets = Vec::new();
        for keys in keys.chunks(READ_AT_ONCE) {
            let mut found = self.find_all(plan, keys).await?;
            let in_order = keys.iter().filter_map(|key| found.remove(&key.id));
            tickets.extend(in_order.take(wanted - tickets.len()));
            if tickets.len() == wanted {
                break;
            }
        }
        let is_cut = u64::try_from(keys.len()).is_ok_and(|count| count == SCAN);
        Ok((tickets, keys.into_iter().next_back().filter(|_| is_cut)))
    }

    /// The first keys of a short list, in the search's order: [`SCAN`] at most. The index has all that this needs, as long as
    /// a filter has no alternatives.
    async fn sort_keys(
        &self,
        plan: &Plan<'_>,
        list: &List,
        ranges: Vec<Document>,
    ) -> Result<Vec<Position>> {
        let sort = plan.search.sort;
        let id = id_of(list.index);
        let collection = self.documents.collection().clone_with_type::<Document>();
        let at_most = usize::try_from(SCAN).unwrap_or(usize::MAX);
        let mut keys = Vec::new();
        for range in ranges {
            let left = at_most - keys.len();
            let found = collection
                .find(all_of(list.bounds.iter().cloned().chain(plan.ranges()).chain([range])))
                .sort(order(sort, list.index))
                .projection(key_of(sort, list.index))
                .limit(i64::try_from(left).unwrap_or(i64::MAX))
                .batch_size(u32::try_from(left).unwrap_or(u32::MAX))
                .comment(SORTS)
                .hint(Hint::Name(list.index.to_owned()))
                .await?;
            let found: Vec<Document> = found.try_collect().await?;
            keys.extend(found.iter().filter_map(|key| position_of_key(sort, id, key)));
            if keys.len() == at_most {
                break;
            }
        }
        Ok(keys)
    }

    /// Those of these tickets that match, by their ids.
    async fn find_all(
        &self,
        plan: &Plan<'_>,
        keys: &[Position],
    ) -> Result<HashMap<String, Ticket>> {
        let ids: Vec<&String> = keys.iter().map(|key| &key.id).collect();
        let list = List { index: BY_ID, bounds: vec![doc! { "_id": { "$in": ids } }] };
        let found = self
            .documents
            .collection()
            .find(plan.filter(&list, doc! {}))
            .projection(unread())
            .hint(Hint::Name(list.index.to_owned()))
            .await?;
        let found = found.map_ok(|TicketDocument(ticket)| ticket);
        let found: Vec<Ticket> = found.try_collect().await?;
        let found = found.into_iter().filter(|ticket| plan.search.includes(ticket, plan.now));
        Ok(found.map(|ticket| (ticket.id.to_string(), ticket)).collect())
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
            .sort(order(plan.search.sort, list.index))
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
        let find =
            collection.find(filter).sort(order(plan.search.sort, list.index)).projection(unread());
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

/// The fields of a position.
fn key_of(sort: Sort, index: &str) -> Document {
    match id_of(index) {
        "_id" => doc! { Dimension::of(sort).field(): 1, "_id": 1 },
        id => doc! { Dimension::of(sort).field(): 1, id: 1, "_id": 0 },
    }
}

/// The fields that no reader needs.
fn unread() -> Document {
    doc! { "uuid": 0, "words": 0, "terms": 0, "listed": 0, "onSaleUntil": 0, "outbox": 0, "requests": 0 }
}
