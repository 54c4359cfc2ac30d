//! Stripe's webhooks: each is stored by its event's id before it is acknowledged, and then worked on. What an event says isn't
//! believed: it only says which PaymentIntent has changed, and that is retrieved.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::Failure;
use common::back_off::back_off;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::domain::WebhookEvent;
use crate::reconcile;
use crate::state::App;

/// How often the worker polls when nothing wakes it.
const PERIOD: Duration = Duration::from_secs(1);
/// The events of one payment come in quick succession: what comes within this time is worked on together.
const GATHERING: Duration = Duration::from_millis(200);
/// On how many PaymentIntents it works concurrently: Stripe limits the rate.
const CONCURRENCY: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The background task: works on what is stored.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.due_webhooks(app.clock.now()).await {
            Ok(due) => work_on_all(&app, due).await,
            Err(error) => tracing::warn!(%error, "could not query webhooks, will retry"),
        }
        tokio::select! {
            () = app.wake_webhooks.notified() => tokio::time::sleep(GATHERING).await,
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Several events about one PaymentIntent, such as those of one payment, need one look at it.
async fn work_on_all(app: &App, due: Vec<WebhookEvent>) {
    let mut by_intent: BTreeMap<Option<String>, Vec<WebhookEvent>> = BTreeMap::new();
    for event in due {
        by_intent.entry(event.intent.clone()).or_default().push(event);
    }
    let all = stream::iter(by_intent).for_each_concurrent(CONCURRENCY, async |(intent, events)| {
        if let Err(failure) = work_on(app, intent.as_deref(), &events).await {
            let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
            tracing::warn!(?ids, ?failure, "webhooks not handled, will retry");
        }
    });
    all.await;
}

/// Retrieves what the events are about. Two processes may do that concurrently; what they record is a fact.
async fn work_on(app: &App, intent: Option<&str>, events: &[WebhookEvent]) -> Result<(), Failure> {
    let outcome = match intent {
        None => Ok(()),
        Some(intent) => match app.store.find_by_intent(intent).await? {
            Some(payment) => reconcile::reconcile_read(app, &payment).await.map(drop),
            // Not one of ours; or its id isn't stored yet, and then nothing has happened to it.
            None => Ok(()),
        },
    };
    if outcome.is_ok() {
        let handled = app.store.finish_webhooks(events).await?;
        metrics::counter!("webhooks_total", "outcome" => "handled").increment(handled);
        return Ok(());
    }
    let now = app.clock.now();
    for event in events {
        let failures = u32::try_from(event.failures + 1).unwrap_or(u32::MAX);
        let pause = back_off(failures, FIRST_PAUSE, LONGEST_PAUSE);
        app.store.postpone_webhook(event, now + pause).await?;
    }
    outcome
}
