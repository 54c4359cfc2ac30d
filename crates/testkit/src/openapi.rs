//! The documents of the API, as `services/*/openapi.json` has them: they are what the code says, they name every route, and every
//! response that a test's client gets is one of those that they describe.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::environment;

/// Statuses with which the gateway answers any request whose head is too large; no service sees that.
const OF_GATEWAY: [StatusCode; 2] =
    [StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services");

/// Asserts that the committed document of a service is what its code says. `UPDATE=1` rewrites it.
#[track_caller]
pub fn assert_committed(service: &str, document: &Value) {
    let file = Path::new(SERVICES).join(service).join("openapi.json");
    let mut sorted = document.clone();
    // Whichever features other packages have chosen.
    sorted.sort_all_objects();
    let mut expected = serde_json::to_string_pretty(&sorted).expect("JSON");
    expected.push('\n');
    if environment::updates() {
        std::fs::write(&file, &expected).expect("a file");
    }
    let committed = std::fs::read_to_string(&file).expect("a file");
    let mut lines = committed.lines().zip(expected.lines()).enumerate();
    let difference = lines.find(|(_, (committed, expected))| committed != expected);
    assert!(
        committed == expected,
        "{} is outdated; with UPDATE=1 this test rewrites it. The first difference: {difference:?}",
        file.display(),
    );
}

/// Asserts that each example of a body is one, and that no text is written for readers of the code.
#[track_caller]
pub fn assert_texts(document: &Value) {
    let mut wrong = Vec::new();
    let responses = document["components"]["responses"].as_object().into_iter().flatten();
    let mut bodies: Vec<(String, &Value)> =
        responses.map(|(name, response)| (name.clone(), &response["content"])).collect();
    for (method, path, operation) in operations(document) {
        let call = format!("{method} {path}");
        bodies.push((call.clone(), &operation["requestBody"]["content"]));
        let responses = operation["responses"].as_object().into_iter().flatten();
        bodies
            .extend(responses.map(|(it, response)| (format!("{call} {it}"), &response["content"])));
    }
    for (what, content) in bodies {
        for body in content.as_object().into_iter().flat_map(Map::values) {
            let validator = validator(&body["schema"], document);
            let errors = validator.iter_errors(&body["example"]);
            wrong.extend(errors.map(|error| format!("{what}: {}: {error}", error.instance_path())));
        }
    }
    let text = document.to_string();
    wrong.extend(
        text.match_indices("[`").map(|(start, _)| format!("a link: {}", &text[start..start + 40])),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asserts that the document has every route of the service's map (`app.rs`), and no others.
#[track_caller]
pub fn assert_routes(document: &Value, map: &str) {
    let documented: BTreeSet<(String, String)> = operations(document)
        .map(|(method, path, _)| (path.to_owned(), method.to_owned()))
        // What one finds the document by.
        .filter(|(path, _)| !path.ends_with("/openapi.json"))
        .collect();
    assert_eq!(routes(map), documented);
}

/// The path and the method of each route in a service's map.
fn routes(map: &str) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for route in map.split(".route(").skip(1) {
        let Some((path, handlers)) = route.split('"').nth(1).map(|path| (path, route)) else {
            continue;
        };
        // Up to the next route, or the layers.
        let handlers = handlers.split("\n        .").next().unwrap_or_default();
        let methods = ["get", "post", "put", "patch", "delete"].into_iter();
        let found = methods.filter(|method| {
            handlers.match_indices(&format!("{method}(")).any(|(start, _)| {
                let before = handlers[..start].chars().next_back();
                before.is_none_or(|char| !char.is_alphanumeric() && char != '_')
            })
        });
        routes.extend(found.map(|method| (path.to_owned(), method.to_owned())));
    }
    routes
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// Every service's document, ready to be compared with responses.
struct Contract {
    calls: Vec<Call>,
    /// By operation and status.
    validators: Mutex<HashMap<(String, u16), Arc<Validator>>>,
}

struct Call {
    method: String,
    segments: Vec<String>,
    operation: Value,
    document: Arc<Value>,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// What a client got.
pub(crate) struct Received<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) text: &'a str,
    pub(crate) body: &'a Value,
}

/// Asserts that the documents describe a response: its status, its headers, and its body. What no document has a path for is not
/// of the API.
#[track_caller]
pub(crate) fn assert_documented(method: &Method, path: &str, response: &Received<'_>) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let Some(call) = CONTRACT.call(method, path) else { return };
    if let Err(reason) = CONTRACT.check(call, method, response) {
        panic!(
            "{reason}: {method} {path} is {} with {}, which openapi.json doesn't describe",
            response.status, response.text
        );
    }
}

impl Contract {
    fn read() -> Contract {
        let mut calls = Vec::new();
        let services = std::fs::read_dir(SERVICES).expect("the services");
        for service in services.filter_map(Result::ok) {
            // web has that of all of them.
            if service.file_name() == "web" {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(service.path().join("openapi.json")) else {
                continue;
            };
            let document: Value = serde_json::from_str(&text).expect("JSON");
            let document = Arc::new(document);
            for (method, path, operation) in operations(&document) {
                calls.push(Call {
                    method: method.to_ascii_uppercase(),
                    segments: path.split('/').map(str::to_owned).collect(),
                    operation: operation.clone(),
                    document: document.clone(),
                });
            }
        }
        // A name before a parameter, as the router has it.
        calls.sort_by_key(|call| {
            call.segments.iter().map(|it| it.starts_with('{')).collect::<Vec<_>>()
        });
        Contract { calls, validators: Mutex::default() }
    }

    /// The call of this request; none if there is no such path, or it has no such method.
    fn call(&self, method: &Method, path: &str) -> Option<&Call> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let of_path = |call: &&Call| {
            let segments: Vec<&str> = path.split('/').collect();
            let fits =
                |(wanted, segment): (&String, &&str)| wanted.starts_with('{') || wanted == segment;
            call.segments.len() == segments.len() && call.segments.iter().zip(&segments).all(fits)
        };
        let segments = &self.calls.iter().find(of_path)?.segments;
        self.calls.iter().find(|call| call.segments == *segments && call.method == method)
    }

    fn check(&self, call: &Call, method: &Method, response: &Received<'_>) -> Result<(), String> {
        if OF_GATEWAY.contains(&response.status) {
            return Ok(());
        }
        let status = response.status.as_u16();
        let described = resolve(&call.operation["responses"][status.to_string()], &call.document);
        if described.is_null() {
            return Err("an undocumented status".to_owned());
        }
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let is_required = resolve(header, &call.document)["required"] == true;
            if is_required && !response.headers.contains_key(name) {
                return Err(format!("no {name}"));
            }
        }
        if *method == Method::HEAD {
            return Ok(());
        }
        let Some(content) = described["content"].as_object() else {
            return if response.text.is_empty() {
                Ok(())
            } else {
                Err("an undocumented body".to_owned())
            };
        };
        let media_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
        let body = content.get(media_type).ok_or("an undocumented media type")?;
        let key = (call.operation["operationId"].to_string(), status);
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator =
            validators.entry(key).or_insert_with(|| validator(&body["schema"], &call.document));
        let errors = validator.iter_errors(response.body);
        let errors: Vec<String> =
            errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }
}

/// What a reference stands for.
fn resolve<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    pointer.map_or(value, |pointer| document.pointer(pointer).unwrap_or(&Value::Null))
}

/// Of a schema of the document. No member may be left undocumented.
fn validator(schema: &Value, document: &Value) -> Arc<Validator> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas: Map<String, Value> = schemas
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            inside(&mut schema);
            (name.clone(), schema)
        })
        .collect();
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": { "schemas": schemas },
    });
    let mut schema = schema.clone();
    closed(&mut schema);
    let members = schema.as_object().cloned().unwrap_or_default();
    root.as_object_mut().expect("an object").extend(members);
    let options = jsonschema::options().should_validate_formats(true);
    Arc::new(options.build(&root).expect("a valid schema"))
}

/// No member but those that the schema, or one that it is composed of, describes.
fn closed(schema: &mut Value) {
    inside(schema);
    if let Some(members) = schema.as_object_mut() {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

/// Closes what is inside of a value of this schema.
fn inside(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    members.into_iter().flatten().for_each(|(_, member)| closed(member));
    if let Some(items) = schema.get_mut("items") {
        closed(items);
    }
    for composition in ["allOf", "oneOf"] {
        let parts = schema.get_mut(composition).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(inside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_from_the_map() {
        let map = r#"
    Router::new()
        .route("/api/a", get(list::handle).post(create::handle))
        .route(
            "/api/a/{id}",
            put(edit::handle).delete(forget::handle),
        )
        .route("/api/x/openapi.json", openapi::serve(SNAPSHOT))
        .layer(map_response(get(x)))"#;
        let found: Vec<String> =
            routes(map).into_iter().map(|(path, method)| method + &path).collect();
        assert_eq!(found, ["get/api/a", "post/api/a", "delete/api/a/{id}", "put/api/a/{id}"]);
    }

    #[test]
    fn a_member_that_is_not_described_is_refused_also_where_schemas_are_composed() {
        let document = json!({ "components": { "schemas": {
            "Listing": { "type": "object", "properties": { "title": { "type": "string" } } },
            "Ticket": { "allOf": [
                { "$ref": "#/components/schemas/Listing" },
                { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
            ] },
        } } });
        let validator = validator(&json!({ "$ref": "#/components/schemas/Ticket" }), &document);
        assert!(validator.is_valid(&json!({ "id": "1", "title": "x" })));
        assert!(!validator.is_valid(&json!({ "title": "x" })));
        assert!(!validator.is_valid(&json!({ "id": "1", "title": "x", "price": 1 })));
    }
}
