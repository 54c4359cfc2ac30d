//! A wiped broker and restored databases: nobody has to know what was lost.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::{Value, json};
use system_tests::{Person, Stack};
use testkit::{eventually, retry_for};
use tokio::sync::{Mutex, MutexGuard};

use crate::shared;

/// These tests break what others would rely on: they have a marketplace of their own, one at a time.
async fn battered() -> (MutexGuard<'static, ()>, &'static Stack) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    (alone, shared::battered().await)
}

#[tokio::test]
async fn the_broker_is_wiped() {
    let (_alone, stack) = battered().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let held = seller.offers("Turandot", "20.50").await;
    let order = buyer.holds(&held).await;
    buyer.sees_order(&order, "awaiting:payment").await;

    // orders stands still. Tickets are offered, told, and stored by the broker; then it loses its disk.
    stack.signal("orders", Signal::SIGSTOP);
    let unheard = seller.offers("Manon", "20.50").await;
    nothing_waits(stack, "tickets", "tickets").await;
    stack.signal("nats", Signal::SIGSTOP);
    std::fs::remove_dir_all(stack.data("nats")).unwrap();
    stack.signal("nats", Signal::SIGKILL);
    stack.signal("orders", Signal::SIGCONT);

    // tickets makes its stream anew and tells all that it has.
    eventually("orders to learn of the ticket", || async {
        (buyer.orders(&unheard).await.status == 201).then_some(())
    })
    .await;
    // Sales go on as if nothing had been.
    buyer.pays(&order, "tok_visa").await.expect(201);
    buyer.sees_order(&order, "complete").await;
    buyer.sees_ticket(&held, "sold").await;
    buyer.sees_ticket(&unheard, "reserved").await;
}

#[tokio::test]
async fn a_database_is_restored() {
    let (_alone, stack) = battered().await;
    for (service, tell_it_again) in [
        ("orders", &["tickets", "payments", "expiration", "auth"][..]),
        ("payments", &["orders"]),
        ("tickets", &["orders"]),
        ("expiration", &["orders"]),
    ] {
        let market = Market::open(stack).await;
        agree(stack).await;
        let database = stack.database(service).await;
        let back_up = dump(&database).await;
        market.goes_on().await;
        agree(stack).await;

        // As docs/operating.md says: stopped, restored, raised, started, told again.
        stack.signal(service, Signal::SIGSTOP);
        put_back(&database, back_up).await;
        stack.operate(service, &["reannounce", "--restored"]).await.expect_success();
        stack.signal(service, Signal::SIGKILL);
        stack.is_ready(service).await;
        for other in tell_it_again {
            stack.operate(other, &["reannounce"]).await.expect_success();
        }
        agree(stack).await;
        market.is_of_use(service).await;
        agree(stack).await;
    }
}

/// Tickets and orders in every state, made before the back-up and changed after it.
struct Market<'a> {
    seller: Person,
    buyer: Person,
    stack: &'a Stack,
    /// By what becomes of them: ticket, order.
    sales: BTreeMap<&'static str, (String, String)>,
}

impl Market<'_> {
    async fn open(stack: &Stack) -> Market<'_> {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        let mut sales = BTreeMap::new();
        for name in ["kept", "given up", "paid", "refunded", "refunded later", "sold again"] {
            let ticket = seller.offers(name, "20.50").await;
            let order = buyer.holds(&ticket).await;
            buyer.sees_order(&order, "awaiting:payment").await;
            sales.insert(name, (ticket, order));
        }
        let market = Market { seller, buyer, stack, sales };
        market.pay("refunded").await;
        market.refund("refunded").await;
        market.pay("refunded later").await;
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

    /// What nobody will remember who is restored.
    async fn goes_on(&self) {
        self.pay("paid").await;
        self.refund("refunded later").await;
        for (name, paid) in [("given up", false), ("sold again", true)] {
            let (ticket, order) = &self.sales[name];
            self.buyer.cancels(order).await.expect(204);
            let other = self.stack.person("other").await;
            let order = other.holds(ticket).await;
            other.sees_order(&order, "awaiting:payment").await;
            if paid {
                other.pays(&order, "tok_visa").await.expect(201);
                other.sees_order(&order, "complete").await;
            }
        }
        let new = self.seller.offers("new", "20.50").await;
        let order = self.buyer.holds(&new).await;
        self.buyer.sees_order(&order, "awaiting:payment").await;
        self.buyer.pays(&order, "tok_visa").await.expect(201);
        self.buyer.sees_order(&order, "complete").await;
    }

    /// What was sold before is as before, and the next ticket is sold as ever.
    async fn is_of_use(&self, restored: &str) {
        let (_, order) = &self.sales["paid"];
        let paid = self.buyer.order(order).await;
        assert_eq!(paid["status"], "complete", "{restored}");
        let ticket = self.seller.offers("the next one", "20.50").await;
        let order = eventually("the ticket to be known", || async {
            let answer = self.buyer.orders(&ticket).await;
            (answer.status == 201).then(|| answer.body["id"].as_str().unwrap().to_owned())
        })
        .await;
        self.buyer.sees_order(&order, "awaiting:payment").await;
        self.buyer.pays(&order, "tok_visa").await.expect(201);
        self.buyer.sees_order(&order, "complete").await;
        self.buyer.sees_ticket(&ticket, "sold").await;
    }
}

/// Waits until all agree: each ticket has at most one live order, and is in the hands that orders says; each
/// charge belongs to a complete order, or is given back.
async fn agree(stack: &Stack) {
    let agreed =
        retry_for(Duration::from_secs(40), async || disagreement(stack).await.map_or(Ok(()), Err));
    agreed.await.unwrap_or_else(|disagreement| panic!("{disagreement}"));
}

async fn disagreement(stack: &Stack) -> Option<String> {
    let orders = all(&stack.database("orders").await, "orders").await;
    let tickets = all(&stack.database("tickets").await, "tickets").await;
    let mut holders: BTreeMap<String, &Document> = BTreeMap::new();
    for order in orders.values().filter(|order| order.get_bool("active").unwrap()) {
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
            return Some(format!("of {id} orders says {holder:?}, sold {sold}; tickets: {ticket}"));
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

/// By order: how many charges succeeded and were not given back.
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
        for it in list(name).iter().filter(|it| it["status"] == json!("succeeded")) {
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

async fn put_back(database: &Database, back_up: BTreeMap<String, Vec<Document>>) {
    for (name, documents) in back_up {
        let collection = database.collection::<Document>(&name);
        collection.delete_many(doc! {}).await.unwrap();
        if !documents.is_empty() {
            collection.insert_many(documents).await.unwrap();
        }
    }
}

async fn nothing_waits(stack: &Stack, service: &str, collection: &str) {
    let documents = stack.database(service).await.collection::<Document>(collection);
    eventually("all events to be published", || async {
        let waiting = documents.count_documents(doc! { "outboxPending": true }).await.unwrap();
        (waiting == 0).then_some(())
    })
    .await;
}
