//! Upgrades: this version reads what the previous one has stored and published. The samples in `samples/` were written by
//! it; new ones are added when something new is stored or published, and existing ones are never changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bson::{Bson, Document, doc};
use common::events::Subject;
use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use system_tests::checker::Acknowledged;
use system_tests::{Stack, chaos, workspace};
use testkit::environment;

use crate::shared;

type Reader = fn(Document) -> bson::error::Result<Document>;

/// Every collection, with its service and the reader of its documents.
const COLLECTIONS: [(&str, &str, Reader); 18] = [
    ("auth", "users", round_trip::<auth::domain::User>),
    ("auth", "sessions", round_trip::<auth::domain::Session>),
    ("auth", "api_tokens", round_trip::<auth::domain::ApiToken>),
    ("tickets", "tickets", round_trip::<tickets::domain::Ticket>),
    ("tickets", "reservations", round_trip::<tickets::domain::Reservation>),
    ("tickets", "doors", round_trip::<tickets::domain::Door>),
    ("tickets", "sellers", round_trip::<tickets::domain::SellerReplica>),
    ("orders", "orders", round_trip::<orders::domain::Order>),
    ("orders", "tickets", round_trip::<orders::domain::TicketReplica>),
    ("orders", "people", round_trip::<orders::domain::UserReplica>),
    ("payments", "payments", round_trip::<payments::domain::OrderPayment>),
    ("payments", "webhooks", round_trip::<payments::domain::WebhookEvent>),
    ("payments", "sweeps", round_trip::<payments::domain::EventSweep>),
    ("expiration", "schedules", round_trip::<expiration::domain::Schedule>),
    ("confirmation", "mails", round_trip::<confirmation::domain::Mail>),
    ("confirmation", "users", round_trip::<confirmation::domain::UserReplica>),
    ("confirmation", "orders", round_trip::<confirmation::domain::OrderReplica>),
    ("confirmation", "beginnings", round_trip::<confirmation::store::Beginning>),
];
/// Collections that exist only while the versions of a restored database are bumped, or hold only what is forgotten within
/// minutes.
const TEMPORARY: [&str; 3] = ["recoveries", "restores", "revocations"];

fn round_trip<T: Serialize + DeserializeOwned>(
    document: Document,
) -> bson::error::Result<Document> {
    // As the driver does it: serde_json would treat times as text.
    let read: T = bson::deserialize_from_slice(&bson::serialize_to_vec(&document)?)?;
    store::mongo::document(&read)
}

fn samples(of: &str, name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples");
    PathBuf::from(folder).join(of).join(format!("{name}.json"))
}

fn read(of: &str, name: &str) -> Vec<Value> {
    let file = samples(of, name);
    let text = fs::read_to_string(&file).unwrap_or_else(|_| {
        panic!(
            "{name} has no sample: {} must contain a list of documents as they are written today",
            file.display()
        )
    });
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!list.is_empty(), "{}", file.display());
    list
}

/// The fencing number of 0.1.0, in events and documents: nobody reads it any more.
const FORGOTTEN: [&str; 3] = ["hold", "holdVersion", "writtenHold"];

/// With a member that a later version may add.
fn with_unknown_member(sample: &Value) -> Value {
    let mut more = sample.clone();
    more["ofALaterVersion"] = serde_json::json!({ "unknown": [1] });
    more
}

#[test]
fn every_event_has_samples_that_are_read_completely() {
    for subject in Subject::ALL {
        for sample in read("events", subject.as_str()) {
            for published in [sample.clone(), with_unknown_member(&sample)] {
                let understood = subject.round_trip(published.to_string().as_bytes());
                let understood = understood.unwrap_or_else(|error| panic!("{subject}: {error}"));
                let understood = without_nulls(understood);
                let sample = without_nulls(sample.clone());
                assert!(keeps(&sample, &understood), "{subject}: {sample} became {understood}");
            }
        }
    }
}

/// Events, documents and what web reads of the API: a later version may add a value.
#[test]
fn every_enum_that_is_read_has_an_arm_for_values_of_later_versions() {
    let folders = ["crates/common/src".to_owned()].into_iter();
    let services =
        workspace::services().into_iter().map(|service| format!("services/{service}/src"));
    let files = folders
        .chain(services)
        .flat_map(|folder| workspace::rust_files(&workspace::root().join(folder)));
    let mut read = BTreeSet::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for (start, _) in source.match_indices("enum ") {
            let (before, rest) = source.split_at(start);
            // Its attributes: everything since the blank line or the end of the item before.
            let attributes =
                before.rsplit_once("\n\n").map_or(before, |(_, attributes)| attributes);
            let Some((name, body)) = rest["enum ".len()..].split_once(" {") else { continue };
            if name.contains(char::is_whitespace) || !attributes.contains("Deserialize") {
                continue;
            }
            let body = body.split("\n}").next().unwrap();
            let has_arm = body.contains("serde(other") || body.contains("serde(untagged");
            assert!(has_arm, "{}: {name} has no arm for other values", file.display());
            read.insert(name.to_owned());
        }
    }
    assert!(read.contains("OrderStatus") && read.contains("RequestOutcome"), "{read:?}");
}

#[test]
fn every_collection_has_samples_that_are_read_completely() {
    for (service, collection, round_trip) in COLLECTIONS {
        let name = format!("{service}.{collection}");
        for sample in read("documents", &name) {
            for stored in [sample.clone(), with_unknown_member(&sample)] {
                let stored: Document = serde_json::from_value(stored).unwrap();
                let understood = round_trip(stored.clone());
                let understood =
                    understood.unwrap_or_else(|error| panic!("{name}: {error}: {stored}"));
                let read = |member: &str| !FORGOTTEN.contains(&member);
                for (member, value) in understood.into_iter().filter(|(name, _)| read(name)) {
                    // A missing member has its default, and no existing member changes its value.
                    let before = stored.get(&member).unwrap_or(&Bson::Null);
                    let is_default = before == &Bson::Null;
                    assert!(
                        is_default || same(before, &value),
                        "{name}: {member}: {before} became {value}"
                    );
                }
            }
        }
    }
}

/// JSON doesn't distinguish an Int32 from an Int64.
fn same(before: &Bson, after: &Bson) -> bool {
    let plain = |value: &Bson| without_nulls(serde_json::to_value(value).unwrap());
    keeps(&plain(before), &plain(after))
}

/// Whether nothing of a value is lost or changed, at any depth; what it doesn't have may have got its default.
fn keeps(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .filter(|(name, _)| !FORGOTTEN.contains(&name.as_str()))
            .all(|(name, value)| after.get(name).is_some_and(|after| keeps(value, after))),
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| keeps(before, after))
        }
        (before, after) => before == after,
    }
}

/// A missing member and null mean the same, at any depth.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            present.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[tokio::test]
async fn every_collection_that_a_service_creates_has_samples() {
    let stack = shared::short_reservations().await;
    sales(stack).await;
    for service in workspace::services_with_database() {
        let database = stack.database(&service).await;
        for name in database.list_collection_names().await.unwrap() {
            let known = COLLECTIONS
                .iter()
                .any(|(of, its, _)| (*of, *its) == (service.as_str(), name.as_str()));
            assert!(
                known || TEMPORARY.contains(&name.as_str()),
                "{service} has the collection {name}, which has no sample"
            );
            let file = samples("documents", &format!("{service}.{name}"));
            if environment::updates() && known && !file.exists() {
                let documents = database.collection::<Document>(&name);
                let found: Vec<Document> =
                    documents.find(doc! {}).await.unwrap().try_collect().await.unwrap();
                let text = serde_json::to_string_pretty(&one_of_each_shape(found)).unwrap();
                fs::write(file, text + "\n").unwrap();
            }
        }
    }
}

/// `UPDATE=1` writes the samples of an event that is new.
#[tokio::test]
async fn every_event_of_a_sale_has_samples() {
    let stack = shared::short_reservations().await;
    sales(stack).await;
    let servers = chaos::connect(stack).await.unwrap();
    let snapshot = servers.read(Acknowledged::default(), false).await.unwrap();
    for subject in Subject::ALL {
        let published = snapshot.events.iter().filter(|event| event.is(*subject));
        let file = samples("events", subject.as_str());
        if environment::updates() && !file.exists() {
            let bodies: Vec<&Value> = published.clone().map(|event| &event.data).take(3).collect();
            fs::write(&file, serde_json::to_string_pretty(&bodies).unwrap() + "\n").unwrap();
        }
        assert!(published.count() == 0 || file.exists(), "{subject} has no samples");
    }
}

/// Orders that are sold, refunded, cancelled, declined and expired; and two of several places, of which one is refunded without
/// putting them back on sale.
async fn sales(stack: &Stack) {
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let mut orders = Vec::new();
    for title in ["sold", "refunded", "cancelled", "declined", "expired"] {
        let ticket = seller.offers(title, "20.50").await;
        let order = buyer.reserves(&ticket).await;
        buyer.sees_order(&order, "awaiting:payment").await;
        match title {
            "sold" => drop(buyer.pays(&order, "tok_visa").await.expect(201)),
            "refunded" => {
                buyer.pays(&order, "tok_visa").await.expect(201);
                buyer.sees_order(&order, "complete").await;
                let payment = buyer.payment(&order).await["id"].as_str().unwrap().to_owned();
                seller.refunds(&payment).await.expect(202);
            }
            "cancelled" => drop(buyer.cancels(&order).await.expect(204)),
            "declined" => drop(buyer.pays(&order, "tok_chargeDeclined").await.expect(402)),
            _ => {}
        }
        orders.push((order, title));
    }
    let many = seller.offers_many("many", "20.50", 5).await;
    for is_withdrawn in [false, true] {
        let order = buyer.orders_many(&many, 2).await.expect(201);
        let order = order["id"].as_str().unwrap().to_owned();
        let paid = buyer.pays(&order, "tok_visa").await.expect(201);
        buyer.sees_order(&order, "complete").await;
        if is_withdrawn {
            seller.withdraws(paid["id"].as_str().unwrap()).await.expect(202);
        }
        orders.push((order, if is_withdrawn { "withdrawn" } else { "sold" }));
    }
    for (order, title) in orders {
        let end = if title == "sold" { "complete" } else { "cancelled" };
        buyer.sees_order(&order, end).await;
    }
}

/// One document of each shape and state.
fn one_of_each_shape(documents: Vec<Document>) -> Vec<Document> {
    let mut seen = BTreeSet::new();
    let is_new = |document: &Document| seen.insert(shape("", &Bson::Document(document.clone())));
    documents.into_iter().filter(is_new).collect()
}

/// The members of a value, their types, and its state.
fn shape(member: &str, value: &Bson) -> String {
    if let Some(document) = value.as_document() {
        let members = document.iter().map(|(name, value)| (name, shape(name, value)));
        return format!("{:?}", members.collect::<Vec<_>>());
    }
    if let Some(list) = value.as_array() {
        let shapes: BTreeSet<_> = list.iter().map(|value| shape(member, value)).collect();
        return format!("{shapes:?}");
    }
    let state = value.as_str().filter(|_| STATES.contains(&member));
    state.map_or_else(|| format!("{:?}", value.element_type()), str::to_owned)
}

/// Members that contain a state.
const STATES: [&str; 3] = ["status", "state", "cancelReason"];
