//! Recovery from a wiped broker and from restored databases, without knowing what was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Document, doc};
use common::events::Stream;
use futures::TryStreamExt;
use mongodb::Database;
use nix::sys::signal::Signal;
use serde_json::Value;
use system_tests::{Frozen, Person, Stack, workspace};
use testkit::{eventually, retry_for};

use crate::shared;

#[tokio::test]
async fn the_broker_is_wiped() {
    let stack = shared::exclusive_for_data_loss().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let held = seller.offers("Turandot", "20.50").await;
    let order = buyer.reserves(&held).await;
    buyer.sees_order(&order, "awaiting:payment").await;

    // orders is suspended. A ticket is listed and published; then the broker loses its disk.
    let orders = stack.freeze("orders").await;
    let unconsumed = seller.offers("Manon", "20.50").await;
    wait_until_published(&stack, "tickets", "tickets").await;
    let nats = stack.keep_down("nats").await;
    nats.wipe();
    drop((nats, orders));

    // tickets recreates its stream and republishes all tickets.
    eventually("orders to have the ticket", || async {
        (buyer.orders(&unconsumed).await.status == 201).then_some(())
    })
    .await;
    // Sales continue. (The answer to an authorisation may take a while until all streams are back.)
    let paid = buyer.pays(&order, "tok_visa").await;
    assert!([201, 202].contains(&paid.status.as_u16()), "{}", paid.text);
    buyer.sees_order(&order, "complete").await;
    buyer.sees_ticket(&held, "sold").await;
    buyer.sees_ticket(&unconsumed, "reserved").await;
}

#[tokio::test]
async fn the_messages_of_a_charge_and_of_its_answer_are_lost() {
    let stack = shared::exclusive_for_data_loss().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Tosca", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.sees_order(&order, "awaiting:payment").await;

    let orders = suspend_consumer(&stack, "orders").await;
    // Authorised: whether the card is charged, orders decides.
    buyer.pays(&order, "tok_visa").await.expect(202);
    wait_until_published(&stack, "payments", "payments").await;
    purge(&stack, "PAYMENTS").await;
    drop(orders);
    // payments reminds orders.
    buyer.sees_order(&order, "complete").await;

    let ticket = seller.offers("Fidelio", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    let orders = suspend_consumer(&stack, "orders").await;
    // Authorised: whether the card is charged, orders decides.
    buyer.pays(&order, "tok_visa").await.expect(202);
    wait_until_published(&stack, "payments", "payments").await;
    let payments = suspend_consumer(&stack, "payments").await;
    drop(orders);
    buyer.sees_order(&order, "complete").await;
    wait_until_published(&stack, "orders", "orders").await;
    purge(&stack, "ORDERS").await;
    drop(payments);
    payments_know(&stack, &order, "complete").await;
}

#[tokio::test]
async fn the_messages_of_a_refund_and_of_its_answer_are_lost() {
    let stack = shared::exclusive_for_data_loss().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    for lost in ["PAYMENTS", "ORDERS"] {
        let ticket = seller.offers("Medea", "20.50").await;
        let order = buyer.reserves(&ticket).await;
        buyer.sees_order(&order, "awaiting:payment").await;
        buyer.pays(&order, "tok_visa").await.expect(201);
        buyer.sees_order(&order, "complete").await;
        payments_know(&stack, &order, "complete").await;
        let payment = buyer.payment(&order).await["id"].as_str().unwrap().to_owned();

        let orders = suspend_consumer(&stack, "orders").await;
        seller.refunds(&payment).await.expect(202);
        buyer.sees_payment(&order, "refunded").await;
        wait_until_published(&stack, "payments", "payments").await;
        if lost == "PAYMENTS" {
            purge(&stack, lost).await;
            drop(orders);
        } else {
            let payments = suspend_consumer(&stack, "payments").await;
            drop(orders);
            buyer.sees_order(&order, "cancelled").await;
            wait_until_published(&stack, "orders", "orders").await;
            purge(&stack, lost).await;
            drop(payments);
        }
        // payments reminds orders.
        buyer.sees_order(&order, "cancelled").await;
        payments_know(&stack, &order, "cancelled").await;
    }
}

/// Waits until payments has the order in this status, and awaits no answer.
async fn payments_know(stack: &Stack, order: &str, status: &str) {
    let payments = stack.database("payments").await.collection::<Document>("payments");
    eventually("payments to know the answer", || async {
        let answered = doc! { "_id": order, "order.status": status, "unanswered": false };
        (payments.count_documents(answered).await.unwrap() == 1).then_some(())
    })
    .await;
}

/// Suspends a service, and waits until its last request for messages has expired: else one would wait in its socket.
async fn suspend_consumer(stack: &Stack, service: &str) -> Frozen {
    let jetstream = async_nats::jetstream::new(stack.nats().await.unwrap());
    let consumed = || Stream::ALL.into_iter().filter(|it| it.consumers().contains(&service));
    for stream in consumed() {
        // The broker may have been wiped a moment ago.
        eventually("the consumer", || async {
            let stream = jetstream.get_stream(stream.name()).await.ok()?;
            stream.consumer_info(service).await.ok()
        })
        .await;
    }
    let frozen = stack.freeze(service).await;
    for stream in consumed() {
        let stream = jetstream.get_stream(stream.name()).await.unwrap();
        eventually("the last request to expire", || async {
            (stream.consumer_info(service).await.unwrap().num_waiting == 0).then_some(())
        })
        .await;
    }
    frozen
}

async fn purge(stack: &Stack, stream: &str) {
    let client = stack.nats().await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(stream).await.unwrap();
    stream.purge().await.unwrap();
}

#[tokio::test]
async fn a_database_is_restored() {
    let stack = shared::exclusive_for_data_loss().await;
    for service in workspace::services_with_database() {
        let service = service.as_str();
        let consumed = Stream::ALL.into_iter().filter(|it| it.consumers().contains(&service));
        let publishers: Vec<_> = consumed.map(Stream::publisher).collect();
        if publishers.is_empty() {
            continue;
        }
        let market = Market::open(&stack).await;
        services_agree(&stack).await;
        let database = stack.database(service).await;
        let backup = dump(&database).await;
        market.trade().await;
        services_agree(&stack).await;

        // As in docs/operating.md: stop, restore, bump the versions, start, republish.
        let frozen = stack.freeze(service).await;
        restore(&database, backup).await;
        stack.operate(service, &["republish", "--restored"]).await.expect_success();
        stack.signal(service, Signal::SIGKILL);
        drop(frozen);
        stack.is_ready(service).await;
        for publisher in publishers {
            stack.operate(publisher, &["republish"]).await.expect_success();
        }
        services_agree(&stack).await;
        market.sells(service).await;
        services_agree(&stack).await;
    }
}

/// Tickets and orders in every state, created before the backup and changed after it.
struct Market<'a> {
    seller: Person,
    buyer: Person,
    stack: &'a Stack,
    /// Ticket and order, by their future state.
    sales: BTreeMap<&'static str, (String, String)>,
}

impl Market<'_> {
    async fn open(stack: &Stack) -> Market<'_> {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        let mut market = Market { seller, buyer, stack, sales: BTreeMap::new() };
        for name in ["kept", "cancelled", "paid", "refunded", "refunded later", "sold again"] {
            let ticket = market.seller.offers(name, "20.50").await;
            let order = market.buyer.reserves(&ticket).await;
            market.buyer.sees_order(&order, "awaiting:payment").await;
            market.sales.insert(name, (ticket, order));
            // A buyer may have a few unpaid orders only.
            match name {
                "refunded" => {
                    market.pay(name).await;
                    market.refund(name).await;
                }
                "refunded later" => market.pay(name).await,
                _ => {}
            }
        }
        market
    }

    async fn pay(&self, name: &str) {
        let (_, order) = &self.sales[name];
        self.buyer.pays(order, "tok_visa").await.expect(201);
        self.buyer.sees_order(order, "complete").await;
    }

    async fn refund(&self, name: &str) {
        let (ticket, order) = &self.sales[name];
        let payment = self.buyer.payment(order).await["id"].as_str().unwrap().to_owned();
        self.seller.refunds(&payment).await.expect(202);
        self.buyer.sees_order(order, "cancelled").await;
        self.buyer.sees_ticket(ticket, "available").await;
    }

    /// What the restored service loses.
    async fn trade(&self) {
        self.pay("paid").await;
        self.refund("refunded later").await;
        for (name, paid) in [("cancelled", false), ("sold again", true)] {
            let (ticket, order) = &self.sales[name];
            self.buyer.cancels(order).await.expect(204);
            let other = self.stack.person("other").await;
            let order = other.reserves(ticket).await;
            other.sees_order(&order, "awaiting:payment").await;
            if paid {
                other.pays(&order, "tok_visa").await.expect(201);
                other.sees_order(&order, "complete").await;
            }
        }
        let new = self.seller.offers("new", "20.50").await;
        let order = self.buyer.reserves(&new).await;
        self.buyer.sees_order(&order, "awaiting:payment").await;
        self.buyer.pays(&order, "tok_visa").await.expect(201);
        self.buyer.sees_order(&order, "complete").await;
    }

    /// What was sold before is still sold, and a new ticket can be sold.
    async fn sells(&self, restored: &str) {
        let (_, order) = &self.sales["paid"];
        let paid = self.buyer.order(order).await;
        assert_eq!(paid["status"], "complete", "{restored}");
        let ticket = self.seller.offers("the next one", "20.50").await;
        let order = eventually("orders to have the ticket", || async {
            let response = self.buyer.orders(&ticket).await;
            (response.status == 201).then(|| response.body["id"].as_str().unwrap().to_owned())
        })
        .await;
        self.buyer.sees_order(&order, "awaiting:payment").await;
        self.buyer.pays(&order, "tok_visa").await.expect(201);
        self.buyer.sees_order(&order, "complete").await;
        self.buyer.sees_ticket(&ticket, "sold").await;
    }
}

/// Waits until all services agree: each ticket has at most one live order and is locked for it; each charge belongs to a
/// complete order or is refunded.
async fn services_agree(stack: &Stack) {
    let agreed =
        retry_for(Duration::from_secs(40), async || disagreement(stack).await.map_or(Ok(()), Err));
    agreed.await.unwrap_or_else(|disagreement| panic!("{disagreement}"));
}

async fn disagreement(stack: &Stack) -> Option<String> {
    let orders = all(&stack.database("orders").await, "orders").await;
    let tickets = all(&stack.database("tickets").await, "tickets").await;
    let mut holders: BTreeMap<String, &Document> = BTreeMap::new();
    for order in orders.values().filter(|order| order.get_str("status").unwrap() != "cancelled") {
        let ticket = order.get_str("ticketId").unwrap().to_owned();
        if let Some(other) = holders.insert(ticket, order) {
            return Some(format!("two live orders: {order} and {other}"));
        }
    }
    for (id, ticket) in &tickets {
        let holder = holders.get(id).map(|order| order.get_str("_id").unwrap());
        let sold =
            holders.get(id).is_some_and(|order| order.get_str("status").unwrap() == "complete");
        if ticket.get_str("orderId").ok() != holder || ticket.get_bool("sold").unwrap() != sold {
            return Some(format!(
                "ticket {id} should be locked for {holder:?}, sold {sold}; it is {ticket}"
            ));
        }
    }
    let ledger = stack.stripe_ledger().await;
    let kept = kept(&ledger);
    for (order, kept) in &kept {
        let complete =
            orders.get(order).is_some_and(|order| order.get_str("status").unwrap() == "complete");
        if *kept != i64::from(complete) {
            return Some(format!(
                "{order} is complete: {complete}, and {kept} charges of it are kept"
            ));
        }
    }
    None
}

/// By order: the number of charges that were captured and not refunded.
fn kept(ledger: &Value) -> BTreeMap<String, i64> {
    let list = |name: &str| ledger[name].as_array().unwrap().clone();
    let order_of: BTreeMap<String, String> = list("payment_intents")
        .iter()
        .map(|intent| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&intent["id"]), text(&intent["metadata"]["order_id"]))
        })
        .collect();
    let mut kept = BTreeMap::new();
    for (name, sign) in [("charges", 1), ("refunds", -1)] {
        // (What was only authorised is no charge.)
        let counts = |it: &&Value| it["status"] == "succeeded" && it["captured"] != false;
        for it in list(name).iter().filter(counts) {
            let order = &order_of[it["payment_intent"].as_str().unwrap()];
            *kept.entry(order.clone()).or_default() += sign;
        }
    }
    kept
}

async fn all(database: &Database, collection: &str) -> BTreeMap<String, Document> {
    let found = database.collection::<Document>(collection).find(doc! {}).await.unwrap();
    let found: Vec<Document> = found.try_collect().await.unwrap();
    found.into_iter().map(|it| (it.get_str("_id").unwrap().to_owned(), it)).collect()
}

async fn dump(database: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut dump = BTreeMap::new();
    for name in database.list_collection_names().await.unwrap() {
        dump.insert(name.clone(), all(database, &name).await.into_values().collect());
    }
    dump
}

async fn restore(database: &Database, backup: BTreeMap<String, Vec<Document>>) {
    for (name, documents) in backup {
        let collection = database.collection::<Document>(&name);
        collection.delete_many(doc! {}).await.unwrap();
        if !documents.is_empty() {
            collection.insert_many(documents).await.unwrap();
        }
    }
}

async fn wait_until_published(stack: &Stack, service: &str, collection: &str) {
    let documents = stack.database(service).await.collection::<Document>(collection);
    eventually("all events to be published", || async {
        let waiting = documents.count_documents(doc! { "outboxPending": true }).await.unwrap();
        (waiting == 0).then_some(())
    })
    .await;
}
