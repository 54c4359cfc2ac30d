//! What the documents show of the promises.

use bson::{Document, doc};
use common::ids::OrderId;
use orders::promises::PROMISES;
use orders::store::ONE_ORDER_PER_PLACE;

use crate::world::World;

/// The index is removed: only then two orders can have a place.
#[tokio::test]
async fn a_place_with_two_live_orders_breaks_a_promise() {
    let world = World::start().await;
    let database = world.infra.database("orders").await;
    let promise = PROMISES.iter().find(|it| it.name == "place_has_one_order").unwrap();
    let now = world.infra.clock.now();
    let broken = async || store::promises::count(&database, promise, now).await.unwrap();
    let listing = world.listing_of(4).await;
    world.order_some(&world.buyer, &listing, 2).await;
    let order = world.order_some(&world.infra.user(), &listing, 1).await;
    assert_eq!(broken().await, 0);

    let orders = database.collection::<Document>("orders");
    orders.drop_index(ONE_ORDER_PER_PLACE).await.unwrap();
    let id = doc! { "_id": order.id.to_string() };
    let mut second = orders.find_one(id.clone()).await.unwrap().unwrap();
    second.insert("_id", OrderId::new(now).to_string());
    second.insert("slot", 5);
    orders.insert_one(&second).await.unwrap();
    assert_eq!(broken().await, 1);
    // One that has ended has no place.
    orders.update_one(id, doc! { "$set": { "occupies": false } }).await.unwrap();
    assert_eq!(broken().await, 0);
}
