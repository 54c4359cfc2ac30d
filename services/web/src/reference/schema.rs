//! Schemas in words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::Text;

/// A member of an object, or a parameter.
pub struct Member {
    pub name: String,
    pub kind: Type,
    pub is_required: bool,
    /// Of a parameter: where it is.
    pub place: Option<String>,
    pub text: Text,
}

/// What a value is: in words, or another schema's name.
#[derive(Clone)]
pub struct Type {
    pub words: String,
    pub schema: Option<String>,
}

impl Member {
    pub(super) fn of_parameter(parameter: &Value) -> Member {
        Member {
            name: text(&parameter["name"]),
            kind: kind(&parameter["schema"]),
            is_required: parameter["required"] == true,
            place: parameter["in"].as_str().map(str::to_owned),
            text: Text::of(&text(&parameter["description"])),
        }
    }
}

/// The members of an object, with those of the schemas that it is composed of.
pub(super) fn members(schema: &Value, schemas: &BTreeMap<String, Value>) -> Vec<Member> {
    if let Some(name) = referred(schema) {
        return schemas.get(&name).map(|schema| members(schema, schemas)).unwrap_or_default();
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut all: Vec<Member> = parts.flat_map(|part| members(part, schemas)).collect();
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        all.push(Member {
            name: name.clone(),
            kind: kind(member),
            is_required: required.iter().any(|it| it == name),
            place: None,
            text: Text::of(&about(member)),
        });
    }
    all
}

/// The names of which a text is one.
pub(super) fn names(schema: &Value) -> Vec<String> {
    schema["enum"].as_array().into_iter().flatten().map(text).collect()
}

/// The schema that is referred to.
pub(super) fn reference(schema: &Value) -> Option<Type> {
    referred(schema).map(|name| Type { words: String::new(), schema: Some(name) })
}

/// The example of a parameter.
pub(super) fn example(parameter: &Value) -> String {
    let own = &parameter["example"];
    let first = &parameter["schema"]["examples"][0];
    text(if own.is_null() { first } else { own })
}

fn referred(schema: &Value) -> Option<String> {
    schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()).map(str::to_owned)
}

/// Its own description, or that of its alternative beside null.
fn about(schema: &Value) -> String {
    let own = text(&schema["description"]);
    if own.is_empty() { text(&schema["oneOf"][0]["description"]) } else { own }
}

pub(super) fn kind(schema: &Value) -> Type {
    if let Some(name) = referred(schema) {
        return Type { words: String::new(), schema: Some(name) };
    }
    if let Some(first) =
        schema["oneOf"].as_array().and_then(|any| any.iter().find(|one| one["type"] != "null"))
    {
        return kind(first);
    }
    let names = &schema["type"];
    let name = names.as_str().or_else(|| names[0].as_str()).unwrap_or_default();
    if name == "array" {
        let Type { words, schema } = kind(&schema["items"]);
        return Type { words: format!("a list of {words}").trim_end().to_owned(), schema };
    }
    let mut words = match name {
        "integer" => "a whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "number" => "a number".to_owned(),
        "object" => "an object".to_owned(),
        _ => "a text".to_owned(),
    };
    let bounds = [("minimum", "at least"), ("maximum", "at most")];
    for (bound, says) in bounds {
        if let Some(number) = schema[bound].as_i64() {
            words.push_str(&format!(", {says} {number}"));
        }
    }
    if let Some(max) = schema["maxLength"].as_i64() {
        words.push_str(&format!(", up to {max} characters"));
    }
    Type { words, schema: None }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(
        || if value.is_null() { String::new() } else { value.to_string() },
        str::to_owned,
    )
}
