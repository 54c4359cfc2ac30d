//! The events as an AsyncAPI document, out of the catalogue: what each is, who publishes it, who consumes it and as whom on
//! the bus. `asyncapi.json` is its committed form, which web serves.
//!
//! <https://www.asyncapi.com/docs/reference/specification/v3.1.0>

use common::events::{Stream, Subject};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::connection::inbox_of;
use crate::streams::{ADVISORIES, DEAD, DEAD_SUBJECTS};
use crate::users::{User, users};

/// The document as it is committed; a test holds it against the catalogue.
pub const COMMITTED: &str = include_str!("../asyncapi.json");

/// The whole document, out of the catalogue.
pub fn document() -> Value {
    let mut generator = generator();
    let messages: Map<String, Value> = each(|subject| message(subject, &mut generator));
    let mut schemas = generator.take_definitions(true);
    schemas.insert("EventHeaders".to_owned(), headers());
    json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": "Ticketing's events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What services publish on NATS JetStream. At least once and in no particular order: \
                consumers compare `version`, ignore members that they don't know, and acknowledge what they have handled. \
                Members are only ever added.",
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "nats:4222",
                "protocol": "nats",
                "description": "Inside of the cluster. Each service is a user of its own, with the permissions of x-permissions.",
                "security": [{ "$ref": "#/components/securitySchemes/user" }],
            },
        },
        "channels": each(channel),
        "operations": operations(),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "user": { "type": "userPassword", "description": "NATS' user and password of a service." },
            },
        },
        "x-streams": streams(),
        "x-permissions": permissions(),
    })
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft07().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

fn each(mut entry: impl FnMut(Subject) -> Value) -> Map<String, Value> {
    Subject::ALL.iter().map(|subject| (subject.to_string(), entry(*subject))).collect()
}

fn reference(kind: &str, subject: Subject) -> Value {
    json!({ "$ref": format!("#/{kind}/{subject}") })
}

fn message(subject: Subject, generator: &mut SchemaGenerator) -> Value {
    json!({
        "name": subject.as_str(),
        "summary": subject.meaning(),
        "contentType": "application/json",
        "headers": { "$ref": "#/components/schemas/EventHeaders" },
        "payload": subject.schema(generator),
    })
}

fn channel(subject: Subject) -> Value {
    json!({
        "address": subject.as_str(),
        "summary": subject.meaning(),
        "messages": { subject.as_str(): reference("components/messages", subject) },
        "x-stream": subject.stream().name(),
    })
}

/// The publisher of each event sends it; its consumers receive it through their durable consumer, which all replicas share.
fn operations() -> Map<String, Value> {
    let mut operations = Map::new();
    for subject in Subject::ALL.iter().copied() {
        let publisher = subject.stream().publisher();
        let send = json!({
            "action": "send",
            "channel": reference("channels", subject),
            "summary": subject.meaning(),
            "x-service": publisher,
        });
        operations.insert(format!("{publisher}.sends.{subject}"), send);
        for consumer in subject.consumers() {
            let receive = json!({
                "action": "receive",
                "channel": reference("channels", subject),
                "bindings": { "nats": { "queue": consumer, "bindingVersion": "0.1.0" } },
                "x-service": consumer,
                "x-durable": { "stream": subject.stream().name(), "consumer": consumer },
            });
            operations.insert(format!("{consumer}.receives.{subject}"), receive);
        }
    }
    operations
}

/// CloudEvents 1.0 in binary mode.
fn headers() -> Value {
    json!({
        "type": "object",
        "required": ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "content-type", "Nats-Msg-Id"],
        "properties": {
            "ce-specversion": { "const": "1.0" },
            "ce-id": {
                "type": "string",
                "description": "`<type>:<aggregate id>:<version>`, with a suffix if it is published again.",
            },
            "ce-type": { "type": "string", "description": "The subject." },
            "ce-source": { "type": "string", "examples": ["/services/orders"] },
            "ce-subject": { "type": "string", "description": "The aggregate's id." },
            "ce-time": { "type": "string", "format": "date-time" },
            "content-type": { "const": "application/json" },
            "traceparent": { "type": "string", "description": "The trace, if there is one." },
            "Nats-Msg-Id": { "type": "string", "description": "As ce-id: a duplicate within two minutes is discarded." },
        },
    })
}

fn streams() -> Map<String, Value> {
    let of_events = Stream::ALL.into_iter().map(|stream| {
        let described = json!({
            "subjects": [stream.subjects()],
            "publisher": stream.publisher(),
            "durableConsumers": stream.consumers(),
            "ephemeralConsumers": stream.watchers(),
        });
        (stream.name().to_owned(), described)
    });
    let dead =
        json!({ "subjects": [DEAD_SUBJECTS], "description": "Dead letters of every service." });
    let advisories = json!({ "description": "What JetStream stops delivering: a work queue." });
    of_events.chain([(DEAD.to_owned(), dead), (ADVISORIES.to_owned(), advisories)]).collect()
}

fn permissions() -> Map<String, Value> {
    let of_user = |User { name, publish, subscribe }: User| {
        let inbox = inbox_of(name);
        (name.to_owned(), json!({ "publish": publish, "subscribe": subscribe, "inbox": inbox }))
    };
    users().into_iter().map(of_user).collect()
}
