//! The API's documents as people read them: the model of the page `/docs`, made from the one document that all services' are merged
//! into (`openapi.json`, which a test keeps up to date). So the page is there also while a service is away.

mod schema;
mod text;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use schema::{Member, Type};
pub use text::Text;

/// The document, as programs read it.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// The document, as people read it. An empty one is a defect that a test finds.
pub static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
    serde_json::from_str::<Document>(DOCUMENT).map(Reference::of).unwrap_or_default()
});

/// What the page shows.
#[derive(Default)]
pub struct Reference {
    pub groups: Vec<Group>,
    pub schemas: Vec<Schema>,
}

/// The calls of one service.
pub struct Group {
    pub name: String,
    pub about: String,
    pub calls: Vec<Call>,
}

pub struct Call {
    /// Of its place on the page.
    pub anchor: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub text: Text,
    /// Who may make it.
    pub who: Text,
    pub parameters: Vec<Member>,
    pub body: Vec<Member>,
    pub responses: Vec<Response>,
    pub problems: Vec<Problem>,
    /// With curl.
    pub example: String,
}

pub struct Response {
    pub status: String,
    pub text: Text,
    pub body: Option<Type>,
    pub example: Option<String>,
}

pub struct Problem {
    pub status: String,
    pub slug: String,
    pub title: String,
}

/// What a body consists of.
pub struct Schema {
    pub name: String,
    pub text: Text,
    pub members: Vec<Member>,
    /// Of a text that is one of these.
    pub names: Vec<String>,
    /// Of what has neither members nor names.
    pub kind: Option<Type>,
}

/// What is read of the document.
#[derive(Deserialize)]
struct Document {
    tags: Vec<Tag>,
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Components,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    description: String,
}

#[derive(Deserialize)]
struct Components {
    schemas: BTreeMap<String, Value>,
    parameters: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    operation_id: String,
    tags: Vec<String>,
    summary: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Vec<Value>,
    #[serde(default)]
    request_body: Value,
    responses: BTreeMap<String, Value>,
    security: Vec<BTreeMap<String, Vec<String>>>,
}

impl Reference {
    fn of(document: Document) -> Reference {
        let Document { tags, paths, components } = document;
        let mut calls: Vec<(String, Call)> = Vec::new();
        for (path, operations) in &paths {
            for (method, operation) in operations {
                let tag = operation.tags.first().cloned().unwrap_or_default();
                calls.push((tag, Call::of(method, path, operation, &components)));
            }
        }
        let mut groups = Vec::new();
        for Tag { name, description } in tags {
            let (of_tag, others) = calls.into_iter().partition(|(tag, _)| *tag == name);
            calls = others;
            let of_tag: Vec<(String, Call)> = of_tag;
            let of_tag = of_tag.into_iter().map(|(_, call)| call).collect();
            groups.push(Group { name, about: description, calls: of_tag });
        }
        let schemas = components.schemas.iter();
        let schemas = schemas.map(|(name, schema)| Schema::of(name, schema, &components.schemas));
        Reference { groups, schemas: schemas.collect() }
    }
}

impl Schema {
    fn of(name: &str, schema: &Value, schemas: &BTreeMap<String, Value>) -> Schema {
        let (members, names) = (schema::members(schema, schemas), schema::names(schema));
        let is_plain = members.is_empty() && names.is_empty();
        Schema {
            name: name.to_owned(),
            text: Text::of(schema["description"].as_str().unwrap_or_default()),
            members,
            names,
            kind: is_plain.then(|| schema::kind(schema)),
        }
    }
}

impl Call {
    fn of(method: &str, path: &str, operation: &Operation, components: &Components) -> Call {
        let parameters: Vec<&Value> = operation
            .parameters
            .iter()
            .map(|parameter| resolve(parameter, &components.parameters))
            .collect();
        let (_, body) = content(&operation.request_body);
        let mut responses = Vec::new();
        let mut problems = Vec::new();
        for (status, response) in &operation.responses {
            let response = resolve(response, &components.responses);
            let (kind, content) = content(response);
            if kind == Some("application/problem+json") {
                problems.extend(Problem::all(status, response));
                continue;
            }
            let example = &content["example"];
            responses.push(Response {
                status: status.clone(),
                text: Text::of(response["description"].as_str().unwrap_or_default()),
                body: schema::reference(&content["schema"]),
                example: (!example.is_null())
                    .then(|| serde_json::to_string_pretty(example).unwrap_or_default()),
            });
        }
        Call {
            anchor: operation.operation_id.replace('.', "-"),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: operation.summary.clone(),
            text: Text::of(&operation.description),
            who: Text::of(&who(&operation.security)),
            example: curl(method, path, operation, &parameters),
            parameters: parameters.iter().map(|it| Member::of_parameter(it)).collect(),
            body: schema::members(&body["schema"], &components.schemas),
            responses,
            problems,
        }
    }
}

impl Problem {
    fn all(status: &str, response: &Value) -> Vec<Problem> {
        let (_, content) = content(response);
        let kinds =
            content["schema"]["properties"]["type"]["enum"].as_array().into_iter().flatten();
        // `Title (`slug`). Title (`slug`).`
        let description = response["description"].as_str().unwrap_or_default();
        let title = |slug: &str| {
            let before = description.split(&format!(" (`{slug}`).")).next().unwrap_or_default();
            before.rsplit(". ").next().unwrap_or_default().to_owned()
        };
        let slugs = kinds.filter_map(|kind| kind.as_str()?.strip_prefix("/problems/"));
        let problem = |slug: &str| Problem {
            status: status.to_owned(),
            slug: slug.to_owned(),
            title: title(slug),
        };
        slugs.map(problem).collect()
    }
}

/// The one media type of a body, and what it is.
fn content(body: &Value) -> (Option<&str>, &Value) {
    let first = body["content"].as_object().and_then(|content| content.iter().next());
    first.map_or((None, &Value::Null), |(kind, content)| (Some(kind), content))
}

/// What a reference stands for.
fn resolve<'a>(value: &'a Value, among: &'a BTreeMap<String, Value>) -> &'a Value {
    let name = value["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.map_or(value, |name| among.get(name).unwrap_or(&Value::Null))
}

fn who(security: &[BTreeMap<String, Vec<String>>]) -> String {
    let mut any = Vec::new();
    for one in security {
        let Some((scheme, scopes)) = one.first_key_value() else {
            any.push("anyone".to_owned());
            continue;
        };
        any.push(match scheme.as_str() {
            "session" => "a signed-in user".to_owned(),
            "accessToken" => {
                let scopes: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
                format!("their program with the scope {}", scopes.join(", "))
            }
            "refresh" => "a user with the refresh cookie".to_owned(),
            "apiToken" => "a program with its API token".to_owned(),
            _ => "Stripe".to_owned(),
        });
    }
    if any.is_empty() { "anyone".to_owned() } else { any.join("; ") }
}

/// The call, as a command.
fn curl(method: &str, path: &str, operation: &Operation, parameters: &[&Value]) -> String {
    let mut command = String::from("curl");
    let schemes: Vec<&str> =
        operation.security.iter().flat_map(|one| one.keys()).map(String::as_str).collect();
    if schemes.contains(&"session") || schemes.contains(&"refresh") {
        command.push_str(" -b jar");
    }
    let has_cookies = operation.responses.values().any(|it| !it["headers"]["Set-Cookie"].is_null());
    if has_cookies {
        command.push_str(" -c jar");
    }
    if schemes.contains(&"apiToken") {
        command.push_str(" -H \"Authorization: Bearer $TOKEN\"");
    }
    if method != "get" && (method != "post" || operation.request_body.is_null()) {
        command.push_str(&format!(" -X {}", method.to_ascii_uppercase()));
    }
    let mut address = path.to_owned();
    let mut query = Vec::new();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let example = schema::example(parameter);
        match parameter["in"].as_str() {
            Some("path") => address = address.replace(&format!("{{{name}}}"), &example),
            Some("query") if parameter["required"] == true => query.push((name, example)),
            Some("header") if name == "Idempotency-Key" => {
                command.push_str(" -H \"Idempotency-Key: $(uuidgen)\"");
            }
            Some(_) | None => {}
        }
    }
    if !query.is_empty() {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        address = format!("{address}?{query}");
    }
    let body = &content(&operation.request_body).1["example"];
    if !body.is_null() {
        command.push_str(" -H \"Content-Type: application/json\"");
    }
    command.push_str(&format!(" \"$BASE{address}\""));
    if !body.is_null() {
        // No example has a quote that a shell would take for its own.
        command.push_str(&format!(" \\\n  -d '{body}'"));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_document_is_shown() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let operations = document["paths"].as_object().unwrap().values();
        let operations: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
        let calls: Vec<&Call> = REFERENCE.groups.iter().flat_map(|group| &group.calls).collect();
        assert!(operations > 40 && calls.len() == operations, "{operations}, {}", calls.len());
        for call in calls {
            assert!(!call.responses.is_empty() && !call.problems.is_empty(), "{}", call.path);
            assert!(call.problems.iter().all(|problem| !problem.title.is_empty()), "{}", call.path);
            assert!(!call.example.contains("\"$BASE{"), "{}", call.example);
            assert_eq!(call.example.matches('\'').count() % 2, 0, "{}", call.example);
        }
    }

    #[test]
    fn a_call_is_shown_as_a_command() {
        let call = |anchor: &str| {
            let mut calls = REFERENCE.groups.iter().flat_map(|group| &group.calls);
            calls.find(|call| call.anchor == anchor).unwrap()
        };
        let reserve = call("orders-create");
        assert!(reserve.example.starts_with(
            "curl -b jar -H \"Idempotency-Key: $(uuidgen)\" -H \"Content-Type: application/json\" \"$BASE/api/orders\" \\\n  -d '{"
        ), "{}", reserve.example);
        assert!(reserve.problems.iter().any(|problem| problem.slug == "ticket-reserved"
            && problem.title == "The ticket is reserved"
            && problem.status == "409"));
        assert!(reserve.body.iter().any(|member| member.name == "ticketId" && member.is_required));
        let cancel = call("orders-cancel");
        let id = "01968d38-4f80-7c3a-9d2e-4b1d00003333";
        assert_eq!(cancel.example, format!("curl -b jar -X DELETE \"$BASE/api/orders/{id}\""));
    }
}
