//! Documents that are shared with replicas of the previous version, while both run.
//!
//! To that version a listing is one ticket, whose one live order is `active`; it knows neither places nor slots. Its index
//! remains where it exists, and our orders are `active` for it if they have place 1: so neither version can sell a place
//! that the other has sold. What it has written on our documents, or as new ones, is adopted before the next decision on
//! the listing. `docs/operating.md` says when this can be removed.

use bson::{Document, doc};
use common::ids::TicketId;
use futures::TryStreamExt;
use mongodb::action::{Action as _, Update};
use mongodb::options::Hint;
use store::{Documents, TimedCollection, mongo};

use crate::domain::{Order, Slots};

/// At most one live order per ticket.
pub const ONE_LIVE_ORDER: &str = "one_live_order_per_ticket";
/// At most one order per fencing number of a ticket.
pub const ONE_ORDER_PER_HOLD: &str = "one_order_per_hold";

/// Before the service decides anything: orders of the previous version that are live occupy place 1, and those that are
/// unpaid take slots. Returns whether that version has ever used the database, so that its replicas may still do so.
/// `by_place` is the index of the orders that occupy places.
pub async fn adopt(orders: &Documents<Order>, by_place: &str, slots: Slots) -> store::Result<bool> {
    let orders = orders.collection().clone_with_type::<Document>();
    let names = mongo::when_available(|| async { Ok(orders.list_index_names().await?) }).await?;
    if !names.iter().any(|name| name == ONE_LIVE_ORDER) {
        return Ok(false);
    }
    mongo::when_available(|| async {
        release(&orders, doc! {}, Some(by_place)).await?;
        occupy(&orders, doc! {}, Some(ONE_LIVE_ORDER)).await?;
        take_slots(&orders, slots).await
    })
    .await?;
    Ok(true)
}

/// The same for one listing.
pub async fn reconcile(orders: &Documents<Order>, ticket: TicketId) -> store::Result<()> {
    let orders = orders.collection().clone_with_type::<Document>();
    release(&orders, doc! { "ticketId": ticket }, None).await?;
    occupy(&orders, doc! { "ticketId": ticket }, None).await
}

/// Orders that have ended, by a replica that doesn't know what they occupied.
async fn release(
    orders: &TimedCollection<Document>,
    of: Document,
    index: Option<&str>,
) -> store::Result<()> {
    let mut ended = of;
    ended.extend(doc! { "occupies": true, "status": "cancelled", "withdrawn": { "$ne": true } });
    let index = index.map(|name| Hint::Name(name.to_owned()));
    let release = orders.update_many(ended, doc! { "$set": { "occupies": false } });
    release.optional(index, Update::hint).await?;
    Ok(())
}

/// Orders that are live, and don't say that they occupy their places.
async fn occupy(
    orders: &TimedCollection<Document>,
    of: Document,
    index: Option<&str>,
) -> store::Result<()> {
    let mut live = of;
    live.extend(doc! { "active": true, "occupies": { "$ne": true } });
    let places = doc! { "$ifNull": ["$places", [1]] };
    let occupy = vec![doc! { "$set": { "places": places, "occupies": true } }];
    let index = index.map(|name| Hint::Name(name.to_owned()));
    let occupy = orders.update_many(live, occupy);
    occupy.optional(index, Update::hint).await?;
    Ok(())
}

/// Unpaid orders take a slot each. If a buyer has more of them than slots, the others do without.
async fn take_slots(orders: &TimedCollection<Document>, slots: Slots) -> store::Result<()> {
    let unpaid = doc! { "unpaid": true, "slot": null };
    let found = orders.find(unpaid.clone()).projection(doc! { "_id": 1 });
    let found: Vec<Document> = found.await?.try_collect().await?;
    for order in found {
        let mut of_order = unpaid.clone();
        of_order.insert("_id", order.get("_id"));
        for slot in slots.all() {
            let take = doc! { "$set": { "slot": slot } };
            match orders.update_one(of_order.clone(), take).await {
                Ok(_) => break,
                Err(error) => {
                    let error = store::Error::from(error);
                    if error.duplicate_of().is_none() {
                        return Err(error);
                    }
                }
            }
        }
    }
    Ok(())
}
