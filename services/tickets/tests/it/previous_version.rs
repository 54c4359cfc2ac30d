//! Replicas of the previous version, which keep the order of a listing of one on the ticket itself.

use bson::{Document, doc};
use common::events::Order;
use mongodb::Collection;
use serde_json::{Value, json};

use crate::world::{World, text};

/// The update by which the previous version applies an order.
async fn follow(tickets: &Collection<Document>, order: &Order) {
    let ends = !order.status.is_live();
    let is_reserved = !ends && order.status != common::events::OrderStatus::Complete;
    let id = (!ends).then_some(order.id);
    let buyer = (!ends).then_some(order.user_id);
    let until = is_reserved.then_some(order.expires_at);
    let update = doc! {
        "$set": {
            "orderId": id, "buyerId": buyer, "reservedUntil": until,
            "sold": !ends && !is_reserved, "listed": ends || is_reserved,
            "hold": order.hold, "holdVersion": order.version,
        },
        "$inc": { "version": 1_i64 },
    };
    let older = doc! { "_id": order.ticket.id, "hold": { "$lte": order.hold } };
    assert_eq!(tickets.update_one(older, update).await.unwrap().matched_count, 1);
}

async fn status(world: &World, ticket: &Value) -> (Value, Value) {
    let shown = world.get(&world.infra.admin(), ticket).await.expect(200);
    (shown["status"].clone(), shown["orderId"].clone())
}

#[tokio::test]
async fn what_either_version_applies_is_seen_by_the_other() {
    let world = World::start().await;
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    let ticket = world.default_ticket(&world.user()).await;
    let (first, second) =
        (world.order(&world.user(), &ticket), world.order(&world.user(), &ticket));
    world.deliver(&first.created(1, 1)).await;
    follow(&tickets, &first.cancelled(1, 2)).await;
    assert_eq!(status(&world, &ticket).await, (json!("available"), Value::Null));
    follow(&tickets, &second.created(2, 1)).await;
    assert_eq!(status(&world, &ticket).await, (json!("reserved"), json!(second.id())));
    // Late events of the first order, to this version.
    world.deliver(&first.cancelled(1, 2)).await;
    world.deliver(&first.created(1, 1)).await;
    assert_eq!(status(&world, &ticket).await, (json!("reserved"), json!(second.id())));
    world.deliver(&second.completed(2, 2)).await;
    assert_eq!(status(&world, &ticket).await, (json!("sold"), json!(second.id())));
    follow(&tickets, &second.cancelled(2, 3)).await;
    assert_eq!(status(&world, &ticket).await, (json!("available"), Value::Null));
    world.deliver(&second.created(2, 1)).await;
    assert_eq!(status(&world, &ticket).await, (json!("available"), Value::Null));
}

#[tokio::test]
async fn a_document_of_the_previous_version_is_adopted_by_the_first_event() {
    let world = World::start().await;
    let seller = world.user();
    let database = world.infra.database("tickets").await;
    let tickets = database.collection::<Document>("tickets");
    let ticket = world.default_ticket(&seller).await;
    let added = [
        "summary",
        "editedVersion",
        "writtenHold",
        "quantity",
        "maxPerOrder",
        "soldTogether",
        "closed",
    ];
    let unset: Document = added.iter().map(|name| ((*name).to_owned(), "".into())).collect();
    tickets.update_one(doc! {}, doc! { "$unset": unset }).await.unwrap();
    let order = world.order(&world.user(), &ticket);
    follow(&tickets, &order.completed(1, 3)).await;
    assert_eq!(status(&world, &ticket).await, (json!("sold"), json!(order.id())));
    // An old event of another order arrives late.
    let other = world.order(&world.user(), &ticket);
    world.deliver(&other.cancelled(0, 2)).await;
    assert_eq!(status(&world, &ticket).await, (json!("sold"), json!(order.id())));
    let reservations = database.collection::<Document>("reservations");
    let adopted = reservations.find_one(doc! { "_id": order.id() }).await.unwrap().unwrap();
    assert_eq!(text(&json!(adopted.get_str("status").unwrap())), "sold");
}
