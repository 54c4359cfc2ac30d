//! The settings of the service, and the state that its handlers, listeners and background tasks share.

use std::sync::Arc;

use admissions::AdmissionSettings;
use axum::extract::FromRef;
use clap::{Args, Parser};
use common::Clock;
use common::ids::TicketId;
use common::settings::{MarketSettings, VerificationSettings};
use httpkit::Turns;
use httpkit::settings::ServerSettings;
use httpkit::shared_reads::{Digest, SharedReads};
use service::{ContextSettings, HttpState, ServiceContext};

use crate::store::{Changed, Store};
use crate::view::Shown;

/// Tickets for sale: listing, searching, editing and deleting them.
#[derive(Clone, Debug, Parser)]
#[command(name = "tickets")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub admissions: AdmissionSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// The settings of the state alone; an admin command needs no others.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,
    #[command(flatten)]
    pub market: MarketSettings,
    #[command(flatten)]
    pub verification: VerificationSettings,
}

/// How many pages of lists are read at once: one may have two megabytes of descriptions.
const CONCURRENT_LISTS: usize = 8;

/// What the responses take that are shared, in bytes.
const SHARED_TICKETS: usize = 2 * 1024 * 1024;
const SHARED_LISTS: usize = 4 * 1024 * 1024;

/// What anyone may see, as requests share it.
pub struct Shared {
    pub tickets: SharedReads<TicketId, Shown>,
    pub lists: SharedReads<Digest, Shown>,
}

impl Shared {
    fn new(clock: &Clock) -> Self {
        Shared {
            tickets: SharedReads::new("tickets", SHARED_TICKETS, clock.clone()),
            lists: SharedReads::new("lists", SHARED_LISTS, clock.clone()),
        }
    }

    /// Who changes a listing sees it in every list at once. How many of its places are left may be shown a second late there:
    /// in a rush, that changes with every request.
    fn end_change(&self, id: TicketId, changed: Changed) {
        self.tickets.end_change(&id);
        match changed {
            Changed::Listing => self.lists.forget_all(),
            Changed::Summary => {}
        }
    }
}

/// A change of a ticket that is being written. Dropped after that, also if it has failed: it may have been done.
struct Changing {
    shared: Arc<Shared>,
    id: TicketId,
    changed: Changed,
}

impl Changing {
    fn begin(shared: &Arc<Shared>, id: TicketId, changed: Changed) -> Changing {
        shared.tickets.begin_change(&id);
        Changing { shared: Arc::clone(shared), id, changed }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.shared.end_change(self.id, self.changed);
    }
}

/// What the handlers and the listeners share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub market: MarketSettings,
    pub require_verified_email: bool,
    pub clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lists: Turns,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(state: &HttpState<App>) -> App {
        state.app.clone()
    }
}

impl App {
    /// Connects to MongoDB and NATS, and creates the indexes.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context = ServiceContext::connect("tickets", &settings.context, clock.clone()).await?;
        let shared = Arc::new(Shared::new(&clock));
        let changes = Arc::clone(&shared);
        let on_change = Arc::new(move |id, changed| -> Box<dyn Send> {
            Box::new(Changing::begin(&changes, id, changed))
        });
        Ok(App {
            store: Store::open(&context.database, clock.clone(), on_change).await?,
            shared,
            market: settings.market.clone(),
            require_verified_email: settings.verification.require_verified_email,
            clock,
            lists: Turns::new("lists", CONCURRENT_LISTS),
            context,
        })
    }

    /// The same state, whose shared reads learn of no change: to try whether that is noticed.
    pub fn without_forgetting(&self) -> App {
        App { store: self.store.silent(), ..self.clone() }
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}
