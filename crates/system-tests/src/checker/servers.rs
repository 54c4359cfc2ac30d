//! Reading a snapshot from the servers: MongoDB, NATS, Redis, Stripe's double, and the local mailbox.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use common::events::Stream;
use futures::{StreamExt, TryStreamExt};
use mongodb::bson::{self, Bson, DateTime, Document, doc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::acknowledged::Acknowledged;
use super::catalogue;
use super::snapshot::{DeadLetter, Event, Ledger, OplogEntry, Snapshot, StripeEvent};

const DEAD: &str = "DEAD";
const TIMERS: &str = "expiration:due";
/// Where an entry of the oplog has the new values: in a whole document, and among the changed and the added members.
const CHANGES: [&[&str]; 3] = [&["o"], &["o", "diff", "u"], &["o", "diff", "i"]];
/// Where an entry of the oplog has changed check-ins: in a whole document, as a new array, or as a difference of the array.
const CHECK_INS: [&[&str]; 4] = [
    &["o", "checkIns"],
    &["o", "diff", "u", "checkIns"],
    &["o", "diff", "i", "checkIns"],
    &["o", "diff", "scheckIns"],
];

/// Connections to the servers.
pub struct Servers {
    mongo: mongodb::Client,
    jetstream: jetstream::Context,
    redis: redis::Client,
    http: reqwest::Client,
    /// The URL.
    stripe: String,
    mailbox: String,
}

/// Descriptions of pending work; and the ends of the streams, so that two observations can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWork {
    pub pending: Vec<String>,
    pub last_sequences: Vec<u64>,
}

impl Servers {
    /// By their local ports; the NATS connection needs all permissions.
    pub async fn connect(
        mongod: u16,
        nats: async_nats::Client,
        redis: u16,
        stripe: u16,
        mail: u16,
    ) -> Result<Self> {
        let mongo = format!("mongodb://127.0.0.1:{mongod}/?directConnection=true");
        Ok(Servers {
            mongo: mongodb::Client::with_uri_str(mongo).await.context("MongoDB")?,
            jetstream: jetstream::new(nats),
            redis: redis::Client::open(format!("redis://127.0.0.1:{redis}"))?,
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?,
            stripe: format!("http://127.0.0.1:{stripe}"),
            mailbox: format!("http://127.0.0.1:{mail}/api/mails"),
        })
    }

    /// A database, for a test that introduces a mistake.
    pub fn database(&self, name: &str) -> mongodb::Database {
        self.mongo.database(name)
    }

    pub async fn read(
        &self,
        acknowledged: Acknowledged,
        events_were_lost: bool,
    ) -> Result<Snapshot> {
        let (oplog, oplog_is_complete) = self.oplog().await.context("the oplog")?;
        Ok(Snapshot {
            taken_at: DateTime::now().timestamp_millis(),
            events_were_lost,
            users: self.documents("auth", "users").await?,
            tickets: self.documents("tickets", "tickets").await?,
            reservations: self.documents("tickets", "reservations").await?,
            orders: self.documents("orders", "orders").await?,
            ticket_replicas: self.documents("orders", "tickets").await?,
            payments: self.documents("payments", "payments").await?,
            mails: self.documents("confirmation", "mails").await?,
            mailbox: self.mailbox().await.context("the mailbox")?,
            schedules: self.documents("expiration", "schedules").await?,
            timers: self.timers().await.context("Redis")?,
            events: self.events().await?,
            dead_letters: self.dead_letters().await?,
            ledger: self.ledger().await.context("Stripe's ledger")?,
            stripe_events: self.stripe_events(0).await.context("Stripe's events")?,
            webhooks: self.documents("payments", "webhooks").await?,
            oplog,
            oplog_is_complete,
            acknowledged,
        })
    }

    /// The work that is recorded as pending anywhere.
    pub async fn pending_work(&self) -> Result<PendingWork> {
        let mut pending = Vec::new();
        for (database, collection) in catalogue::AGGREGATES {
            let documents = self.mongo.database(database).collection::<Document>(collection);
            let waiting = documents.count_documents(doc! { "outboxPending": true }).await?;
            pending.extend(some(waiting, &format!("{collection} with an unpublished event")));
        }
        let left = [
            ("orders", "orders", doc! { "unpaid": true }, "unpaid orders"),
            (
                "payments",
                "payments",
                doc! { "workAt": { "$type": "date" } },
                "payments with work at Stripe",
            ),
            ("expiration", "schedules", doc! { "state": { "$ne": "over" } }, "active schedules"),
            (
                "payments",
                "webhooks",
                doc! { "nextRunAt": { "$type": "date" } },
                "events of Stripe's that are still to be worked on",
            ),
            (
                "confirmation",
                "mails",
                doc! { "nextRunAt": { "$type": "date" } },
                "mails that are still to be sent",
            ),
            ("orders", "orders", doc! { "unanswered": true }, "orders that await a refund"),
            ("payments", "payments", doc! { "unanswered": true }, "payments that await an answer"),
            ("tickets", "tickets", doc! { "dirty": true }, "listings with an outdated summary"),
        ];
        for (database, collection, filter, what) in left {
            let documents = self.mongo.database(database).collection::<Document>(collection);
            pending.extend(some(documents.count_documents(filter).await?, what));
        }
        let mut last_sequences = Vec::new();
        for stream in Stream::ALL {
            let name = stream.name();
            let mut missing = stream.consumers();
            let stream = self.jetstream.get_stream(name).await.context(name)?;
            last_sequences.push(stream.cached_info().state.last_sequence);
            let mut consumers = stream.consumers();
            while let Some(consumer) = consumers.try_next().await? {
                missing.remove(consumer.name.as_str());
                if consumer.config.durable_name.is_some() {
                    let open = consumer.num_pending + consumer.num_ack_pending as u64;
                    pending
                        .extend(some(open, &format!("messages of {name} for {}", consumer.name)));
                }
            }
            pending.extend(
                missing.iter().map(|service| format!("{service} has no consumer of {name}")),
            );
        }
        if pending.is_empty() {
            pending.extend(some(
                self.missed_events().await?,
                "events of Stripe's unknown to payments",
            ));
        }
        Ok(PendingWork { pending, last_sequences })
    }

    /// How many events of Stripe's payments doesn't know, of those since its last complete sweep.
    async fn missed_events(&self) -> Result<u64> {
        let payments = self.mongo.database("payments");
        let sweep = payments.collection::<Document>("sweeps").find_one(doc! {}).await?;
        let up_to = sweep.and_then(|sweep| sweep.get_datetime("upTo").ok().copied());
        let since = up_to.map_or(0, |up_to| up_to.timestamp_millis().div_euclid(1000));
        let webhooks = payments.collection::<Document>("webhooks");
        let mut missed = 0;
        for events in self.stripe_events(since).await?.chunks(1000) {
            let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
            let known = doc! { "_id": { "$in": ids }, "intent": { "$type": "string" } };
            missed += events.len() as u64 - webhooks.count_documents(known).await?;
        }
        Ok(missed)
    }

    /// The events about PaymentIntents that were created since then, in seconds since 1970.
    async fn stripe_events(&self, since: i64) -> Result<Vec<StripeEvent>> {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let url = format!("{}/v1/events?limit=100&created[gte]={since}{after}", self.stripe);
            let response = self.http.get(url).bearer_auth("sk_test_local").send().await?;
            let page: Value = response.error_for_status()?.json().await?;
            let events = page["data"].as_array().context("no list of events")?;
            found.extend(events.iter().filter_map(stripe_event));
            let last = events.last().and_then(|event| event["id"].as_str());
            match last.filter(|_| page["has_more"] == true) {
                Some(last) => after = format!("&starting_after={last}"),
                None => return Ok(found),
            }
        }
    }

    async fn documents<T: DeserializeOwned>(
        &self,
        database: &str,
        collection: &str,
    ) -> Result<Vec<T>> {
        let documents = self.mongo.database(database).collection::<Document>(collection);
        let mut found = Vec::new();
        let mut cursor = documents.find(doc! {}).await?;
        while let Some(document) = cursor.try_next().await? {
            let id = document.get("_id").cloned();
            let value = mongodb::bson::deserialize_from_document(document)
                .with_context(|| format!("{database}.{collection} {id:?}"))?;
            found.push(value);
        }
        Ok(found)
    }

    async fn timers(&self) -> Result<Vec<String>> {
        let mut redis = self.redis.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("ZRANGE").arg(TIMERS).arg(0).arg(-1).query_async(&mut redis).await?)
    }

    async fn ledger(&self) -> Result<Ledger> {
        Ok(self
            .http
            .get(format!("{}/_ledger", self.stripe))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// The Message-IDs.
    async fn mailbox(&self) -> Result<Vec<String>> {
        let response = self.http.get(&self.mailbox).send().await?.error_for_status()?;
        let list: Value = response.json().await?;
        let mails = list["mails"].as_array().context("no list of mails")?.iter();
        Ok(mails.map(|mail| mail["messageId"].as_str().unwrap_or_default().to_owned()).collect())
    }

    async fn events(&self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for stream in Stream::ALL {
            for message in self.messages(stream.name()).await.context(stream.name())? {
                events.push(Event {
                    stream,
                    sequence: sequence(&message)?,
                    subject: message.subject.to_string(),
                    data: serde_json::from_slice(&message.payload)?,
                });
            }
        }
        Ok(events)
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let letters = self.messages(DEAD).await.context(DEAD)?;
        let letter = |message: jetstream::Message| {
            let headers = message.headers.as_ref();
            let reason = headers.and_then(|headers| headers.get("dead-reason"));
            Ok(DeadLetter {
                subject: message.subject.to_string(),
                sequence: sequence(&message)?,
                reason: reason.map(ToString::to_string).unwrap_or_default(),
                data: serde_json::from_slice(&message.payload).unwrap_or(Value::Null),
            })
        };
        letters.into_iter().map(letter).collect()
    }

    /// All messages of a stream.
    async fn messages(&self, stream: &str) -> Result<Vec<jetstream::Message>> {
        let stream = self.jetstream.get_stream(stream).await?;
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let count = usize::try_from(stream.cached_info().state.messages)?;
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            let before = messages.len();
            let mut batch = consumer.fetch().max_messages(1000).messages().await?;
            while let Some(message) = batch.next().await {
                messages.push(message.map_err(|error| anyhow!(error))?);
            }
            anyhow::ensure!(messages.len() > before, "received only {before} of {count} messages");
        }
        Ok(messages)
    }

    /// The writes to aggregates in MongoDB's oplog, and whether it reaches back to the beginning.
    async fn oplog(&self) -> Result<(Vec<OplogEntry>, bool)> {
        let log = self.mongo.database("local").collection::<Document>("oplog.rs");
        let oldest = log.find_one(doc! {}).sort(doc! { "$natural": 1 }).await?;
        let oldest = oldest.and_then(|entry| {
            Some(entry.get_document("o").ok()?.get_str("msg").ok()? == "initiating set")
        });
        let namespaces =
            catalogue::AGGREGATES.map(|(database, collection)| format!("{database}.{collection}"));
        let filter = doc! { "op": { "$in": ["i", "u"] }, "ns": { "$in": namespaces.to_vec() } };
        let whole = ["ns", "op", "o2._id", "o._id", "o.ticketId"].map(str::to_owned);
        let check_ins = CHECK_INS.map(|path| path.join("."));
        let changed = ["version", "status", "withdrawn", "places"];
        let changed =
            changed.into_iter().flat_map(|field| CHANGES.map(|path| path.join(".") + "." + field));
        let projection: Document = whole
            .into_iter()
            .chain(changed)
            .chain(check_ins)
            .map(|field| (field, Bson::Int32(1)))
            .collect();
        let entries = log.find(filter).sort(doc! { "$natural": 1 }).projection(projection).await?;
        let writes = entries.map_ok(|entry| write(&entry)).try_collect().await?;
        Ok((writes, oldest == Some(true)))
    }
}

/// None: nothing follows from it, or something that another event says as well.
fn stripe_event(event: &Value) -> Option<StripeEvent> {
    const KINDS: [&str; 13] = [
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
        "payment_intent.canceled",
        "charge.refunded",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "refund.created",
        "refund.updated",
        "refund.failed",
    ];
    let kind = event["type"].as_str().filter(|kind| KINDS.contains(kind))?;
    let object = &event["data"]["object"];
    let intent = if object["object"] == "payment_intent" { "id" } else { "payment_intent" };
    Some(StripeEvent {
        id: event["id"].as_str()?.to_owned(),
        kind: kind.to_owned(),
        intent: object[intent].as_str()?.to_owned(),
    })
}

/// <https://github.com/mongodb/mongo/blob/r6.0.5/src/mongo/db/repl/README.md>: `o` is the new document, or a diff; with a
/// diff, `o2` has the id.
fn write(entry: &Document) -> OplogEntry {
    let at = |path: &[&str]| {
        let (last, parents) = path.split_last()?;
        let parent =
            parents.iter().try_fold(entry, |document, key| document.get_document(key).ok())?;
        parent.get(last)
    };
    let changed = |field: &str| CHANGES.iter().find_map(|path| at(&[path, &[field][..]].concat()));
    let text = |value: &Bson| value.as_str().map(str::to_owned);
    let number = |value: &Bson| value.as_i64().or_else(|| value.as_i32().map(i64::from));
    OplogEntry {
        namespace: entry.get_str("ns").unwrap_or_default().to_owned(),
        id: at(&["o2", "_id"]).or_else(|| at(&["o", "_id"])).and_then(text).unwrap_or_default(),
        version: changed("version").and_then(number),
        status: changed("status").and_then(|it| bson::deserialize_from_bson(it.clone()).ok()),
        reservation: changed("status").and_then(|it| bson::deserialize_from_bson(it.clone()).ok()),
        checks_in: entry.get_str("op").is_ok_and(|op| op == "u")
            && CHECK_INS.iter().any(|path| at(path).is_some()),
        withdrawn: changed("withdrawn").and_then(Bson::as_bool),
        places: changed("places").and_then(|it| bson::deserialize_from_bson(it.clone()).ok()),
        ticket_id: at(&["o", "ticketId"]).and_then(text),
    }
}

fn sequence(message: &jetstream::Message) -> Result<u64> {
    Ok(message.info().map_err(|error| anyhow!(error))?.stream_sequence)
}

fn some(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what}"))
}
