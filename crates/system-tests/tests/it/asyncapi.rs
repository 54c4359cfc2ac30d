//! The AsyncAPI document: it says what is on the bus, and nothing that was released is taken away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use common::events::{Stream, Subject};
use futures::{StreamExt as _, TryStreamExt as _};
use jsonschema::Validator;
use serde_json::{Value, json};
use testkit::environment;

use crate::shared;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bus").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

#[test]
fn the_asyncapi_document_is_that_of_the_catalogue() {
    let expected = format!("{:#}\n", bus::asyncapi::document());
    let file = path("asyncapi.json");
    if environment::updates() {
        fs::write(&file, &expected).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap();
    assert!(
        committed == expected,
        "the catalogue has changed. Check compatibility, then: \
         UPDATE=1 cargo xtask test -- -p system-tests --test it asyncapi"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = bus::asyncapi::document();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > Subject::ALL.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            found.extend(reference.map(str::to_owned));
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of a part of the document, which may refer to its other parts.
fn validator(document: &Value, part: &str) -> Validator {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("#{part}"),
        "components": document["components"],
    });
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn problems(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Every event that is on the bus when a ticket was sold and refunded, and another reservation was cancelled.
#[tokio::test]
async fn what_is_published_is_what_the_document_says() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let sold = seller.offers("Lakmé", "20.50").await;
    let order = buyer.reserves(&sold).await;
    buyer.pays(&order, "tok_chargeDeclined").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    buyer.sees_order(&order, "complete").await;
    let payment = buyer.sees_payment(&order, "completed").await;
    seller.refunds(payment["id"].as_str().unwrap()).await.expect(202);
    buyer.sees_payment(&order, "refunded").await;
    let left = buyer.reserves(&seller.offers("Carmen", "20.50").await).await;
    buyer.cancels(&left).await.expect(204);

    let document = bus::asyncapi::document();
    let headers = validator(&document, "/components/schemas/EventHeaders");
    let jetstream = jetstream::new(stack.nats().await.unwrap());
    let mut seen = BTreeSet::new();
    for stream in Stream::ALL {
        for (subject, message_headers, data) in messages(&jetstream, stream).await {
            let payload = format!("/components/messages/{subject}/payload");
            let data: Value = serde_json::from_slice(&data).unwrap();
            let wrong = problems(&validator(&document, &payload), &data);
            assert!(wrong.is_empty(), "{subject}: {wrong:#?} in {data:#}");
            let wrong = problems(&headers, &message_headers);
            assert!(wrong.is_empty(), "{subject}: {wrong:#?} in {message_headers:#}");
            seen.insert(subject);
        }
    }
    let expected = [
        "order.completed",
        "order.cancelled",
        "payment.failed",
        "payment.refunded",
        "ticket.reserved",
    ];
    for subject in expected {
        assert!(seen.contains(subject), "{subject} wasn't among {seen:?}");
    }
}

async fn messages(jetstream: &jetstream::Context, stream: Stream) -> Vec<(String, Value, Vec<u8>)> {
    let stream = jetstream.get_stream(stream.name()).await.unwrap();
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let count = consumer.cached_info().num_pending;
    let messages = consumer.messages().await.unwrap();
    let messages = messages.take(usize::try_from(count).unwrap()).map_ok(|message| {
        let headers = message.headers.as_ref().map(headers_of).unwrap_or_default();
        (message.subject.to_string(), headers, message.payload.to_vec())
    });
    messages.try_collect().await.unwrap()
}

fn headers_of(headers: &HeaderMap) -> Value {
    headers.iter().map(|(name, values)| (name.to_string(), json!(values[0].as_str()))).collect()
}

/// What only replicas of 0.1.0 read: none is left where this version runs (`docs/operating.md`).
const REMOVED: [&str; 2] = ["Order.hold is gone", "Ticket.hold is gone"];

#[test]
fn what_was_released_is_still_promised() {
    let (released, now) = (read("asyncapi.released.json"), bus::asyncapi::document());
    assert_eq!(breaking_changes(&released, &now), REMOVED);
}

#[test]
fn a_change_that_breaks_consumers_is_detected() {
    let released = bus::asyncapi::document();
    let order = "/components/schemas/Order";
    let broken = |pointer: &str, change: &dyn Fn(&mut Value)| {
        let mut changed = released.clone();
        change(changed.pointer_mut(pointer).expect(pointer));
        breaking_changes(&released, &changed)
    };
    let without = |name: &'static str| {
        move |value: &mut Value| drop(value.as_object_mut().unwrap().remove(name))
    };
    assert_eq!(broken("/channels", &without("order.created")).len(), 1, "a subject is gone");
    let member = broken(&format!("{order}/properties"), &without("expiresAt"));
    assert_eq!(member.len(), 1, "a member is gone: {member:?}");
    let optional = broken(&format!("{order}/required"), &|required| {
        required.as_array_mut().unwrap().retain(|name| name != "total");
    });
    assert_eq!(optional.len(), 1, "a member may be absent: {optional:?}");
    let kind = broken("/components/schemas/Money/type", &|kind| *kind = json!("string"));
    assert_eq!(kind.len(), 1, "another type: {kind:?}");
    let value =
        broken("/channels/order.created/address", &|address| *address = json!("orders.created"));
    assert_eq!(value.len(), 1, "another address: {value:?}");
    let reason = broken("/components/schemas/CancelReason/oneOf", &|values| {
        values.as_array_mut().unwrap().retain(|value| value["const"] != "expired");
    });
    assert_eq!(reason, ["CancelReason is never expired"]);
    // A consumer leaves a value that it doesn't know to a later version.
    let added = broken(&format!("{order}/properties"), &|properties| {
        properties["another"] = json!({ "type": "string" });
    });
    assert_eq!(added, [""; 0], "a member was added");
}

/// What consumers of the released document may rely on, and the other doesn't promise.
fn breaking_changes(released: &Value, now: &Value) -> Vec<String> {
    let mut breaking = Vec::new();
    for (name, channel) in released["channels"].as_object().unwrap() {
        match now["channels"].get(name) {
            None => breaking.push(format!("{name} is gone")),
            Some(other) if other["address"] != channel["address"] => {
                breaking.push(format!("{name} has another address"));
            }
            Some(_) => {}
        }
    }
    for (name, message) in released["components"]["messages"].as_object().unwrap() {
        if let Some(other) = now["components"]["messages"].get(name) {
            compare(name, (released, &message["payload"]), (now, &other["payload"]), &mut breaking);
        }
    }
    breaking.sort();
    breaking.dedup();
    breaking
}

type InDocument<'a> = (&'a Value, &'a Value);

fn compare(at: &str, before: InDocument<'_>, after: InDocument<'_>, breaking: &mut Vec<String>) {
    let ((before_name, before), (after_name, after)) = (resolved(before), resolved(after));
    // Of a type that several events carry, each difference is said once.
    let at = match (before_name, after_name) {
        (Some(name), _) => name,
        (None, _) => at.to_owned(),
    };
    if types(before.1) != types(after.1) {
        breaking.push(format!("{at} has another type"));
    }
    for value in values(before.1).difference(&values(after.1)) {
        breaking.push(format!("{at} is never {value}"));
    }
    let required = |value: &Value| -> BTreeSet<String> {
        let names = value["required"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for name in required(before.1).difference(&required(after.1)) {
        if after.1["properties"].get(name).is_some() {
            breaking.push(format!("{at}.{name} may be absent"));
        }
    }
    for (name, member) in before.1["properties"].as_object().into_iter().flatten() {
        match after.1["properties"].get(name) {
            None => breaking.push(format!("{at}.{name} is gone")),
            Some(other) => {
                compare(&format!("{at}.{name}"), (before.0, member), (after.0, other), breaking);
            }
        }
    }
    if let (Some(item), Some(other)) = (before.1.get("items"), after.1.get("items")) {
        compare(&format!("{at}[]"), (before.0, item), (after.0, other), breaking);
    }
}

/// What a schema refers to, and its name; also one that is described, or may be null, besides.
fn resolved(schema: InDocument<'_>) -> (Option<String>, InDocument<'_>) {
    let (document, value) = schema;
    let wrapped = ["anyOf", "allOf"].into_iter().filter_map(|name| value[name].as_array());
    let one = wrapped.flatten().find(|one| one["type"] != "null").unwrap_or(value);
    match one["$ref"].as_str() {
        Some(reference) => {
            let target = document.pointer(reference.trim_start_matches('#')).expect(reference);
            let name = reference.rsplit('/').next().map(str::to_owned);
            (name, resolved((document, target)).1)
        }
        None => (None, (document, one)),
    }
}

/// The values of an enum.
fn values(schema: &Value) -> BTreeSet<String> {
    let values = schema["oneOf"].as_array().into_iter().flatten();
    values.filter_map(|one| one["const"].as_str()).map(str::to_owned).collect()
}

/// Its types, without null: whether a member may be absent is compared by itself.
fn types(schema: &Value) -> BTreeSet<String> {
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(one) => BTreeSet::from([one.clone()]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => BTreeSet::new(),
    };
    types.into_iter().filter(|one| one != "null").collect()
}
