//! Webhooks, as far as requests and settings concern them.

use super::App;
use crate::{
    errors::ApiError,
    ids,
    ledger::{Change, Entry},
    model::{Metadata, WebhookEndpoint},
    webhooks::plan::Plan,
};

impl App {
    /// Creates the endpoint that the settings name, or gives it their secret.
    pub async fn set_webhook(&self, url: String, secret: String) -> anyhow::Result<()> {
        let now_ms = self.time.now_ms();
        let existing = self.ledger().webhook_endpoints.values().find(|it| it.url == url).cloned();
        let endpoint = match existing {
            Some(existing) => WebhookEndpoint { secret, is_enabled: true, ..existing },
            None => WebhookEndpoint {
                id: ids::new("we"),
                created: now_ms / 1000,
                url,
                enabled_events: vec!["*".to_owned()],
                secret,
                is_enabled: true,
                description: Some("from the settings".to_owned()),
                metadata: Metadata::new(),
                api_version: None,
            },
        };
        let changes = vec![Change::WebhookEndpoint(endpoint)];
        let committed = self.commit(Entry { changes, saved: None }, now_ms).await;
        committed.map_err(|error| anyhow::anyhow!("can't create the webhook endpoint: {error:?}"))
    }

    /// Delivers an event to every endpoint again. Returns the ids of the deliveries.
    pub async fn resend(&self, event: &str) -> Result<Vec<String>, ApiError> {
        let now_ms = self.time.now_ms();
        let mut plan = Plan::default();
        {
            let ledger = self.ledger();
            let found = ledger.events.get(event);
            let event = found.ok_or_else(|| ApiError::not_found("event", event, "id"))?;
            plan.add(event, &ledger, &self.faults, now_ms);
        }
        let ids = plan.deliveries.iter().map(|delivery| delivery.id.clone()).collect();
        let changes = plan.deliveries.into_iter().map(Change::Delivery).collect();
        self.commit(Entry { changes, saved: None }, now_ms).await?;
        Ok(ids)
    }

    /// Returns when each has been attempted. A receiver that takes too long doesn't block the response indefinitely.
    pub(super) async fn wait_for_webhooks(&self, deliveries: &[String]) {
        let mut commits = self.commits();
        let attempted = async {
            loop {
                let is_attempted = |id: &String| {
                    self.ledger().deliveries.get(id).is_none_or(|it| !it.attempts.is_empty())
                };
                if deliveries.iter().all(is_attempted) || commits.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = attempted => {}
            () = self.wait(self.options.webhook_timeout) => {}
        }
    }
}
