//! <https://docs.stripe.com/api/events>, and how they were delivered.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    app::{App, Query},
    errors::ApiError,
    model::{Delivery, Event},
    pagination::Page,
    params::Params,
    response::ApiResponse,
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let event = view.committed().events.get(&self.0);
        event
            .map(|event| view.render_event(event, None))
            .ok_or_else(|| ApiError::not_found("event", &self.0, "id"))
    }
}

#[derive(Debug)]
pub struct List {
    types: Vec<String>,
    page: Page,
}

impl Query for List {
    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        let mut types = params.list("types");
        types.extend(params.text("type")?);
        Ok(Self { types, page: Page::parse(params)? })
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        // `charge.*` is every type that starts so.
        let fits = |event: &&Event| {
            self.types.is_empty()
                || self.types.iter().any(|wanted| match wanted.strip_suffix('*') {
                    Some(start) => event.kind.starts_with(start),
                    None => event.kind == *wanted,
                })
        };
        let events = view.committed().events.values().filter(fits);
        let events = events.map(|it| (it.id.as_str(), it.created, it));
        Ok(self.page.of("/v1/events", events, |it| view.render_event(it, None)))
    }
}

/// Every delivery, oldest first. Not part of Stripe's API.
pub async fn deliveries(State(app): State<Arc<App>>) -> Json<Value> {
    let ledger = app.ledger();
    let with_names = |delivery: &Delivery| {
        let mut json = json!(delivery);
        json["type"] = json!(ledger.events.get(&delivery.event).map(|event| &event.kind));
        json["url"] = json!(ledger.webhook_endpoints.get(&delivery.endpoint).map(|it| &it.url));
        json
    };
    Json(ledger.deliveries.values().map(with_names).collect())
}

/// Sends an event again to every endpoint, as the dashboard does.
pub async fn resend(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match app.resend(&id).await {
        Ok(deliveries) => Json(json!({ "deliveries": deliveries })).into_response(),
        Err(error) => ApiResponse::error(error).into_response(),
    }
}
