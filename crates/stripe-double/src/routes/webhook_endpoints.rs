//! <https://docs.stripe.com/api/webhook_endpoints>

use serde_json::{Value, json};
use url::Url;

use crate::{
    app::{Command, Query},
    errors::ApiError,
    ids,
    ledger::Ledger,
    model::{Metadata, WebhookEndpoint},
    pagination::Page,
    params::Params,
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Create {
    url: String,
    enabled_events: Vec<String>,
    description: Option<String>,
    api_version: Option<String>,
    metadata: Metadata,
}

impl Command for Create {
    const NOT_COVERED: &'static [&'static str] = &["connect"];

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        let url = params.required("url")?;
        check_url(&url)?;
        let enabled_events = params.list("enabled_events");
        if enabled_events.is_empty() {
            return Err(ApiError::missing_param("enabled_events"));
        }
        check_events(&enabled_events)?;
        Ok(Self {
            url,
            enabled_events,
            description: params.text("description")?,
            api_version: params.text("api_version")?,
            metadata: params.metadata()?,
        })
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let endpoint = WebhookEndpoint {
            id: ids::new("we"),
            created: transaction.now_seconds(),
            url: self.url,
            enabled_events: self.enabled_events,
            secret: ids::new("whsec"),
            is_enabled: true,
            description: self.description,
            metadata: self.metadata,
            api_version: self.api_version,
        };
        let mut body = transaction.render_webhook_endpoint(&endpoint);
        body["secret"] = json!(endpoint.secret);
        transaction.put_webhook_endpoint(endpoint);
        Ok(body)
    }
}

fn check_url(url: &str) -> Result<(), ApiError> {
    // Stripe takes http with a test key; unlike Stripe, the double reaches private addresses.
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err(ApiError::invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
        )
        .code("url_invalid")
        .param("url")),
    }
}

fn check_events(events: &[String]) -> Result<(), ApiError> {
    let is_type = |event: &String| event == "*" || event.contains('.') && !event.contains('*');
    match events.iter().find(|event| !is_type(event)) {
        Some(event) => {
            Err(ApiError::invalid(format!("Invalid enabled_events: {event} is no type of event."))
                .param("enabled_events"))
        }
        None => Ok(()),
    }
}

#[derive(Debug)]
pub struct Update {
    id: String,
    url: Option<String>,
    enabled_events: Vec<String>,
    disabled: Option<bool>,
    description: Option<String>,
    metadata: Metadata,
}

impl Command for Update {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let url = params.text("url")?;
        url.as_deref().map_or(Ok(()), check_url)?;
        let enabled_events = params.list("enabled_events");
        check_events(&enabled_events)?;
        Ok(Self {
            id: id.to_owned(),
            url,
            enabled_events,
            disabled: params.boolean("disabled")?,
            description: params.text("description")?,
            metadata: params.metadata()?,
        })
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.id.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut endpoint = load(&self.id, transaction)?;
        endpoint.url = self.url.unwrap_or(endpoint.url);
        if !self.enabled_events.is_empty() {
            endpoint.enabled_events = self.enabled_events;
        }
        endpoint.is_enabled = self.disabled.map_or(endpoint.is_enabled, |disabled| !disabled);
        endpoint.description = self.description.or(endpoint.description);
        endpoint.metadata.extend(self.metadata);
        let body = transaction.render_webhook_endpoint(&endpoint);
        transaction.put_webhook_endpoint(endpoint);
        Ok(body)
    }
}

fn load(id: &str, view: &Transaction<'_>) -> Result<WebhookEndpoint, ApiError> {
    view.webhook_endpoint(id)
        .cloned()
        .ok_or_else(|| ApiError::not_found("webhook endpoint", id, "webhook_endpoint"))
}

/// Its pending deliveries are given up.
#[derive(Debug)]
pub struct Delete(String);

impl Command for Delete {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.0.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let endpoint = load(&self.0, transaction)?;
        transaction.delete_webhook_endpoint(endpoint.id.clone());
        Ok(json!({ "id": endpoint.id, "object": "webhook_endpoint", "deleted": true }))
    }
}

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        load(&self.0, view).map(|endpoint| view.render_webhook_endpoint(&endpoint))
    }
}

#[derive(Debug)]
pub struct List(Page);

impl Query for List {
    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        Page::parse(params).map(Self)
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let endpoints = view.committed().webhook_endpoints.values();
        let endpoints = endpoints.map(|it| (it.id.as_str(), it.created, it));
        Ok(self.0.of("/v1/webhook_endpoints", endpoints, |it| view.render_webhook_endpoint(it)))
    }
}
