//! An upgrade: this version reads what the one before it has stored and told. The samples in `samples/` were written by
//! that one; they are added to when something new is stored or told, and never changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bson::{Bson, Document, doc};
use common::events::Subject;
use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use system_tests::Stack;
use testkit::environment;

use crate::shared;

type Reader = fn(Document) -> bson::error::Result<Document>;

/// Every collection, by its service, and as what it is read.
const COLLECTIONS: [(&str, &str, Reader); 8] = [
    ("auth", "users", through::<auth::domain::User>),
    ("auth", "sessions", through::<auth::domain::Session>),
    ("tickets", "tickets", through::<tickets::domain::Ticket>),
    ("orders", "orders", through::<orders::domain::Order>),
    ("orders", "tickets", through::<orders::domain::TicketReplica>),
    ("orders", "people", through::<orders::domain::UserReplica>),
    ("payments", "payments", through::<payments::domain::Payment>),
    ("expiration", "schedules", through::<expiration::domain::Schedule>),
];
/// What stands in a collection only while a restored database is raised.
const PASSING: &str = "restores";

fn through<T: Serialize + DeserializeOwned>(document: Document) -> bson::error::Result<Document> {
    // As the driver does it: else times are read and written as text.
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
            "{name} has no sample: {} is to hold a list of some, as they are written today",
            file.display()
        )
    });
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!list.is_empty(), "{}", file.display());
    list
}

/// As a later version may write it.
fn with_more(sample: &Value) -> Value {
    let mut more = sample.clone();
    more["ofALaterVersion"] = serde_json::json!({ "unknown": [1] });
    more
}

#[test]
fn every_event_has_a_sample_and_each_sample_is_read_with_all_that_it_says() {
    for subject in Subject::ALL {
        for sample in read("events", subject.as_str()) {
            for told in [sample.clone(), with_more(&sample)] {
                let understood = subject.round_trip(told.to_string().as_bytes());
                let understood = understood.unwrap_or_else(|error| panic!("{subject}: {error}"));
                for (member, value) in sample.as_object().unwrap() {
                    assert_eq!(&understood[member], value, "{subject}: {member}");
                }
            }
        }
    }
}

#[test]
fn every_collection_has_samples_and_each_of_them_is_read() {
    for (service, collection, through) in COLLECTIONS {
        let name = format!("{service}.{collection}");
        for sample in read("documents", &name) {
            for stored in [sample.clone(), with_more(&sample)] {
                let stored: Document = serde_json::from_value(stored).unwrap();
                let understood = through(stored.clone());
                let understood =
                    understood.unwrap_or_else(|error| panic!("{name}: {error}: {stored}"));
                for (member, value) in understood {
                    // What wasn't there is what it is by default, and nothing that was there is taken for something else.
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

/// JSON doesn't tell an Int32 from an Int64.
fn same(one: &Bson, other: &Bson) -> bool {
    serde_json::to_value(one).unwrap() == serde_json::to_value(other).unwrap()
}

#[tokio::test]
async fn every_collection_that_a_service_makes_is_one_that_has_samples() {
    let stack = shared::hasty().await;
    sales(stack).await;
    for service in shared::SERVICES {
        let database = stack.database(service).await;
        for name in database.list_collection_names().await.unwrap() {
            let known =
                COLLECTIONS.iter().any(|(of, its, _)| (*of, *its) == (service, name.as_str()));
            assert!(
                known || name == PASSING,
                "{service} keeps {name}, of which there is no sample"
            );
            let file = samples("documents", &format!("{service}.{name}"));
            if environment::updates() && known && !file.exists() {
                let documents = database.collection::<Document>(&name);
                let found: Vec<Document> =
                    documents.find(doc! {}).await.unwrap().try_collect().await.unwrap();
                let text = serde_json::to_string_pretty(&one_of_each_kind(found)).unwrap();
                fs::write(file, text + "\n").unwrap();
            }
        }
    }
}

/// Sold, given up, run out, declined, given back and deleted.
async fn sales(stack: &Stack) {
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let mut orders = Vec::new();
    for title in ["sold", "given back", "given up", "declined", "run out"] {
        let ticket = seller.offers(title, "20.50").await;
        let order = buyer.holds(&ticket).await;
        buyer.sees_order(&order, "awaiting:payment").await;
        match title {
            "sold" => drop(buyer.pays(&order, "tok_visa").await.expect(201)),
            "given back" => {
                buyer.pays(&order, "tok_visa").await.expect(201);
                buyer.sees_order(&order, "complete").await;
                let payment = buyer.payment(&order).await["id"].as_str().unwrap().to_owned();
                seller.refunds(&payment).await.expect(202);
            }
            "given up" => drop(buyer.cancels(&order).await.expect(204)),
            "declined" => drop(buyer.pays(&order, "tok_chargeDeclined").await.expect(402)),
            _ => {}
        }
        orders.push((order, title));
    }
    for (order, title) in orders {
        let end = if title == "sold" { "complete" } else { "cancelled" };
        buyer.sees_order(&order, end).await;
    }
}

/// Of documents with the same members and states, one.
fn one_of_each_kind(documents: Vec<Document>) -> Vec<Document> {
    let mut seen = BTreeSet::new();
    let is_new = |document: &Document| seen.insert(kind("", &Bson::Document(document.clone())));
    documents.into_iter().filter(is_new).collect()
}

/// Which members a value has, of which types; and in which state it is.
fn kind(member: &str, value: &Bson) -> String {
    if let Some(document) = value.as_document() {
        let members = document.iter().map(|(name, value)| (name, kind(name, value)));
        return format!("{:?}", members.collect::<Vec<_>>());
    }
    if let Some(list) = value.as_array() {
        let kinds: BTreeSet<_> = list.iter().map(|value| kind(member, value)).collect();
        return format!("{kinds:?}");
    }
    let state = value.as_str().filter(|_| STATES.contains(&member));
    state.map_or_else(|| format!("{:?}", value.element_type()), str::to_owned)
}

/// Members that say in which state something is.
const STATES: [&str; 3] = ["status", "state", "cancelReason"];
