//! All of the service's MongoDB: the tickets, and their reservations (`reservations`), doors and check-ins (`admissions`).

mod admissions;
mod reservations;
mod sellers;

use std::future::{Future, ready};

use bson::{Bson, Document, doc};
use common::ids::TicketId;
use common::listing::Delivery;
use common::{Clock, Time};
use futures::{StreamExt, TryStreamExt};
use httpkit::idempotency::RequestIdentity;
use httpkit::paging::Cursor;
use mongodb::options::Hint;
use mongodb::{Database, IndexModel};
use serde::{Deserialize, Serialize, Serializer};
use store::{
    Aggregate, Change, Documents, OutboxMessage, Result, StoredResponse, TimedCollection, mongo,
};

use crate::domain::search::words;
use crate::domain::{Door, Reservation, Search, SearchScope, SellerReplica, Sort, Ticket};

/// A ticket as it is stored: with the fields that searches filter and sort by, computed from it at each write.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct TicketDocument(Ticket);

impl Serialize for TicketDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            #[serde(flatten)]
            ticket: &'a Ticket,
            words: Vec<String>,
            listed: bool,
            on_sale_until: Time,
            written_hold: (i64, i64),
        }
        let TicketDocument(ticket) = self;
        let listing = &ticket.listing;
        let venue = listing.venue.as_deref().unwrap_or_default();
        let fields = Fields {
            ticket,
            words: words(&format!("{} {venue}", listing.title)),
            listed: ticket.is_listed(),
            on_sale_until: ticket.on_sale_until(),
            written_hold: (ticket.hold, ticket.hold_version),
        };
        fields.serialize(serializer)
    }
}

impl Aggregate for TicketDocument {
    const COLLECTION: &'static str = "tickets";

    fn id(&self) -> String {
        self.0.id.to_string()
    }

    fn version(&self) -> i64 {
        self.0.version
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        vec![self.0.snapshot_event()]
    }

    fn has_unknown_value(&self) -> bool {
        self.0.listing.delivery == Delivery::Unknown
    }
    fn bump_version(&mut self, by: i64) {
        self.0.version += by;
    }
}

#[derive(Clone)]
pub struct Store {
    documents: Documents<TicketDocument>,
    reservations: Documents<Reservation>,
    doors: Documents<Door>,
    sellers: TimedCollection<SellerReplica>,
    clock: Clock,
}

impl Store {
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let documents = Documents::open(database, clock.clone(), indexes()).await?;
        let live =
            mongo::partial_index("live_of_ticket", doc! { "ticketId": 1 }, doc! { "live": true });
        let reservations = Documents::open(database, clock.clone(), [live]).await?;
        let doors = Documents::open(database, clock.clone(), []).await?;
        let sellers = TimedCollection::new(database, "sellers");
        Ok(Store { documents, reservations, doors, sellers, clock })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            documents: self.documents.in_background(database),
            reservations: self.reservations.in_background(database),
            doors: self.doors.in_background(database),
            sellers: self.sellers.in_background(database),
            clock: self.clock.clone(),
        }
    }

    /// For the relay and the admin commands.
    pub fn documents(&self) -> &Documents<TicketDocument> {
        &self.documents
    }

    /// For the relay and the admin commands.
    pub fn reservations(&self) -> &Documents<Reservation> {
        &self.reservations
    }

    /// The ticket; none if it doesn't exist or was deleted.
    pub async fn ticket(&self, id: TicketId) -> Result<Option<Ticket>> {
        let ticket = self.documents.get(id).await?.map(|TicketDocument(ticket)| ticket);
        Ok(ticket.filter(|ticket| !ticket.deleted))
    }

    /// Runs the work of a request that inserts a ticket, or returns the response that the same request got before.
    pub async fn run_once(
        &self,
        request: &RequestIdentity,
        work: impl Future<Output = httpkit::Result<StoredResponse>>,
    ) -> httpkit::Result<StoredResponse> {
        self.documents.run_once(request, work).await
    }

    /// Stores a new ticket, together with the request that created it and its response.
    pub async fn insert(
        &self,
        request: &RequestIdentity,
        response: &StoredResponse,
        new: Change<Ticket>,
    ) -> Result<()> {
        let Change { thing, events } = document(new);
        self.documents.insert_for(request, response, &thing, &events).await
    }

    /// At most `limit` tickets after the cursor, and whether there are more.
    pub async fn page(
        &self,
        search: &Search,
        now: Time,
        after: Option<&Cursor>,
        limit: i64,
    ) -> Result<(Vec<Ticket>, bool)> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut tickets = Vec::new();
        for range in ranges(search.sort, after) {
            // One more than the page contains shows whether there is a next page.
            let wanted = limit + 1 - tickets.len();
            tickets.extend(self.find(search, now, range, wanted).await?);
            if tickets.len() > limit {
                break;
            }
        }
        let more = tickets.len() > limit;
        tickets.truncate(limit);
        Ok((tickets, more))
    }

    async fn find(
        &self,
        search: &Search,
        now: Time,
        range: Document,
        wanted: usize,
    ) -> Result<Vec<Ticket>> {
        // Which tickets have the right local day is known only after they are read: without a limit, as many batches as
        // it takes.
        let names_days = search.names_days();
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let batch_size = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut all = conditions(search, now);
        all.push(range);
        let mut index = index(search);
        let has_one_term = search.terms.as_ref().is_some_and(|terms| terms.len() == 1);
        if index == WORDS && has_one_term && !names_days {
            index = ID;
            all = vec![doc! { "_id": { "$in": self.first(search, all, wanted).await? } }];
        }
        let collection = self.documents.collection();
        let find = collection.find(doc! { "$and": all }).sort(order(search.sort)).projection(
            doc! { "words": 0, "listed": 0, "onSaleUntil": 0, "outbox": 0, "requests": 0 },
        );
        let find = if names_days { find.batch_size(batch_size) } else { find.limit(limit) };
        let found = find.hint(Hint::Name(index.to_owned())).await?;
        let tickets = found.map_ok(|TicketDocument(ticket)| ticket);
        let tickets = tickets.try_filter(|ticket| ready(search.includes_day_of(ticket)));
        Ok(tickets.take(wanted).try_collect().await?)
    }

    /// The ids of the first tickets that match. The index has all that this query needs, so it fetches no document,
    /// however many tickets have the word.
    async fn first(&self, search: &Search, all: Vec<Document>, wanted: usize) -> Result<Vec<Bson>> {
        let mut needed = order(search.sort);
        needed.insert("_id", 1);
        let needed =
            needed.into_iter().map(|(name, _)| (name, Bson::from(1))).collect::<Document>();
        let found = self
            .documents
            .collection()
            .clone_with_type::<Document>()
            .find(doc! { "$and": all })
            .sort(order(search.sort))
            .projection(needed)
            .hint(Hint::Name(WORDS.to_owned()))
            .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
            .await?;
        let ids = found.map_ok(|mut found| found.remove("_id").unwrap_or(Bson::Null));
        Ok(ids.try_collect().await?)
    }
}

fn document(change: Change<Ticket>) -> Change<TicketDocument> {
    Change { thing: TicketDocument(change.thing), events: change.events }
}

/// One index for each order of each list. The filtered fields come last in them, so that the index alone determines which
/// documents to fetch.
fn indexes() -> [IndexModel; 8] {
    let on_sale = |name: &str, order: Document| {
        let mut keys = doc! { "listed": 1 };
        keys.extend(order);
        for filtered in ["onSaleUntil", "price"] {
            if !keys.contains_key(filtered) {
                keys.insert(filtered, 1);
            }
        }
        mongo::index(name, keys)
    };
    let mine = |name: &str, order: Document| {
        let mut keys = doc! { "userId": 1, "deleted": 1 };
        keys.extend(order);
        mongo::index(name, keys)
    };
    // All keys that a list is sorted by.
    let by_word = doc! {
        "listed": 1, "words": 1, "onSaleUntil": 1, "price": 1, "createdAt": 1, "_id": 1,
    };
    [
        on_sale("newest", order(Sort::Newest)),
        on_sale("cheapest", order(Sort::Cheapest)),
        on_sale("soonest", order(Sort::Soonest)),
        mongo::index(WORDS, by_word),
        mine("mine_newest", order(Sort::Newest)),
        mine("mine_cheapest", order(Sort::Cheapest)),
        mine("mine_soonest", order(Sort::Soonest)),
        mongo::partial_index("dirty", doc! { "dirty": 1 }, doc! { "dirty": true }),
    ]
}

/// The index of the tickets on sale by their words. (Versions before had another one, `words`.)
const WORDS: &str = "by_word";
/// MongoDB's own index.
const ID: &str = "_id_";

/// The index that a list is read from. Words match few tickets, which are sorted afterwards: by the index alone if there is
/// one word, else as documents, as many as have one of the words. All other lists are read in their order: left to choose,
/// the planner may fetch whatever matches a filter, and sort that.
fn index(search: &Search) -> &'static str {
    match (search.scope, &search.terms, search.sort) {
        (SearchScope::OnSale, Some(_), _) => WORDS,
        (SearchScope::OnSale, None, Sort::Newest) => "newest",
        (SearchScope::OnSale, None, Sort::Cheapest | Sort::MostExpensive) => "cheapest",
        (SearchScope::OnSale, None, Sort::Soonest) => "soonest",
        (SearchScope::Seller(_), _, Sort::Newest) => "mine_newest",
        (SearchScope::Seller(_), _, Sort::Cheapest | Sort::MostExpensive) => "mine_cheapest",
        (SearchScope::Seller(_), _, Sort::Soonest) => "mine_soonest",
    }
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

fn conditions(search: &Search, now: Time) -> Vec<Document> {
    let mut all = match search.scope {
        SearchScope::OnSale => vec![doc! { "listed": true, "onSaleUntil": { "$gte": now } }],
        SearchScope::Seller(seller) => vec![doc! { "userId": seller, "deleted": false }],
    };
    if let Some(terms) = &search.terms {
        all.push(words_begin_with(terms));
    }
    if let Some(min_price) = search.min_price {
        all.push(doc! { "price": { "$gte": min_price.minor() } });
    }
    if let Some(max_price) = search.max_price {
        all.push(doc! { "price": { "$lte": max_price.minor() } });
    }
    if let Some(from) = search.from {
        all.push(doc! { "onSaleUntil": { "$gte": from.earliest() } });
    }
    if let Some(to) = search.to {
        all.push(doc! { "onSaleUntil": { "$lte": to.latest() } });
    }
    if search.from.is_some() || search.to.is_some() {
        // A filter by date excludes undated tickets.
        all.push(doc! { "onSaleUntil": { "$lt": Time::NEVER } });
    }
    all
}

/// Every term is a prefix of one of the words. A term consists of letters and digits alone (`search::words`), so it needs
/// no escaping in a regular expression; anchored, it is a range of the index.
fn words_begin_with(terms: &[String]) -> Document {
    if terms.is_empty() {
        // The query has neither letters nor digits: nothing matches it.
        return doc! { "words": { "$in": [] } };
    }
    let prefix = |term: &String| doc! { "words": { "$regex": format!("^{term}") } };
    doc! { "$and": terms.iter().map(prefix).collect::<Vec<_>>() }
}

/// What comes after the cursor's ticket in the list's order: first the same sort key with a later id, then the keys beyond
/// it. Two queries, because each is one range of the index; a single one would make the database scan everything of that
/// key again.
fn ranges(sort: Sort, after: Option<&Cursor>) -> Vec<Document> {
    let Some(cursor) = after else { return vec![doc! {}] };
    let (name, key): (&str, Bson) = match sort {
        Sort::Newest => ("createdAt", Time::from_millis(cursor.key).into()),
        Sort::Cheapest | Sort::MostExpensive => ("price", cursor.key.into()),
        Sort::Soonest => ("onSaleUntil", Time::from_millis(cursor.key).into()),
    };
    let beyond = match sort {
        Sort::Newest | Sort::MostExpensive => "$lt",
        Sort::Cheapest | Sort::Soonest => "$gt",
    };
    let same_key = doc! { name: key.clone(), "_id": { beyond: &cursor.id } };
    vec![same_key, doc! { name: { beyond: key } }]
}
