//! Stripe's events are listed and compared with the webhooks that have come: one that was lost, or that could not be read, is
//! stored as if it had come, and worked on as any other. One replica does that at a time, page by page.

use std::time::Duration;

use anyhow::anyhow;
use bus::Failure;
use common::Time;

use crate::domain::{WebhookEvent, is_useful};
use crate::gateway::ListedEvent;
use crate::state::App;

/// An event that is younger isn't missed yet: its webhook may be on its way.
const GRACE: Duration = Duration::from_secs(30);
/// How much of what was compared is compared again: the clocks differ, by as much as a signature may be old, and the list may
/// lag.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// How far back the first sweep looks: for as long as an authorisation lasts.
const FIRST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For how long a replica has the sweep without an extension; and how long after its end another one begins.
const LEASE: Duration = Duration::from_secs(30);

/// Compares what has happened since the last complete sweep. Returns how many events were missed. A sweep that is
/// interrupted begins where it had begun.
pub async fn sweep_events(app: &App) -> Result<usize, Failure> {
    let began = app.clock.now();
    let Some(sweep) = app.store.claim_sweep(began, began + LEASE).await? else { return Ok(0) };
    let from = sweep.up_to.map_or(began - FIRST, |up_to| up_to - OVERLAP);
    let to = began - GRACE;
    let (mut after, mut missed) = (None, 0);
    loop {
        let failed = |error| Failure::Transient(anyhow!("Stripe's events: {error}"));
        let page = app.gateway.list_events((from, to), after).await.map_err(failed)?;
        let now = app.clock.now();
        let events: Vec<_> = page.events.into_iter().filter_map(|it| about(it, now)).collect();
        missed += app.store.insert_missed(&events).await?;
        after = page.next;
        let up_to = if after.is_none() { Some(to) } else { None };
        app.store.extend_sweep(app.clock.now() + LEASE, up_to).await?;
        if after.is_none() {
            break;
        }
    }
    if missed > 0 {
        let count = u64::try_from(missed).unwrap_or(u64::MAX);
        metrics::counter!("webhooks_total", "outcome" => "missed").increment(count);
        tracing::warn!(missed, "webhooks of Stripe's have not come, and are made up for");
        app.wake_webhooks.notify_one();
    }
    Ok(missed)
}

/// None: it is about no PaymentIntent, or another event says the same.
fn about(ListedEvent { id, kind, intent }: ListedEvent, now: Time) -> Option<WebhookEvent> {
    intent.filter(|_| is_useful(&kind)).map(|intent| WebhookEvent::missed(id, kind, intent, now))
}
