//! Sends deliveries until the endpoints accept them: at least once, in no particular order, also after a restart.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::payload::{Payload, payload};
use crate::{
    app::App,
    errors::ApiError,
    ledger::{Change, Entry, Ledger},
    model::{Attempt, Delivery, DeliveryState},
    transaction::Options,
};

/// As Stripe: up to three days, with growing pauses.
const GIVEN_UP_AFTER_MS: u64 = 3 * 24 * 60 * 60 * 1000;
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
const CONCURRENT: usize = 16;

struct Sent {
    delivery: String,
    attempt: Attempt,
}

/// Until the server stops. What is being sent then is sent again after the next start.
pub async fn run(app: Arc<App>, http: reqwest::Client) {
    let mut sending = JoinSet::new();
    let mut in_progress = BTreeSet::new();
    loop {
        // Subscribed before the ledger is read, so that a commit in between isn't missed.
        let mut commits = app.commits();
        let next = start_due(&app, &http, &mut sending, &mut in_progress);
        let due = async {
            match next {
                Some(ms) => app.time.sleep_until(ms).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(sent) = sending.join_next() => {
                let mut all = vec![sent];
                all.extend(std::iter::from_fn(|| sending.try_join_next()));
                let all: Vec<Sent> = all.into_iter().filter_map(Result::ok).collect();
                if let Err(error) = record(&app, &all).await {
                    tracing::error!(?error, "can't record the attempts of webhooks; none are sent any more");
                    return;
                }
                for sent in all {
                    in_progress.remove(&sent.delivery);
                }
            }
            () = due => {}
            _ = commits.changed() => {}
            () = app.stopped() => return,
        }
    }
}

/// Starts what is due. Returns when the next delivery is.
fn start_due(
    app: &App,
    http: &reqwest::Client,
    sending: &mut JoinSet<Sent>,
    in_progress: &mut BTreeSet<String>,
) -> Option<u64> {
    let now_ms = app.time.now_ms();
    let ledger = app.ledger();
    let mut waiting = ledger.pending_deliveries().filter(|(_, it)| !in_progress.contains(&it.id));
    let mut started = Vec::new();
    let next = loop {
        match waiting.next() {
            Some((at_ms, _)) if at_ms > now_ms => break Some(at_ms),
            // One of those in progress ends before there is room for it.
            Some(_) if sending.len() >= CONCURRENT => break None,
            Some((_, delivery)) => {
                started.push(delivery.id.clone());
                start(app, &ledger, delivery, http, sending);
            }
            None => break None,
        }
    };
    in_progress.extend(started);
    next
}

fn start(
    app: &App,
    ledger: &Ledger,
    delivery: &Delivery,
    http: &reqwest::Client,
    sending: &mut JoinSet<Sent>,
) {
    let at_ms = app.time.now_ms();
    let id = delivery.id.clone();
    let endpoint = ledger.webhook_endpoints.get(&delivery.endpoint).filter(|it| it.is_enabled);
    let event = ledger.events.get(&delivery.event);
    let (Some(endpoint), Some(event)) = (endpoint, event) else {
        let error = Some("the endpoint was deleted or disabled".to_owned());
        sending.spawn(async move {
            Sent { delivery: id, attempt: Attempt { at_ms, status: None, error } }
        });
        return;
    };
    let rendered = app.view(ledger).render_event(event, endpoint.api_version.as_deref());
    // Not the double's own time: the receiver's clock isn't ahead.
    let Payload { body, signature } =
        payload(delivery, rendered, &endpoint.secret, app.time.clock_ms() / 1000);
    let request = http
        .post(&endpoint.url)
        .timeout(app.options().webhook_timeout)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature)
        .body(body);
    sending.spawn(async move {
        let (status, error) = match request.send().await {
            Ok(response) => (Some(response.status().as_u16()), None),
            Err(error) => (None, Some(format!("{error:?}"))),
        };
        Sent { delivery: id, attempt: Attempt { at_ms, status, error } }
    });
}

async fn record(app: &App, sent: &[Sent]) -> Result<(), ApiError> {
    let changes = {
        let ledger = app.ledger();
        let mut changes = Vec::new();
        for Sent { delivery, attempt } in sent {
            let Some(delivery) = ledger.deliveries.get(delivery) else { continue };
            let tried = tried(delivery, attempt.clone(), &ledger, app.options());
            tracing::debug!(event = tried.event, ?attempt, "webhook attempted");
            changes.push(Change::Delivery(tried));
            changes.extend(released(delivery, &ledger, app.time.now_ms()).map(Change::Delivery));
        }
        changes
    };
    app.commit(Entry { changes, saved: None }, app.time.now_ms()).await
}

fn tried(delivery: &Delivery, attempt: Attempt, ledger: &Ledger, options: &Options) -> Delivery {
    let mut tried = delivery.clone();
    let has_endpoint = ledger.webhook_endpoints.contains_key(&delivery.endpoint);
    let pauses = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
    let pause =
        options.webhook_retry_after.saturating_mul(2_u32.saturating_pow(pauses)).min(LONGEST_PAUSE);
    let next_ms = attempt.at_ms + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 2);
    let until_ms = delivery.created * 1000 + GIVEN_UP_AFTER_MS;
    tried.is_held_back = false;
    let is_retried = has_endpoint && delivery.form.is_retried() && next_ms <= until_ms;
    tried.state = match (attempt.has_succeeded(), is_retried) {
        (true, _) => DeliveryState::Succeeded,
        (false, true) => DeliveryState::Pending { at_ms: next_ms },
        (false, false) => DeliveryState::Failed,
    };
    tried.attempts.push(attempt);
    tried
}

/// What was held back until an event after it was delivered.
fn released(delivery: &Delivery, ledger: &Ledger, now_ms: u64) -> impl Iterator<Item = Delivery> {
    let (endpoint, event) = (delivery.endpoint.clone(), delivery.event.clone());
    ledger
        .pending_deliveries()
        .map(|(_, held)| held)
        .filter(move |held| held.is_held_back && held.endpoint == endpoint && held.event < event)
        .map(move |held| Delivery {
            is_held_back: false,
            state: DeliveryState::Pending { at_ms: now_ms },
            ..held.clone()
        })
}
