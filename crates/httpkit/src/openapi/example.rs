//! Examples of bodies, made of those of their members.

use serde_json::{Map, Value, json};

/// Gives each body of the document an example, unless it has one.
pub(super) fn complete(document: &mut Value, schemas: &Value) {
    match document {
        Value::Object(members) => {
            if let Some(Value::Object(content)) = members.get_mut("content") {
                for body in content.values_mut().filter_map(Value::as_object_mut) {
                    let example = body.get("schema").map(|schema| of(schema, schemas));
                    if let (false, Some(example)) = (body.contains_key("example"), example) {
                        body.insert("example".to_owned(), example);
                    }
                }
            }
            members.values_mut().for_each(|member| complete(member, schemas));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| complete(item, schemas)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An example of what the schema describes: its own, or one of its members. A member that may be omitted is in it if it has an
/// example of its own.
fn of(schema: &Value, schemas: &Value) -> Value {
    if let Some(example) = own(schema) {
        return example;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return of(&schemas[name], schemas);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| of(part, schemas));
        let members = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(members.collect());
    }
    if let Some(first) = schema["oneOf"].as_array().and_then(|any| any.first()) {
        return of(first, schemas);
    }
    let kinds = &schema["type"];
    match kinds.as_str().or_else(|| kinds[0].as_str()) {
        Some("array") => json!([of(&schema["items"], schemas)]),
        Some("object") => Value::Object(members(schema, schemas)),
        Some("boolean") => json!(false),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("string") => json!("…"),
        Some(_) | None => Value::Null,
    }
}

/// What the schema itself says.
fn own(schema: &Value) -> Option<Value> {
    let among = |name: &str| schema[name].as_array().and_then(|all| all.first()).cloned();
    schema.get("example").cloned().or_else(|| among("examples")).or_else(|| among("enum"))
}

fn members(schema: &Value, schemas: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let shown = properties
        .filter(|(name, member)| required.iter().any(|it| it == *name) || own(member).is_some());
    shown.map(|(name, member)| (name.clone(), of(member, schemas))).collect()
}
