//! Stripe's webhooks: each is stored by its event's id before it is acknowledged, and then worked on. What an event says isn't
//! believed: it only says which PaymentIntent has changed, and that is retrieved.

use std::collections::BTreeMap;
use std::time::Duration;

use common::back_off::back_off;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::domain::{OrderPayment, WebhookEvent};
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
        let work =
            async { work_on_all(&app, app.store.due_webhooks(app.clock.now()).await?).await };
        if let Err(error) = work.await {
            tracing::warn!(%error, "could not work on webhooks, will retry");
        }
        tokio::select! {
            () = app.wake_webhooks.notified() => tokio::time::sleep(GATHERING).await,
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Several events about one PaymentIntent, such as those of one payment, need one look at it.
async fn work_on_all(app: &App, due: Vec<WebhookEvent>) -> store::Result<()> {
    let mut by_intent: BTreeMap<Option<String>, Vec<WebhookEvent>> = BTreeMap::new();
    for event in due {
        by_intent.entry(event.intent.clone()).or_default().push(event);
    }
    let intents: Vec<&str> = by_intent.keys().flatten().map(String::as_str).collect();
    let payments = app.store.find_by_intents(&intents).await?;
    let handled = stream::iter(by_intent)
        .map(async |(intent, events)| {
            let of_intent = |payment: &&OrderPayment| payment.intent() == intent.as_deref();
            // Without one, it is not one of ours; or its id isn't stored yet, and then nothing has happened to it.
            let payment = payments.iter().find(of_intent);
            if is_handled(app, payment, &events).await { events } else { Vec::new() }
        })
        .buffer_unordered(CONCURRENCY);
    let handled: Vec<WebhookEvent> = handled.flat_map(stream::iter).collect().await;
    if !handled.is_empty() {
        let news = app.store.finish_webhooks(&handled).await?;
        metrics::counter!("webhooks_total", "outcome" => "handled").increment(news);
    }
    Ok(())
}

/// Retrieves what the events are about. Two processes may do that concurrently; what they record is a fact.
async fn is_handled(app: &App, payment: Option<&OrderPayment>, events: &[WebhookEvent]) -> bool {
    let Some(payment) = payment else { return true };
    let Err(failure) = reconcile::reconcile_read(app, payment).await else { return true };
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    tracing::warn!(?ids, ?failure, "webhooks not handled, will retry");
    let now = app.clock.now();
    for event in events {
        let failures = u32::try_from(event.failures + 1).unwrap_or(u32::MAX);
        let pause = back_off(failures, FIRST_PAUSE, LONGEST_PAUSE);
        if let Err(error) = app.store.postpone_webhook(event, now + pause).await {
            tracing::warn!(id = event.id, %error, "could not postpone a webhook");
        }
    }
    false
}
