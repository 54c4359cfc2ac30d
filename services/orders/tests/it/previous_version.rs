//! Replicas of the previous version, which write the same documents: a listing is one ticket to them.

use bson::{Document, doc};
use common::events::{CancelReason, OrderStatus, Ticket};
use mongodb::Collection;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use orders::domain::{Order, hold_of};
use testkit::Infra;

use crate::world::{World, connect_with};

/// The indexes that the previous version creates.
async fn create_indexes(infra: &Infra) -> Collection<Document> {
    let orders = infra.database("orders").await.collection::<Document>("orders");
    let index = |name: &str, keys: Document, only: Option<Document>| {
        let options = IndexOptions::builder().name(name.to_owned()).unique(true);
        IndexModel::builder()
            .keys(keys)
            .options(options.partial_filter_expression(only).build())
            .build()
    };
    let live = Some(doc! { "active": true });
    orders
        .create_index(index("one_live_order_per_ticket", doc! { "ticketId": 1 }, live))
        .await
        .unwrap();
    let holds = doc! { "ticketId": 1, "holds": -1 };
    orders.create_index(index("one_order_per_hold", holds, None)).await.unwrap();
    orders
}

/// An order as the previous version inserts it.
fn as_inserted_before(order: &Order) -> Document {
    let mut document = store::mongo::document(order).unwrap();
    for added in ["quantity", "places", "occupies", "withdrawn", "slot", "total", "orphanedCharge"]
    {
        document.remove(added);
    }
    document.insert("active", true);
    document.extend(doc! { "outbox": [], "outboxPending": false });
    document
}

async fn insert(orders: &Collection<Document>, order: &Order) -> bool {
    orders.insert_one(as_inserted_before(order)).await.is_ok()
}

/// The update by which the previous version ends an order: it knows neither places nor slots.
async fn end(orders: &Collection<Document>, order: &Order) {
    let ended = doc! { "$set": {
        "status": "cancelled", "cancelReason": "user", "active": false, "unpaid": false,
        "version": order.version + 1,
    } };
    orders.update_one(doc! { "_id": order.id }, ended).await.unwrap();
}

struct Shared {
    world: World,
    orders: Collection<Document>,
    /// Of the same buyer, in no database.
    order: Order,
    ticket: Ticket,
}

async fn shared() -> Shared {
    let infra = Infra::start().await;
    let orders = create_indexes(&infra).await;
    let app = connect_with(&infra, 5).await;
    let world = World::serve(infra, app).await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    orders.delete_one(doc! { "_id": order.id }).await.unwrap();
    Shared { world, orders, order, ticket }
}

#[tokio::test]
async fn neither_version_sells_what_the_other_has_sold() {
    let Shared { world, orders, order, ticket } = shared().await;
    // First a replica of the previous version, then one of this.
    assert!(insert(&orders, &order).await);
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-reserved");
    // What it has inserted counts as place 1 from then on.
    assert_eq!(world.occupied(&ticket).await, [1]);
    end(&orders, &order).await;
    let ours = world.order_as(&world.infra.user(), &ticket).await;
    assert_eq!(world.occupied(&ticket).await, [1]);
    // And the other way round.
    let id = common::ids::OrderId::new(order.created_at);
    let theirs = Order { id, holds: vec![hold_of(id)], ..order };
    assert!(!insert(&orders, &theirs).await, "the index of the previous version refuses it");
    end(&orders, &ours).await;
    assert!(insert(&orders, &theirs).await);
}

#[tokio::test]
async fn what_the_previous_version_has_ended_is_available_at_once() {
    let Shared { world, orders, ticket, .. } = shared().await;
    let ours = world.order(&ticket).await;
    end(&orders, &ours).await;
    assert!(!world.stored(ours.id).await.occupies);
    let next = world.order_as(&world.infra.user(), &ticket).await;
    assert_eq!(next.places, ours.places);
}

#[tokio::test]
async fn what_the_previous_version_has_completed_late_stays_sold() {
    let Shared { world, orders, ticket, .. } = shared().await;
    let ours = world.order(&ticket).await;
    world.expire(&ours).await;
    let completed = doc! { "$set": {
        "status": "complete", "cancelReason": null, "active": true, "version": 3_i64,
    } };
    orders.update_one(doc! { "_id": ours.id }, completed).await.unwrap();
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-sold");
}

#[tokio::test]
async fn its_documents_are_adopted_before_a_new_replica_serves() {
    let Shared { world, orders, order, ticket } = shared().await;
    let other = world.ticket().await;
    let paid = world.order_as(&world.infra.user(), &other).await;
    orders.delete_one(doc! { "_id": paid.id }).await.unwrap();
    let paid = Order { status: OrderStatus::Complete, unpaid: false, ..paid };
    let ended = Order {
        id: common::ids::OrderId::new(order.created_at),
        holds: vec![7],
        status: OrderStatus::Cancelled,
        cancel_reason: Some(CancelReason::User),
        unpaid: false,
        ..order.clone()
    };
    assert!(insert(&orders, &order).await);
    assert!(insert(&orders, &paid).await);
    let mut document = as_inserted_before(&ended);
    document.insert("active", false);
    orders.insert_one(document).await.unwrap();

    let replica = connect_with(&world.infra, 5).await;
    let stored = async |id| orders.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    let adopted = stored(order.id).await;
    assert!(adopted.get_bool("occupies").unwrap());
    assert_eq!(adopted.get_array("places").unwrap(), &vec![bson::Bson::Int32(1)]);
    assert!((1..=5).contains(&adopted.get_i32("slot").unwrap()));
    assert!(stored(paid.id).await.get_bool("occupies").unwrap());
    assert_eq!(replica.store.unpaid_orders_of(order.user_id).await.unwrap().len(), 1);
    let read = world.stored(ended.id).await;
    assert_eq!((read.quantity, read.occupies), (common::Quantity::ONE, false));
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-reserved");
    world.try_to_order(&world.infra.user(), other.id).await.problem(409, "ticket-sold");
}
