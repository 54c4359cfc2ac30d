//! What a service says about its API in the form that machines read (OpenAPI 3.1).
//!
//! Beside each `handle` stands a `call()`, which says what is particular to it: its body, its responses, and its own problems.
//! What all calls of a kind share (problems, headers, security) is added here. The code of all this is called by tests only, which
//! keep the `openapi.json` of each service equal to it; a service serves that file. So no released program has any of it.

mod call;
mod components;
mod example;
mod problems;

use std::collections::BTreeMap;

use axum::routing::{MethodRouter, get};
pub use call::{AnyObject, Call, EmptyObject};
use common::scopes::Scope;
use components::{Components, Direction};
use http::header;
use serde_json::{Map, Value, json};

use crate::paging::{DEFAULT_LIMIT, MAX_LIMIT};

/// The route of a service's document.
pub fn serve<S: Clone + Send + Sync + 'static>(document: &'static str) -> MethodRouter<S> {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    get(async move || (headers, document))
}

/// An OpenAPI document.
pub type Document = Value;

/// The document of one service.
pub fn document(service: &str, about: &str, calls: Vec<Call>) -> Document {
    let path = format!("/api/{service}/openapi.json");
    let mut components = Components::default();
    components.add::<problems::ProblemDocument>(Direction::Response);
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for call in calls.into_iter().chain([Call::to_document(&path)]) {
        let (method, path) = (call.method(), call.path().to_owned());
        let operation = call.render(service, &mut components);
        let before = paths.entry(path).or_default().insert(method.clone(), operation);
        assert_eq!(before, None, "a second {method}");
    }
    components.limited();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ticketing",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [{ "name": service, "description": about }],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "parameters": parameters(),
            "headers": headers(),
            "responses": components.responses,
            "securitySchemes": security_schemes(),
        },
    });
    let schemas = document["components"]["schemas"].clone();
    example::complete(&mut document, &schemas);
    document
}

/// The documents of all services as one.
pub fn merge(documents: Vec<Document>) -> Document {
    let mut merged = Value::Null;
    for document in documents {
        if merged.is_null() {
            merged = document;
            continue;
        }
        let tags = document["tags"].as_array().cloned().unwrap_or_default();
        if let Some(known) = merged["tags"].as_array_mut() {
            known.extend(tags);
        }
        join(&mut merged["paths"], &document["paths"]);
        for (kind, components) in document["components"].as_object().into_iter().flatten() {
            join(&mut merged["components"][kind], components);
        }
    }
    merged
}

/// Adds the members of one object to another. Of the same name there is the same thing.
fn join(known: &mut Value, added: &Value) {
    let Some(known) = known.as_object_mut() else { return };
    for (name, value) in added.as_object().into_iter().flatten() {
        let before = known.insert(name.clone(), value.clone());
        assert!(before.is_none_or(|it| it == *value), "two things are called {name}");
    }
}

/// The parameters that calls share.
fn parameters() -> Value {
    let tag = json!({ "type": "string", "examples": ["\"7\""] });
    let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "description": about, "schema": schema });
    let query = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "query", "description": about, "schema": schema });
    json!({
        "Idempotency-Key": header(
            "Idempotency-Key",
            "The same request under the same key takes effect once, and gets the first response again, for 24 hours.",
            json!({
                "type": "string", "minLength": 1, "maxLength": crate::idempotency::MAX_LENGTH,
                "pattern": "^[!-~]+$", "examples": ["0b5a1f5e-3c0e-4c52-9f0e-6f4d5a1c2b3d"],
            }),
        ),
        "If-Match": header("If-Match", "Applies it at this version only; otherwise the response is 412.", tag.clone()),
        "If-None-Match": header("If-None-Match", "The response is 304 if what had this `ETag` is current.", tag),
        "Cache-Control": header(
            "Cache-Control",
            "What others have done may be shown a second late, unless you send `no-cache`.",
            json!({ "type": "string", "examples": ["no-cache"] }),
        ),
        "limit": query(
            "limit",
            "The size of a page.",
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }),
        ),
        "cursor": query(
            "cursor",
            "The `next` of the page before, of the same query.",
            json!({ "type": "string" }),
        ),
    })
}

/// The headers of responses that calls share.
fn headers() -> Value {
    let header = |about: &str, is_required: bool, example: Value| {
        json!({
            "description": about, "required": is_required,
            "schema": { "type": if example.is_i64() { "integer" } else { "string" }, "examples": [example] },
        })
    };
    json!({
        "ETag": header("The version, or what stands for it.", true, json!("\"7\"")),
        "Location": header("The address of the resource.", true, json!("/api/orders/01968d38-4f80-7c3a-9d2e-4b1d00003333")),
        "Retry-After": header("The seconds to wait.", false, json!(1)),
        "Set-Cookie": header("The cookies `session` and `refresh`, or that they are to be deleted.", false, json!("session=eyJhbGciOi…")),
        "WWW-Authenticate": header("What a program may send.", false, json!("Bearer")),
        "X-Request-Id": header("Quote it when you contact support.", true, json!("01968d384f807c3a9d2e4b1d0000aaaa")),
    })
}

/// The ways in which a request says whose it is.
fn security_schemes() -> Value {
    let scopes = Scope::ALL.map(|scope| format!("`{}`", scope.as_str())).join(", ");
    json!({
        "session": {
            "type": "apiKey", "in": "cookie", "name": "session",
            "description": "Set by signing in; for a quarter of an hour. Over https its name is `__Host-session`.",
        },
        "refresh": {
            "type": "apiKey", "in": "cookie", "name": "refresh",
            "description": "Set by signing in; for 30 days. Over https its name is `__Host-refresh`.",
        },
        "accessToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": format!("A program's, for a quarter of an hour, with some of the scopes {scopes}."),
        },
        "apiToken": {
            "type": "http", "scheme": "bearer",
            "description": "A program's, up to a year; it is exchanged for access tokens.",
        },
        "stripeSignature": {
            "type": "apiKey", "in": "header", "name": "Stripe-Signature",
            "description": "Stripe signs its webhooks.",
        },
    })
}
