//! All of the service's MongoDB: the tickets, and their reservations (`reservations`), doors and check-ins (`admissions`).

mod admissions;
mod indexes;
mod plan;
mod position;
mod reservations;
mod search;
mod search_fields;
mod search_index;
mod sellers;

use std::future::Future;
use std::sync::Arc;

use bson::{Binary, doc};
use common::ids::TicketId;
use common::listing::Delivery;
use common::{Clock, Time};
use httpkit::idempotency::RequestIdentity;
use mongodb::Database;
use serde::{Deserialize, Serialize, Serializer};
use store::{
    Aggregate, Change, Documents, OutboxMessage, Result, StoredResponse, TimedCollection, mongo,
};

pub use self::position::Position;
pub use self::search::{Page, SCAN, SHORT, SHORT_KEYS};
use self::search_fields::{SearchFields, SearchIndex};
use crate::domain::{Door, Reservation, SellerReplica, Ticket, words};

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
            uuid: Binary,
            words: Vec<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            terms: Option<Vec<String>>,
            /// Whether it has terms.
            #[serde(skip_serializing_if = "Option::is_none")]
            indexed: Option<bool>,
            search_version: i64,
            /// The edit that the words are of.
            searched_edit: i64,
            listed: bool,
            on_sale_until: Time,
            /// These three say nothing; but replicas of the previous version can't read a ticket without.
            hold: i64,
            hold_version: i64,
            written_hold: (i64, i64),
        }
        let TicketDocument(ticket) = self;
        let SearchFields { words, terms } = SearchFields::of(ticket);
        let fields = Fields {
            ticket,
            uuid: position::uuid(ticket.id),
            words,
            indexed: terms.as_ref().map(|_| ticket.is_listed()),
            terms,
            search_version: words::VERSION,
            searched_edit: ticket.edited_version,
            listed: ticket.is_listed(),
            on_sale_until: ticket.on_sale_until(),
            hold: 0,
            hold_version: 0,
            written_hold: (0, 0),
        };
        fields.serialize(serializer)
    }
}

impl From<Ticket> for TicketDocument {
    fn from(ticket: Ticket) -> Self {
        TicketDocument(ticket)
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

/// What has changed of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is new, or different, or gone.
    Listing,
    /// How many of its places are left.
    Summary,
}

/// Is called before each write that readers can see; what it returns is dropped after that.
pub type OnChange = Arc<dyn Fn(TicketId, Changed) -> Box<dyn Send> + Send + Sync>;

#[derive(Clone)]
pub struct Store {
    documents: Documents<TicketDocument>,
    reservations: Documents<Reservation>,
    doors: Documents<Door>,
    search_index: SearchIndex,
    sellers: TimedCollection<SellerReplica>,
    clock: Clock,
    on_change: OnChange,
}

impl Store {
    pub async fn open(database: &Database, clock: Clock, on_change: OnChange) -> Result<Self> {
        let documents = Documents::open(database, clock.clone(), indexes::indexes()).await?;
        let live =
            mongo::partial_index("live_of_ticket", doc! { "ticketId": 1 }, doc! { "live": true });
        let checked_in = mongo::partial_index(
            "checked_in",
            doc! { "checkIns.place": 1 },
            doc! { "checkIns.place": { "$exists": true } },
        );
        let reservations = Documents::open(database, clock.clone(), [live, checked_in]).await?;
        let doors = Documents::open(database, clock.clone(), []).await?;
        let search_index = SearchIndex::default();
        let sellers = TimedCollection::new(database, "sellers");
        Ok(Store { documents, reservations, doors, search_index, sellers, clock, on_change })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            documents: self.documents.in_background(database),
            reservations: self.reservations.in_background(database),
            doors: self.doors.in_background(database),
            search_index: self.search_index.clone(),
            sellers: self.sellers.in_background(database),
            clock: self.clock.clone(),
            on_change: Arc::clone(&self.on_change),
        }
    }

    /// The same store, which says nothing of its changes.
    pub fn silent(&self) -> Self {
        Store { on_change: Arc::new(|_, _| Box::new(())), ..self.clone() }
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
        let id = new.thing.id;
        let Change { thing, events } = document(new);
        let _changing = (self.on_change)(id, Changed::Listing);
        self.documents.insert_for(request, response, &thing, &events).await
    }
}

fn document(change: Change<Ticket>) -> Change<TicketDocument> {
    Change { thing: TicketDocument(change.thing), events: change.events }
}
