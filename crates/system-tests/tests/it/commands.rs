//! How many commands an order and a sale send to MongoDB, in all services together, under load. What each is for:
//! `docs/protocol.md`.

use bson::{Document, doc};
use futures::{StreamExt as _, stream};
use serde_json::json;
use system_tests::commands::{CommandLog, Commands, settled};
use system_tests::{Person, Stack};

use crate::shared;

const CONCURRENCY: usize = 32;
const ORDERS: usize = 128;
/// What shares a command arrives together, and does so less while other programs have the processors: the best round counts.
const ROUNDS: usize = 3;
/// What `docs/protocol.md` says.
const PER_ORDER: f64 = 6.0;
const PER_SALE: f64 = 14.0;
/// The listing; and of those who come first, and of one at a time after that, what is taken.
const PER_REFUSAL: f64 = 2.0;
/// Of a request with a key: whether it was done before, and meanwhile.
const PER_KEY: f64 = 2.0;
const REFUSALS: usize = 256;
/// It is one where nothing is shared.
const PER_LOOK: f64 = 0.5;
const LOOKS: usize = 1000;

#[tokio::test]
async fn orders_and_sales_send_few_commands() {
    let stack = shared::exclusive().await;
    let buyers = stack.people(ORDERS).await;
    let seller = stack.person("seller").await;

    let (mut per_order, mut per_sale) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let (order, sale) = sales(&stack, &seller, &buyers).await;
        println!("{order} each order, {sale} each sale");
        (per_order, per_sale) = (per_order.min(order), per_sale.min(sale));
        if per_order <= PER_ORDER && per_sale <= PER_SALE {
            return;
        }
    }
    panic!("{per_order} commands for an order, {per_sale} for a sale");
}

/// The commands of an order, and of a whole sale.
async fn sales(stack: &Stack, seller: &Person, buyers: &[Person]) -> (f64, f64) {
    let tickets = listings(seller).await;
    let log = begin(stack).await;
    let orders = reserve(buyers, &tickets).await;
    let of_orders = end(stack, log).await;
    println!("{ORDERS} orders\n{of_orders}");

    let log = begin(stack).await;
    pay(buyers, &orders).await;
    let of_payments = end(stack, log).await;
    println!("{ORDERS} payments\n{of_payments}");
    let per_order = of_orders.per(ORDERS);
    (per_order, per_order + of_payments.per(ORDERS))
}

/// A buyer who comes too late asks for the listing, and is refused from memory. A page's form sends a key with it, which costs no write.
#[tokio::test]
async fn a_buyer_who_comes_too_late_costs_few_commands() {
    let stack = shared::exclusive().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Lakmé", "20.50").await;
    let late = stack.people(4).await;
    let order = buyer.reserves(&ticket).await;
    for (has_key, limit) in [(false, PER_REFUSAL), (true, PER_REFUSAL + PER_KEY)] {
        let confirmed_before = confirmed_reads(&stack).await;
        let log = begin(&stack).await;
        let refused =
            late.iter().cycle().take(REFUSALS).enumerate().map(async |(number, buyer)| {
                let mut client = buyer.client.clone();
                if has_key {
                    client = client.with_idempotency_key(&number.to_string());
                }
                let response = client.post("/api/orders", json!({ "ticketId": ticket })).await;
                response.problem(409, "ticket-reserved");
            });
        stream::iter(refused).buffered(CONCURRENCY).collect::<()>().await;
        let commands = end(&stack, log).await;
        println!("{REFUSALS} refusals: {} each\n{commands}", commands.per(REFUSALS));
        assert!(commands.per(REFUSALS) <= limit, "a refusal");
        assert_eq!(confirmed_reads(&stack).await, confirmed_before);
    }
    // What is given back is on sale at once.
    buyer.cancels(&order).await.expect(204);
    let again = late[0].client.with_idempotency_key("again");
    let request = json!({ "ticketId": ticket });
    let first = again.post("/api/orders", request.clone()).await.expect(201);
    // What was done is confirmed before it is said again.
    let confirmed_before = confirmed_reads(&stack).await;
    assert_eq!(again.post("/api/orders", request).await.expect(201), first);
    assert!(confirmed_reads(&stack).await > confirmed_before);
}

/// How many linearizable reads there were: MongoDB writes an entry for each.
async fn confirmed_reads(stack: &Stack) -> u64 {
    let oplog = stack.database("local").await.collection::<Document>("oplog.rs");
    let confirmed = doc! { "op": "n", "o.msg": "linearizable read" };
    oplog.count_documents(confirmed).await.unwrap()
}

/// What everyone looks at is read once a second, however many look. A page of somebody who is signed in has their reservations.
#[tokio::test]
async fn looking_at_what_is_for_sale_costs_few_commands() {
    let stack = shared::exclusive().await;
    let (seller, other) = (stack.person("seller").await, stack.person("other").await);
    let ticket = seller.offers("Lakmé", "20.50").await;
    let (list, listing) = ("/api/tickets".to_owned(), format!("/api/tickets/{ticket}"));
    let (front, page) = ("/".to_owned(), format!("/tickets/{ticket}"));
    for (who, client, own) in [("anyone", stack.visitor(), 0.0), ("a user", other.client, 1.0)] {
        for address in [&list, &listing, &front, &page] {
            let own = if address.starts_with("/api") { 0.0 } else { own };
            let log = begin(&stack).await;
            let looks = (0..LOOKS).map(async |_| {
                assert_eq!(client.get(address).await.status, 200);
            });
            stream::iter(looks).buffered(CONCURRENCY).collect::<()>().await;
            let commands = end(&stack, log).await;
            println!("{who} at {address}: {} each\n{commands}", commands.per(LOOKS));
            assert!(commands.per(LOOKS) <= own + PER_LOOK, "{who} at {address}");
        }
    }
}

async fn listings(seller: &Person) -> Vec<String> {
    let listings = stream::iter(0..ORDERS).map(|_| seller.offers("Lakmé", "20.50"));
    listings.buffered(CONCURRENCY).collect().await
}

async fn reserve(buyers: &[Person], tickets: &[String]) -> Vec<String> {
    let orders = buyers.iter().zip(tickets).map(|(buyer, ticket)| buyer.reserves(ticket));
    stream::iter(orders).buffered(CONCURRENCY).collect().await
}

async fn pay(buyers: &[Person], orders: &[String]) {
    let payments = buyers.iter().zip(orders).map(async |(buyer, order)| {
        buyer.pays(order, "tok_visa").await.expect(201);
    });
    stream::iter(payments).buffered(CONCURRENCY).collect::<()>().await;
}

async fn begin(stack: &Stack) -> CommandLog {
    settled(stack).await;
    CommandLog::start(stack).await
}

async fn end(stack: &Stack, log: CommandLog) -> Commands {
    settled(stack).await;
    log.finish().await
}
