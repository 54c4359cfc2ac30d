//! A checker that was never seen to fail proves nothing. Here a healthy world is read from a real run, one
//! mistake after the other is planted in it, and each must be found and named.

use std::time::Duration;

use async_nats::jetstream;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use system_tests::Stack;
use system_tests::chaos::{self, Options};
use system_tests::checker::{
    Breach, DeadLetter, Metadata, Order, OrderStatus, Promise, ScheduleState, Ticket, Waiting,
    World, Write, check,
};

#[tokio::test]
async fn the_checker_finds_each_mistake_that_is_planted_and_nothing_in_a_healthy_world() {
    let _alone = crate::alone().await;
    let stack = Stack::start("planted", &chaos::SETTINGS);
    let options = Options { seed: 1, calm: Duration::from_secs(6), ..Options::default() };
    let healthy = chaos::run(&stack, &options).await.unwrap();
    assert_eq!(healthy.breaches, []);

    for Plant { what, promise, plant } in PLANTS {
        let mut world = healthy.world.clone();
        let named = plant(&mut world);
        finds(&check(&world), what, *promise, &named);
    }

    let servers = chaos::connect(&stack).await.unwrap();
    let planted = plant_for_real(&stack, &servers, &healthy.world).await;
    let world = servers.read(healthy.world.claims, false).await.unwrap();
    let found = check(&world);
    for (what, promise, named) in planted {
        finds(&found, what, promise, &named);
    }
}

#[track_caller]
fn finds(found: &[Breach], what: &str, promise: Promise, named: &str) {
    let names = |breach: &Breach| breach.promise == promise && breach.what.contains(named);
    assert!(found.iter().any(names), "{what} ({named}) was not found in {found:#?}");
}

/// A mistake, and which promise it breaks. `plant` answers with what the checker must name.
struct Plant {
    what: &'static str,
    promise: Promise,
    plant: fn(&mut World) -> String,
}

const PLANTS: &[Plant] = &[
    Plant {
        what: "an event that was never published",
        promise: Promise::NoLostEvent,
        plant: |world| {
            let order = cancelled(world).id.clone();
            let lost = |it: &system_tests::checker::Event| {
                it.subject == "order.cancelled" && it.about() == order
            };
            world.events.retain(|event| !lost(event));
            order
        },
    },
    Plant {
        what: "an event that waits on its document",
        promise: Promise::NoLostEvent,
        plant: |world| {
            let id = "ticket.updated:1:2".to_owned();
            world.tickets[0].outbox.push(Waiting { id: id.clone() });
            id
        },
    },
    Plant {
        what: "an order's end that never reached tickets",
        promise: Promise::NoStuckTicket,
        plant: |world| {
            let (ticket, order) = free_after_a_hold(world);
            let locked = world.tickets.iter_mut().find(|it| it.id == ticket).unwrap();
            locked.order_id = Some(order);
            ticket
        },
    },
    Plant {
        what: "the same, as a replica that disagrees",
        promise: Promise::NewerWins,
        plant: |world| {
            let (ticket, order) = free_after_a_hold(world);
            let locked = world.tickets.iter_mut().find(|it| it.id == ticket).unwrap();
            locked.order_id = Some(order);
            ticket
        },
    },
    Plant {
        what: "a second live order",
        promise: Promise::OneBuyer,
        plant: |world| {
            let order = complete(world);
            let ticket = order.ticket_id.clone();
            let second = Order { id: "second".to_owned(), holds: vec![order.hold() + 1], ..order };
            world.orders.push(second);
            format!("ticket {ticket} has two live orders")
        },
    },
    Plant {
        what: "a second live order that has ended since",
        promise: Promise::OneBuyer,
        plant: |world| {
            let order = complete(world);
            let inserted = Write {
                namespace: "orders.orders".to_owned(),
                id: "second".to_owned(),
                version: Some(1),
                active: Some(true),
                ticket_id: Some(order.ticket_id.clone()),
            };
            let ended = Write {
                version: Some(2),
                active: Some(false),
                ticket_id: None,
                ..inserted.clone()
            };
            world.writes.extend([inserted, ended]);
            format!("ticket {} had two live orders at once", order.ticket_id)
        },
    },
    Plant {
        what: "a hold number that was given twice",
        promise: Promise::OneBuyer,
        plant: |world| {
            let order = cancelled(world);
            let ticket = order.ticket_id.clone();
            world.orders.push(Order { id: "another".to_owned(), ..order });
            ticket
        },
    },
    Plant {
        what: "a charge without an order",
        promise: Promise::NoLostMoney,
        plant: |world| {
            let mut charge = world.ledger.charges[0].clone();
            let mut intent = world.ledger.payment_intents[0].clone();
            (charge.id, charge.payment_intent) = ("ch_stray".to_owned(), "pi_stray".to_owned());
            (charge.status, intent.id) = ("succeeded".to_owned(), "pi_stray".to_owned());
            intent.metadata = Metadata { order_id: Some("nobody's".to_owned()) };
            world.ledger.charges.push(charge);
            world.ledger.payment_intents.push(intent);
            "ch_stray".to_owned()
        },
    },
    Plant {
        what: "a cent too much",
        promise: Promise::NoLostMoney,
        plant: |world| {
            let order = complete(world).id;
            let index = charge_of(world, &order);
            world.ledger.charges[index].amount += 1;
            order
        },
    },
    Plant {
        what: "a second charge",
        promise: Promise::NoDoubleCharge,
        plant: |world| {
            let order = complete(world).id;
            let mut charge = world.ledger.charges[charge_of(world, &order)].clone();
            charge.id = "ch_again".to_owned();
            world.ledger.charges.push(charge);
            order
        },
    },
    Plant {
        what: "a complete order that nobody paid",
        promise: Promise::NoLostMoney,
        plant: |world| {
            let order = complete(world).id;
            let index = charge_of(world, &order);
            world.ledger.charges.remove(index);
            order
        },
    },
    Plant {
        what: "a refund that was never made",
        promise: Promise::NoLostMoney,
        plant: |world| {
            let refund = world.ledger.refunds.pop().unwrap();
            refund.charge
        },
    },
    Plant {
        what: "an order that was answered 201 and is lost",
        promise: Promise::TheAnswer,
        plant: |world| {
            let order = world.claims.orders[0].id.clone();
            world.orders.retain(|it| it.id != order);
            order
        },
    },
    Plant {
        what: "a payment that was answered 201 and is lost",
        promise: Promise::TheAnswer,
        plant: |world| {
            let paid = world.claims.paid[0].clone();
            let index = charge_of(world, &paid.order);
            world.ledger.charges.remove(index);
            paid.id
        },
    },
    Plant {
        what: "an edit that was answered 200 and is lost",
        promise: Promise::TheAnswer,
        plant: |world| {
            let told = world.claims.tickets[0].id.clone();
            world.tickets.iter_mut().find(|it| it.id == told).unwrap().version = 0;
            told
        },
    },
    Plant {
        what: "a ticket that came back after its deletion",
        promise: Promise::TheAnswer,
        plant: |world| {
            let deleted = world.claims.deleted[0].clone();
            world.tickets.iter_mut().find(|it| it.id == deleted).unwrap().deleted = false;
            deleted
        },
    },
    Plant {
        what: "an offer that was sent again under its key and done twice",
        promise: Promise::TheAnswer,
        plant: |world| {
            let twice = Ticket { id: "twice".to_owned(), ..world.tickets[0].clone() };
            world.tickets.push(twice);
            world.tickets[0].id.clone()
        },
    },
    Plant {
        what: "an order that outlives its end",
        promise: Promise::NoStuckTicket,
        plant: |world| {
            let id = cancelled(world).id;
            let order = world.orders.iter_mut().find(|it| it.id == id).unwrap();
            (order.status, order.active, order.unpaid) = (OrderStatus::Created, true, true);
            id
        },
    },
    Plant {
        what: "a timer for an order that is over",
        promise: Promise::NoStuckTicket,
        plant: |world| {
            let id = cancelled(world).id;
            world.timers.push(id.clone());
            id
        },
    },
    Plant {
        what: "a schedule for an order that is over",
        promise: Promise::NewerWins,
        plant: |world| {
            let schedule = &mut world.schedules[0];
            schedule.state = ScheduleState::Scheduled;
            schedule.order_id.clone()
        },
    },
    Plant {
        what: "orders' ticket at an old version",
        promise: Promise::NewerWins,
        plant: |world| {
            let ticket = world.known_tickets.iter_mut().find(|ticket| ticket.version > 1).unwrap();
            ticket.version -= 1;
            ticket.id.clone()
        },
    },
    Plant {
        what: "payments' order in an old state",
        promise: Promise::NewerWins,
        plant: |world| {
            let order = cancelled(world).id;
            let payment = world.payments.iter_mut().find(|it| it.order_id == order).unwrap();
            payment.order.status = OrderStatus::Created;
            order
        },
    },
    Plant {
        what: "a document that went back",
        promise: Promise::NewerWins,
        plant: |world| {
            let last = world.writes.iter().rfind(|write| write.version > Some(1)).unwrap();
            let id = last.id.clone();
            world.writes.push(Write { version: Some(1), ..last.clone() });
            id
        },
    },
    Plant {
        what: "a dead letter",
        promise: Promise::NothingDropped,
        plant: |world| {
            let subject = "dead.orders.payment.created".to_owned();
            let letter =
                DeadLetter { subject, sequence: 7, reason: "why".to_owned(), data: json!({}) };
            world.dead_letters.push(letter.clone());
            letter.subject
        },
    },
];

fn cancelled(world: &World) -> Order {
    let mut orders = world.orders.iter();
    orders.find(|order| order.status == OrderStatus::Cancelled).expect("a cancelled order").clone()
}

fn complete(world: &World) -> Order {
    let mut orders = world.orders.iter();
    orders.find(|order| order.status == OrderStatus::Complete).expect("a complete order").clone()
}

/// A ticket that is free again, and the last order that had it.
fn free_after_a_hold(world: &World) -> (String, String) {
    let is_free =
        |ticket: &&Ticket| ticket.order_id.is_none() && !ticket.deleted && ticket.hold > 0;
    let ticket = world.tickets.iter().find(is_free).expect("a ticket that was held").id.clone();
    let orders = world.orders.iter().filter(|order| order.ticket_id == ticket);
    let newest = orders.max_by_key(|order| order.hold()).unwrap();
    (ticket, newest.id.clone())
}

/// Where the ledger has the order's charge.
fn charge_of(world: &World, order: &str) -> usize {
    let mut intents = world.ledger.payment_intents.iter();
    let is_its = |charge: &system_tests::checker::StripeCharge, intent: &str| {
        charge.payment_intent == intent && charge.status == "succeeded"
    };
    let charges = &world.ledger.charges;
    let at = intents.find_map(|intent| {
        let its = intent.metadata.order_id.as_deref() == Some(order);
        charges.iter().position(|charge| its && is_its(charge, &intent.id))
    });
    at.expect("a charge of the order")
}

/// The same in the servers: the checker reads what is there.
async fn plant_for_real(
    stack: &Stack,
    servers: &system_tests::checker::Servers,
    world: &World,
) -> Vec<(&'static str, Promise, String)> {
    // A ticket that is locked for an order that is over.
    let (ticket, order) = free_after_a_hold(world);
    let tickets = servers.database("tickets").collection::<Document>("tickets");
    let lock = doc! { "$set": { "orderId": order } };
    tickets.update_one(doc! { "_id": &ticket }, lock).await.unwrap();

    // A second live order, which the index would refuse.
    let orders = servers.database("orders").collection::<Document>("orders");
    orders.drop_index("one_live_order_per_ticket").await.unwrap();
    let sold = complete(world);
    let mut second = orders.find_one(doc! { "_id": &sold.id }).await.unwrap().unwrap();
    second.insert("_id", "00000000-0000-7000-8000-000000000000");
    second.insert("holds", [sold.hold() + 1]);
    second.remove("requests");
    orders.insert_one(second).await.unwrap();

    // An event that is gone.
    let event = world.events.iter().find(|event| event.subject == "order.completed").unwrap();
    let stream = jetstream::new(stack.nats().await.unwrap()).get_stream("ORDERS").await.unwrap();
    stream.delete_message(event.sequence).await.unwrap();
    let told_of = event.data["id"].as_str().map(str::to_owned).unwrap();

    // A charge that nobody asked for.
    charge_somebody(stack).await;
    vec![
        ("a stuck ticket", Promise::NoStuckTicket, ticket),
        ("a second live order", Promise::OneBuyer, sold.ticket_id.clone()),
        (
            "a second live order at some time",
            Promise::OneBuyer,
            format!("ticket {} had two", sold.ticket_id),
        ),
        ("an event that is gone", Promise::NoLostEvent, told_of),
        ("a charge without an order", Promise::NoLostMoney, "nobody's".to_owned()),
    ]
}

async fn charge_somebody(stack: &Stack) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = [
        ("amount", "777"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("allowed_payment_method_types[]", "card"),
        ("metadata[order_id]", "nobody's"),
    ];
    let url = format!("http://127.0.0.1:{}/v1/payment_intents", stack.port("stripe"));
    let answer = client.post(url).bearer_auth("sk_test_local").form(&form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "succeeded", "{answer}");
}
