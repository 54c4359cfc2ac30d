//! What the calls of a document refer to: schemas of types, and responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

/// Whether a body is sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// What calls refer to.
#[derive(Default)]
pub(super) struct Components {
    pub(super) schemas: BTreeMap<String, Value>,
    pub(super) responses: BTreeMap<String, Value>,
    /// By schema and member.
    max_chars: BTreeMap<(String, &'static str), usize>,
}

impl Components {
    /// Adds a type's schema and those that it refers to; returns the reference.
    pub(super) fn add<T: ToSchema>(&mut self, direction: Direction) -> Value {
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
    pub(super) fn limit(&mut self, reference: &Value, max_chars: &[(&'static str, usize)]) {
        let name = reference["$ref"].as_str().and_then(|it| it.rsplit('/').next());
        for (member, max) in max_chars {
            self.max_chars.insert((name.unwrap_or_default().to_owned(), member), *max);
        }
    }

    pub(super) fn limited(&mut self) {
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
pub(super) fn without_null(schema: &mut Value) {
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
