use service::Microservice as _;
use std::collections::BTreeSet;
use tickets::app::Tickets;

use common::events::{Order, Subject, TicketDeleted, TicketUpdated};
use common::ids::TicketId;
use serde_json::{Value, json};
use tickets::app;
use tickets::state::App;

use crate::market::{Buying, Market, settings, text};

/// What a ticket has come to, without what differs between two tickets alike.
async fn end_of(market: &Market, history: &[Order], ticket: &Value) -> Value {
    for order in history {
        market.tell(order).await;
    }
    let admin = market.infra.admin();
    let mut end = market.look(&admin, ticket).await.expect(200);
    let has_order = end.get("orderId").is_some();
    for member in ["id", "version", "orderId", "userId"] {
        end.as_object_mut().unwrap().remove(member);
    }
    json!({ "ticket": end, "hasOrder": has_order })
}

/// By subject: what the ticket is in the end; what comes before the event, and the event itself, last.
fn histories(first: &Buying, second: &Buying) -> Vec<(Subject, &'static str, Vec<Order>)> {
    vec![
        // The first order has come to a greater version than the second, as it well may.
        (
            Subject::OrderCreated,
            "reserved",
            vec![first.created(1, 1), first.cancelled(1, 5), second.created(2, 1)],
        ),
        (Subject::OrderCancelled, "available", vec![first.created(1, 1), first.cancelled(1, 3)]),
        (
            Subject::OrderCompleted,
            "sold",
            vec![
                first.created(1, 1),
                first.cancelled(1, 5),
                second.created(2, 1),
                second.completed(2, 3),
            ],
        ),
    ]
}

#[tokio::test]
async fn every_event_is_heard_twice_late_and_out_of_order_to_the_same_end() {
    let market = Market::open().await;
    let app = App::connect(&settings(&market.infra).state, market.clock().clone()).await.unwrap();
    let heard: BTreeSet<_> = app::listeners(app).subjects().into_iter().collect();
    let (seller, one, two) = (market.user(), market.user(), market.user());
    let mut covered = BTreeSet::new();

    for case in 0.. {
        let ticket = market.any_ticket(&seller).await;
        let history_of = |ticket: &Value| {
            let (first, second) = (market.buying(&one, ticket), market.buying(&two, ticket));
            histories(&first, &second).into_iter().nth(case)
        };
        let Some((subject, status, in_order)) = history_of(&ticket) else { break };
        covered.insert(subject);
        let expected = end_of(&market, &in_order, &ticket).await;
        assert_eq!(expected["ticket"]["status"], status, "{subject}");

        let deliveries: [fn(Vec<Order>) -> Vec<Order>; 4] = [
            // Each of them twice.
            |history| history.into_iter().flat_map(|order| [order.clone(), order]).collect(),
            // Out of order: the newest first.
            |history| history.into_iter().rev().collect(),
            // Late: all that was before is told once more, after the end.
            |history| [history.clone(), history].concat(),
            // Late and out of order, each twice.
            |history| {
                let mut twice = [history.clone(), history].concat();
                twice.rotate_left(1);
                twice.reverse();
                twice
            },
        ];
        for (number, delivery) in deliveries.into_iter().enumerate() {
            let ticket = market.any_ticket(&seller).await;
            let (.., history) = history_of(&ticket).unwrap();
            let end = end_of(&market, &delivery(history), &ticket).await;
            assert_eq!(end, expected, "{subject}, delivery {number}");
        }
    }
    assert_eq!(covered, heard, "every listener has its case here");
    assert!(market.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn each_change_is_told_in_a_new_version() {
    let market = Market::open().await;
    let ticket = market.any_ticket(&market.user()).await;
    let buying = market.buying(&market.user(), &ticket);
    for order in [
        buying.created(1, 1),
        buying.created(1, 1),
        buying.completed(1, 3),
        buying.created(1, 1),
        buying.cancelled(1, 4),
        buying.completed(1, 3),
    ] {
        market.tell(&order).await;
    }
    market.infra.bus().wait_for::<TicketUpdated>(|event| event.0.version == 4).await;
    let told = market.infra.bus().published::<TicketUpdated>().await;
    let told: Vec<_> = told
        .into_iter()
        .map(|event| (event.0.version, event.0.hold, event.0.order_id.map(|id| id.to_string())))
        .collect();
    let order = Some(buying.id());
    assert_eq!(told, [(2, 1, order.clone()), (3, 1, order), (4, 1, None)]);
}

#[tokio::test]
async fn a_stale_cancel_does_not_unlock_what_a_newer_order_holds() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let (first, second) =
        (market.buying(&market.user(), &ticket), market.buying(&market.user(), &ticket));
    market.tell(&first.created(1, 1)).await;
    market.tell(&second.created(2, 1)).await;
    market.tell(&first.cancelled(1, 9)).await;
    let held = market.look(&seller, &ticket).await.expect(200);
    assert_eq!((&held["status"], text(&held["orderId"])), (&json!("reserved"), &*second.id()));
}

#[tokio::test]
async fn a_redelivered_order_does_not_lock_a_ticket_whose_order_is_over() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let buying = market.buying(&market.user(), &ticket);
    for order in [buying.created(1, 1), buying.cancelled(1, 2), buying.created(1, 1)] {
        market.tell(&order).await;
    }
    let free = market.look(&seller, &ticket).await.expect(200);
    assert_eq!((&free["status"], &free["version"]), (&json!("available"), &json!(3)));
}

#[tokio::test]
async fn an_order_of_a_deleted_ticket_is_told_of_the_deletion_again() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    market.client_as(&seller).delete(&crate::market::path(&ticket)).await.expect(204);
    let buying = market.buying(&market.user(), &ticket);
    // Created (twice), completed, and at last cancelled, to which nothing is said.
    for order in [
        buying.created(1, 1),
        buying.created(1, 1),
        buying.completed(1, 2),
        buying.cancelled(1, 3),
        buying.completed(1, 2),
    ] {
        market.tell(&order).await;
    }
    market.infra.bus().wait_for::<TicketDeleted>(|event| event.0.version == 4).await;
    let told = market.infra.bus().published::<TicketDeleted>().await;
    let told: Vec<_> = told.iter().map(|event| (event.0.version, event.0.hold)).collect();
    assert_eq!(told, [(2, 0), (3, 1), (4, 1)]);
    market.look(&seller, &ticket).await.problem(404, "not-found");
    assert!(market.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_can_not_be_read_is_a_dead_letter_and_the_next_event_is_heard() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let bus = market.infra.bus();
    for rubbish in ["", "rubbish", "{}", "null", r#"{"id":7,"hold":"x"}"#] {
        bus.publish_raw("order.created", rubbish).await;
    }
    let buying = market.buying(&market.user(), &ticket);
    market.tell(&buying.created(1, 1)).await;

    assert_eq!(market.look(&seller, &ticket).await.expect(200)["status"], "reserved");
    let dead = bus.dead_letters().await;
    assert_eq!(dead.len(), 5);
    for letter in dead {
        assert_eq!(
            (letter.service.as_str(), letter.subject.as_str()),
            ("tickets", "order.created")
        );
        assert!(letter.reason.contains("not a order.created"), "{}", letter.reason);
    }
}

#[tokio::test]
async fn an_order_of_a_ticket_that_is_restored_later_is_not_lost() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let mut restored = ticket.clone();
    restored["id"] = json!(TicketId::new(market.clock().now()));
    let order = market.buying(&market.user(), &restored).created(1, 1);
    market.infra.bus().publish(&common::events::OrderCreated(order)).await;

    let database = market.infra.database("tickets").await;
    let tickets = database.collection::<bson::Document>("tickets");
    let mut document = tickets.find_one(bson::doc! {}).await.unwrap().unwrap();
    document.insert("_id", text(&restored["id"]));
    tickets.insert_one(document).await.unwrap();
    market.infra.bus().settled("tickets").await;
    assert_eq!(market.look(&seller, &restored).await.expect(200)["status"], "reserved");
    assert!(market.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn replicas_that_hear_one_history_together_come_to_one_end() {
    let market = Market::open().await;
    let replica = Tickets::build(settings(&market.infra), market.clock().clone()).await.unwrap();
    let replica = testkit::TestService::serve(replica).await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let (first, second) =
        (market.buying(&market.user(), &ticket), market.buying(&market.user(), &ticket));
    let bus = market.infra.bus();
    for _ in 0..3 {
        // Not waited for: both replicas work on them at once.
        bus.publish_again(&common::events::OrderCompleted(second.completed(2, 3))).await;
        bus.publish_again(&common::events::OrderCreated(first.created(1, 1))).await;
        bus.publish_again(&common::events::OrderCancelled(first.cancelled(1, 2))).await;
        bus.publish_again(&common::events::OrderCreated(second.created(2, 1))).await;
    }
    bus.settled("tickets").await;
    for service in [&market.service, &replica] {
        let path = crate::market::path(&ticket);
        let sold = service.client_as(&seller).get(&path).await.expect(200);
        assert_eq!((&sold["status"], text(&sold["orderId"])), (&json!("sold"), &*second.id()));
    }
}
