//! Events that are handled together.

use common::events::{Order, OrderStatus, TicketReserved};
use serde_json::Value;
use testkit::Infra;
use tickets::listeners::{follow_all, order_cancelled, order_completed, order_created};
use tickets::state::App;

use crate::world::{World, settings};

/// As the consumer does: each alone, if they can't be handled together.
async fn handle(app: &App, batch: Vec<Order>) -> bool {
    if follow_all(app.clone(), batch.clone()).await.is_ok() {
        return true;
    }
    for order in batch {
        let app = app.clone();
        let handled = match order.status {
            OrderStatus::Complete => {
                order_completed::handle(app, common::events::OrderCompleted(order)).await
            }
            OrderStatus::Cancelled => {
                order_cancelled::handle(app, common::events::OrderCancelled(order)).await
            }
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Unknown => {
                order_created::handle(app, common::events::OrderCreated(order)).await
            }
        };
        handled.unwrap();
    }
    false
}

#[tokio::test]
async fn batches_lead_to_the_same_as_their_newest_events_however_they_are_drawn() {
    let world = World::start().await;
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    let (seller, buyer) = (world.user(), world.user());
    let mut together = 0;
    for seed in 0..12 {
        let [sold, ended, many]: [Value; 3] = [
            world.default_ticket(&seller).await,
            world.default_ticket(&seller).await,
            world.listing_of(&seller, 10).await,
        ];
        let order =
            |ticket: &Value, places: &[u16]| world.order(&buyer, ticket).at(places.iter().copied());
        let orders = [
            order(&sold, &[1]),
            order(&ended, &[1]),
            order(&many, &[1, 2]),
            order(&many, &[3]),
            order(&many, &[4]),
        ];
        let [one, two, three, four, five] = &orders;
        let mut events: Vec<Order> = orders.iter().map(|order| order.created(1)).collect();
        events.extend([one.completed(3), two.cancelled(3), three.completed(3)]);
        events.push(five.cancelled(2));
        for batch in testkit::batches(seed, &events) {
            together += usize::from(handle(&app, batch).await);
        }
        world.shows(&sold, [0, 0, 1]).await;
        world.shows(&ended, [1, 0, 0]).await;
        world.shows(&many, [7, 1, 2]).await;
        // Each reservation that began is published once.
        testkit::all_published(app.store.reservations()).await;
        for live in [one, three, four] {
            assert_eq!(times_reserved(&world.infra, &live.id()).await, 1, "seed {seed}");
        }
    }
    assert!(together > 12, "only {together} batches were handled together");
}

async fn times_reserved(infra: &Infra, order: &str) -> usize {
    let published = infra.bus().published::<TicketReserved>().await;
    published.iter().filter(|event| event.0.order_id.to_string() == order).count()
}
