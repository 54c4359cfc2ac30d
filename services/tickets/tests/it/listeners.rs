use service::Microservice as _;
use std::collections::BTreeSet;
use tickets::app::Tickets;

use common::events::{Order, Subject, TicketDeleted, TicketUpdated};
use common::ids::TicketId;
use serde_json::{Value, json};
use tickets::app;
use tickets::state::App;

use crate::world::{TestOrder, World, settings, text};

/// The final state of a ticket after these events, without the members that are unique to it.
async fn end_of(world: &World, history: &[Order], ticket: &Value) -> Value {
    for order in history {
        world.deliver(order).await;
    }
    let admin = world.infra.admin();
    let mut end = world.get(&admin, ticket).await.expect(200);
    let has_order = end.get("orderId").is_some();
    for member in ["id", "version", "orderId", "userId"] {
        end.as_object_mut().unwrap().remove(member);
    }
    json!({ "ticket": end, "hasOrder": has_order })
}

/// By subject: the final status of the ticket, and the events that lead to it; that of the subject is the last.
fn histories(first: &TestOrder, second: &TestOrder) -> Vec<(Subject, &'static str, Vec<Order>)> {
    vec![
        // The first order has a greater version than the second, which is possible.
        (
            Subject::OrderCreated,
            "reserved",
            vec![first.created(1), first.cancelled(5), second.created(1)],
        ),
        (Subject::OrderCancelled, "available", vec![first.created(1), first.cancelled(3)]),
        (
            Subject::OrderCompleted,
            "sold",
            vec![first.created(1), first.cancelled(5), second.created(1), second.completed(3)],
        ),
    ]
}

#[tokio::test]
async fn every_listener_reaches_the_same_state_when_its_event_arrives_twice_late_and_out_of_order()
{
    let world = World::start().await;
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    let subjects: BTreeSet<_> = app::listeners(app).subjects().into_iter().collect();
    let (seller, one, two) = (world.user(), world.user(), world.user());
    let mut covered = BTreeSet::new();

    for case in 0.. {
        let ticket = world.default_ticket(&seller).await;
        let history_of = |ticket: &Value| {
            let (first, second) = (world.order(&one, ticket), world.order(&two, ticket));
            histories(&first, &second).into_iter().nth(case)
        };
        let Some((subject, status, in_order)) = history_of(&ticket) else { break };
        covered.insert(subject);
        let expected = end_of(&world, &in_order, &ticket).await;
        assert_eq!(expected["ticket"]["status"], status, "{subject}");

        let deliveries: [fn(Vec<Order>) -> Vec<Order>; 4] = [
            // Each one twice.
            |history| history.into_iter().flat_map(|order| [order.clone(), order]).collect(),
            // Out of order: the newest first.
            |history| history.into_iter().rev().collect(),
            // Late: all of them are delivered again after the last one.
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
            let ticket = world.default_ticket(&seller).await;
            let (.., history) = history_of(&ticket).unwrap();
            let end = end_of(&world, &delivery(history), &ticket).await;
            assert_eq!(end, expected, "{subject}, delivery {number}");
        }
    }
    // Those of sellers: `bans.rs`.
    covered.insert(Subject::UserUpdated);
    assert_eq!(covered, subjects, "every listener has a case here");
    assert!(world.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn each_change_is_published_in_a_new_version() {
    let world = World::start().await;
    let ticket = world.default_ticket(&world.user()).await;
    let order = world.order(&world.user(), &ticket);
    for order in [
        order.created(1),
        order.created(1),
        order.completed(3),
        order.created(1),
        order.cancelled(4),
        order.completed(3),
    ] {
        world.deliver(&order).await;
    }
    world.infra.bus().wait_for::<TicketUpdated>(|event| event.0.version == 4).await;
    let published = world.infra.bus().published::<TicketUpdated>().await;
    let published: Vec<_> = published
        .into_iter()
        .map(|event| (event.0.version, event.0.order_id.map(|id| id.to_string())))
        .collect();
    let order = Some(order.id());
    assert_eq!(published, [(2, order.clone()), (3, order), (4, None)]);
}

#[tokio::test]
async fn a_stale_cancellation_does_not_free_a_ticket_of_a_newer_order() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let (first, second) =
        (world.order(&world.user(), &ticket), world.order(&world.user(), &ticket));
    world.deliver(&first.created(1)).await;
    world.deliver(&second.created(1)).await;
    world.deliver(&first.cancelled(9)).await;
    let reserved = world.get(&seller, &ticket).await.expect(200);
    assert_eq!(
        (&reserved["status"], text(&reserved["orderId"])),
        (&json!("reserved"), &*second.id())
    );
}

#[tokio::test]
async fn a_redelivered_order_does_not_reserve_a_ticket_whose_order_has_ended() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&world.user(), &ticket);
    for order in [order.created(1), order.cancelled(2), order.created(1)] {
        world.deliver(&order).await;
    }
    let free = world.get(&seller, &ticket).await.expect(200);
    assert_eq!((&free["status"], &free["version"]), (&json!("available"), &json!(3)));
}

#[tokio::test]
async fn an_order_of_a_deleted_ticket_makes_the_deletion_be_published_again() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    world.client_as(&seller).delete(&crate::world::path(&ticket)).await.expect(204);
    let order = world.order(&world.user(), &ticket);
    // Created (twice), completed, and finally cancelled, after which nothing is published.
    for order in [
        order.created(1),
        order.created(1),
        order.completed(2),
        order.cancelled(3),
        order.completed(2),
    ] {
        world.deliver(&order).await;
    }
    world.infra.bus().wait_for::<TicketDeleted>(|event| event.0.version == 4).await;
    let published = world.infra.bus().published::<TicketDeleted>().await;
    let published: Vec<_> = published.iter().map(|event| event.0.version).collect();
    assert_eq!(published, [2, 3, 4]);
    world.get(&seller, &ticket).await.problem(404, "not-found");
    assert!(world.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_can_not_be_read_is_a_dead_letter_and_the_next_event_is_subjects() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let bus = world.infra.bus();
    for garbage in ["", "garbage", "{}", "null", r#"{"id":7,"version":"x"}"#] {
        bus.publish_raw("order.created", garbage).await;
    }
    let order = world.order(&world.user(), &ticket);
    world.deliver(&order.created(1)).await;

    assert_eq!(world.get(&seller, &ticket).await.expect(200)["status"], "reserved");
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
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let mut restored = ticket.clone();
    restored["id"] = json!(TicketId::new(world.clock().now()));
    let order = world.order(&world.user(), &restored).created(1);
    world.infra.bus().publish(&common::events::OrderCreated(order)).await;

    let database = world.infra.database("tickets").await;
    let tickets = database.collection::<bson::Document>("tickets");
    let mut document = tickets.find_one(bson::doc! {}).await.unwrap().unwrap();
    document.insert("_id", text(&restored["id"]));
    tickets.insert_one(document).await.unwrap();
    world.infra.bus().settled("tickets").await;
    assert_eq!(world.get(&seller, &restored).await.expect(200)["status"], "reserved");
    assert!(world.infra.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn replicas_that_consume_the_same_events_reach_the_same_state() {
    let world = World::start().await;
    let replica = Tickets::build(settings(&world.infra), world.clock().clone()).await.unwrap();
    let replica = testkit::TestService::serve(replica).await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let (first, second) =
        (world.order(&world.user(), &ticket), world.order(&world.user(), &ticket));
    let bus = world.infra.bus();
    for _ in 0..3 {
        // Not awaited: both replicas handle them concurrently.
        bus.publish_again(&common::events::OrderCompleted(second.completed(3))).await;
        bus.publish_again(&common::events::OrderCreated(first.created(1))).await;
        bus.publish_again(&common::events::OrderCancelled(first.cancelled(2))).await;
        bus.publish_again(&common::events::OrderCreated(second.created(1))).await;
    }
    bus.settled("tickets").await;
    for service in [&world.service, &replica] {
        let path = crate::world::path(&ticket);
        let sold = service.client_as(&seller).get(&path).await.expect(200);
        assert_eq!((&sold["status"], text(&sold["orderId"])), (&json!("sold"), &*second.id()));
    }
}
