//! What a service says about its API in the form that machines read (OpenAPI 3.1).
//!
//! Beside each `handle` stands a `call()`, which says what is particular to it: its body, its responses, and its own problems.
//! What all calls of a kind share (problems, headers, security) is added here. The code of all this is called by tests only, which
//! keep the `openapi.json` of each service equal to it; a service serves that file. So no released program has any of it.

mod call;
mod example;
mod problems;

use std::collections::BTreeMap;

use axum::routing::{MethodRouter, get};
pub use call::{AnyObject, Call, EmptyObject};
use common::scopes::Scope;
use http::header;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

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

/// Whether a body is sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// What calls refer to.
#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
    /// By schema and member.
    max_chars: BTreeMap<(String, &'static str), usize>,
}

impl Components {
    /// Adds a type's schema and those that it refers to; returns the reference.
    fn add<T: ToSchema>(&mut self, direction: Direction) -> Value {
        let mut found = Vec::new();
        T::schemas(&mut found);
        found.push((T::name().into_owned(), T::schema()));
        for (name, schema) in found {
            let mut schema = json!(schema);
            if direction == Direction::Response {
                without_nulls(&mut schema);
            }
            let before = self.schemas.insert(name.clone(), schema.clone());
            // utoipa itself would keep the last one silently.
            assert!(before.is_none_or(|it| it == schema), "two schemas are called {name}");
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }

    /// Says how long these members of a schema may be. (A derive takes literals only, and we have constants.)
    fn limit(&mut self, reference: &Value, max_chars: &[(&'static str, usize)]) {
        let name = reference["$ref"].as_str().and_then(|it| it.rsplit('/').next());
        for (member, max) in max_chars {
            self.max_chars.insert((name.unwrap_or_default().to_owned(), member), *max);
        }
    }

    fn limited(&mut self) {
        for ((name, member), max) in &self.max_chars {
            let schema = self.schemas.get_mut(name).map(|schema| &mut schema["properties"]);
            let member = schema.and_then(|members| members.get_mut(*member)).expect("a member");
            member["maxLength"] = json!(max);
        }
    }
}

/// Members that a response may omit are never null there. (In a request null counts as omitted.)
fn without_nulls(schema: &mut Value) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, member) in members.into_iter().flatten() {
        if !required.iter().any(|it| it == name) {
            without_null(member);
        }
    }
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(without_nulls);
}

/// What is of this schema is never null.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|it| it != "null");
        if let [only] = &types[..] {
            schema["type"] = only.clone();
        }
    } else if let Some(Value::Array(mut either)) = schema.get("oneOf").cloned() {
        either.retain(|it| it["type"] != "null");
        if let ([only], Some(members)) = (&either[..], schema.as_object_mut()) {
            members.remove("oneOf");
            members.extend(only.as_object().cloned().unwrap_or_default());
        }
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
        "If-None-Match": header("If-None-Match", "The response is 304 if this version is current.", tag),
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
        "ETag": header("The version.", true, json!("\"7\"")),
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
