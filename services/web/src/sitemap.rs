//! The list of tickets on sale for search engines, cached (`pages/sitemap.rs` shows it).

use std::sync::Arc;
use std::time::Duration;

use common::Time;
use common::ids::TicketId;
use http::HeaderMap;
use tokio::sync::Mutex;

use crate::api::{Api, Failure};

/// The maximum number of tickets: two files, and a thousand calls.
const MAX_TICKETS: usize = 100_000;
/// How long the list is cached. A ticket sold in the meantime still has its page.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// The cached list of tickets on sale. Concurrent requests wait for the same refresh.
#[derive(Clone, Default)]
pub struct Sitemap(Arc<Mutex<Option<Cached>>>);

/// When it was loaded, and its tickets.
type Cached = (Time, Arc<[TicketId]>);

impl Sitemap {
    pub(crate) async fn tickets(&self, api: &Api, now: Time) -> Result<Arc<[TicketId]>, Failure> {
        let mut cached = self.0.lock().await;
        if let Some((loaded_at, tickets)) = &*cached
            && now < *loaded_at + MAX_AGE
        {
            return Ok(Arc::clone(tickets));
        }
        let tickets: Arc<[TicketId]> = on_sale(api).await?.into();
        *cached = Some((now, Arc::clone(&tickets)));
        Ok(tickets)
    }
}

async fn on_sale(api: &Api) -> Result<Vec<TicketId>, Failure> {
    let anonymous = api.caller(&HeaderMap::new(), None);
    let mut tickets = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "100")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let list = anonymous.tickets(&query).await?;
        tickets.extend(list.items.iter().map(|ticket| ticket.id));
        cursor = list.next;
        if cursor.is_none() || tickets.len() >= MAX_TICKETS {
            return Ok(tickets);
        }
    }
}
