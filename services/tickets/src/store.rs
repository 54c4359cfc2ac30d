//! All of the service's MongoDB: one collection, a document a ticket.

use std::future::Future;

use bson::{Bson, Document, doc};
use bus::Failure;
use common::events::Order;
use common::ids::TicketId;
use common::{Clock, Time};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use httpkit::paging::Cursor;
use httpkit::{Error, Result};
use mongodb::options::{FindOptions, Hint};
use mongodb::{Database, IndexModel};
use serde::{Deserialize, Serialize, Serializer};
use store::{Aggregate, Change, Documents, OutboxMessage, StoredResponse, mongo};

use crate::domain::Ticket;
use crate::search::{Search, Sort, Whose, words};

/// A ticket as it is stored: with what it is found and sorted by, computed from it at each write.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Stored(Ticket);

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            #[serde(flatten)]
            ticket: &'a Ticket,
            words: Vec<String>,
            listed: bool,
            on_sale_until: Time,
        }
        let Stored(ticket) = self;
        let listing = &ticket.listing;
        let venue = listing.venue.as_deref().unwrap_or_default();
        let fields = Fields {
            ticket,
            words: words(&format!("{} {venue}", listing.title)),
            listed: ticket.is_listed(),
            on_sale_until: ticket.on_sale_until(),
        };
        fields.serialize(serializer)
    }
}

impl Aggregate for Stored {
    const COLLECTION: &'static str = "tickets";

    fn id(&self) -> String {
        self.0.id.to_string()
    }

    fn version(&self) -> i64 {
        self.0.version
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        vec![self.0.retelling()]
    }

    fn bump_version(&mut self, by: i64) {
        self.0.version += by;
    }
}

#[derive(Clone)]
pub struct Store {
    pub tickets: Documents<Stored>,
}

impl Store {
    pub async fn open(database: &Database, clock: Clock) -> anyhow::Result<Self> {
        Ok(Store { tickets: Documents::open(database, clock, indexes()).await? })
    }

    /// The ticket, if there is one that isn't deleted; else 404.
    pub async fn ticket(&self, id: TicketId) -> Result<Ticket> {
        let ticket = self.tickets.get(id).await?.map(|Stored(ticket)| ticket);
        ticket.filter(|ticket| !ticket.deleted).ok_or_else(no_such_ticket)
    }

    /// Does the work of a request that offers a ticket, or gives the answer that it got before.
    pub async fn run_once(
        &self,
        key: &RequestIdentity,
        work: impl Future<Output = Result<StoredResponse>>,
    ) -> Result<StoredResponse> {
        self.tickets.run_once(key, work).await
    }

    pub async fn insert(
        &self,
        key: &RequestIdentity,
        answer: &StoredResponse,
        new: Change<Ticket>,
    ) -> Result<()> {
        let Change { thing, events } = stored(new);
        Ok(self.tickets.insert_for(key, answer, &thing, &events).await?)
    }

    /// Changes a ticket as `decide` says, which is asked again if others change it meanwhile.
    pub async fn change(
        &self,
        id: TicketId,
        decide: impl Fn(&Ticket) -> Result<Change<Ticket>>,
    ) -> Result<Ticket> {
        let decide = |Stored(ticket): &Stored| match ticket.deleted {
            true => Err(no_such_ticket()),
            false => Ok(Some(stored(decide(ticket)?))),
        };
        let changed = self.tickets.change(id, decide).await?;
        changed.map(|Stored(ticket)| ticket).ok_or_else(no_such_ticket)
    }

    /// Makes of the ticket what the order's event says. None: no such ticket was ever here.
    pub async fn follow(&self, order: &Order) -> Result<Option<Ticket>, Failure> {
        let decide = |Stored(ticket): &Stored| Ok(ticket.follow(order).map(stored));
        let changed = self.tickets.change::<Failure>(order.ticket.id, decide).await?;
        Ok(changed.map(|Stored(ticket)| ticket))
    }

    /// At most `limit` tickets that come after the cursor's, and whether there are more.
    pub async fn page(
        &self,
        search: &Search,
        now: Time,
        after: Option<&Cursor>,
        limit: i64,
    ) -> Result<(Vec<Ticket>, bool)> {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut tickets = Vec::new();
        for range in ranges(search.sort, after) {
            // One more than is shown, to know whether there is one.
            let wanted = shown + 1 - tickets.len();
            tickets.extend(self.find(search, now, range, wanted).await?);
            if tickets.len() > shown {
                break;
            }
        }
        let more = tickets.len() > shown;
        tickets.truncate(shown);
        Ok((tickets, more))
    }

    async fn find(
        &self,
        search: &Search,
        now: Time,
        range: Document,
        wanted: usize,
    ) -> store::Result<Vec<Ticket>> {
        let options = FindOptions::builder()
            .sort(order(search.sort))
            .hint(hint(search))
            .projection(
                doc! { "words": 0, "listed": 0, "onSaleUntil": 0, "outbox": 0, "requests": 0 },
            )
            .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
            .build();
        let mut all = conditions(search, now);
        all.push(range);
        let collection = self.tickets.collection();
        let found = collection.find(doc! { "$and": all }).with_options(options).await?;
        Ok(found.map_ok(|Stored(ticket)| ticket).try_collect().await?)
    }
}

fn stored(change: Change<Ticket>) -> Change<Stored> {
    Change { thing: Stored(change.thing), events: change.events }
}

/// A deleted ticket is none, for all.
fn no_such_ticket() -> Error {
    Error::not_found("ticket")
}

/// One index for each order of each list. What a list is narrowed to comes last in them, so that the
/// index alone tells which documents to fetch.
fn indexes() -> [IndexModel; 7] {
    let on_sale = |name: &str, order: Document| {
        let mut keys = doc! { "listed": 1 };
        keys.extend(order);
        for narrowed in ["onSaleUntil", "price"] {
            if !keys.contains_key(narrowed) {
                keys.insert(narrowed, 1);
            }
        }
        mongo::index(name, keys)
    };
    let mine = |name: &str, order: Document| {
        let mut keys = doc! { "userId": 1, "deleted": 1 };
        keys.extend(order);
        mongo::index(name, keys)
    };
    [
        on_sale("newest", order(Sort::Newest)),
        on_sale("cheapest", order(Sort::Cheapest)),
        on_sale("soonest", order(Sort::Soonest)),
        on_sale(WORDS, doc! { "words": 1 }),
        mine("mine_newest", order(Sort::Newest)),
        mine("mine_cheapest", order(Sort::Cheapest)),
        mine("mine_soonest", order(Sort::Soonest)),
    ]
}

/// The index that finds what is on sale by its words.
const WORDS: &str = "words";

/// Words find few tickets, which are sorted then. Without the hint the planner may walk all that is on
/// sale in the list's order, to be spared the sorting.
fn hint(search: &Search) -> Option<Hint> {
    match (search.whose, &search.terms) {
        (Whose::OnSale, Some(_)) => Some(Hint::Name(WORDS.to_owned())),
        (Whose::OnSale, None) | (Whose::Of(_), _) => None,
    }
}

/// The list's order, with the id as tie-break. What is dearest is the cheapest, read backwards.
fn order(sort: Sort) -> Document {
    match sort {
        Sort::Newest => doc! { "createdAt": -1, "_id": -1 },
        Sort::Cheapest => doc! { "price": 1, "_id": 1 },
        Sort::Dearest => doc! { "price": -1, "_id": -1 },
        Sort::Soonest => doc! { "onSaleUntil": 1, "_id": 1 },
    }
}

fn conditions(search: &Search, now: Time) -> Vec<Document> {
    let mut all = match search.whose {
        Whose::OnSale => vec![doc! { "listed": true, "onSaleUntil": { "$gte": now } }],
        Whose::Of(seller) => vec![doc! { "userId": seller, "deleted": false }],
    };
    if let Some(terms) = &search.terms {
        all.push(words_begin_with(terms));
    }
    if let Some(least) = search.min_price {
        all.push(doc! { "price": { "$gte": least } });
    }
    if let Some(most) = search.max_price {
        all.push(doc! { "price": { "$lte": most } });
    }
    if let Some(from) = search.from {
        all.push(doc! { "onSaleUntil": { "$gte": from } });
    }
    if let Some(to) = search.to {
        all.push(doc! { "onSaleUntil": { "$lte": to } });
    }
    if search.from.is_some() || search.to.is_some() {
        // Who asks for a time doesn't ask for what has none.
        all.push(doc! { "onSaleUntil": { "$lt": Time::NEVER } });
    }
    all
}

/// Every term begins one of the words. A term is letters and digits alone (`search::words`), so it is
/// a regular expression as it stands; anchored, it is a range of the index.
fn words_begin_with(terms: &[String]) -> Document {
    if terms.is_empty() {
        // Something was searched for that has no letters: nothing can be found by it.
        return doc! { "words": { "$in": [] } };
    }
    let begins = |term: &String| doc! { "words": { "$regex": format!("^{term}") } };
    doc! { "$and": terms.iter().map(begins).collect::<Vec<_>>() }
}

/// What stands after the cursor's ticket, in the list's order: those of the same key with a later id,
/// then those beyond the key. They are asked for one after the other, as each is one range of the
/// index; of a query for both, the database would read again all that was shown of that key.
fn ranges(sort: Sort, after: Option<&Cursor>) -> Vec<Document> {
    let Some(cursor) = after else { return vec![doc! {}] };
    let (name, key): (&str, Bson) = match sort {
        Sort::Newest => ("createdAt", Time::from_millis(cursor.key).into()),
        Sort::Cheapest | Sort::Dearest => ("price", cursor.key.into()),
        Sort::Soonest => ("onSaleUntil", Time::from_millis(cursor.key).into()),
    };
    let beyond = match sort {
        Sort::Newest | Sort::Dearest => "$lt",
        Sort::Cheapest | Sort::Soonest => "$gt",
    };
    let same_key = doc! { name: key.clone(), "_id": { beyond: &cursor.id } };
    vec![same_key, doc! { name: { beyond: key } }]
}
