//! Mutation tests of the checker: a healthy snapshot is read from a real run, one mistake after the other is introduced, and
//! the checker must report each with its id.

use std::time::Duration;

use async_nats::jetstream;
use common::events::Subject;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use system_tests::Stack;
use system_tests::chaos::{self, Options};
use system_tests::checker::{
    AcknowledgedAdmission, AcknowledgedRefund, CheckIn, DeadLetter, Dispute, Invariant, Metadata,
    OplogEntry, Order, OrderStatus, OutboxEntry, PaymentDispute, PaymentState, PaymentStatus,
    Reservation, ReservationStatus, ScheduleState, Snapshot, Ticket, Violation, Webhook, check,
};
use testkit::eventually;

#[tokio::test]
async fn the_checker_reports_every_mistake_and_nothing_in_a_healthy_snapshot() {
    let _turn = crate::exclusive().await;
    let stack = Stack::start("checker", &chaos::SETTINGS);
    sales(&stack).await;
    let options = Options { seed: 1, margin: Duration::from_secs(6), ..Options::default() };
    let healthy = chaos::run(&stack, &options).await.unwrap();
    assert_eq!(healthy.violations, []);
    // The oplog is read completely: each check-in is a write of its own.
    let recorded: usize = healthy.snapshot.reservations.iter().map(|it| it.check_ins.len()).sum();
    let written = healthy.snapshot.oplog.iter().filter(|write| write.checks_in).count();
    assert!(recorded > 0);
    assert_eq!(written, recorded);

    for Mutation { what, invariant, apply } in MUTATIONS {
        let mut snapshot = healthy.snapshot.clone();
        let id = apply(&mut snapshot);
        assert_reported(&check(&snapshot), what, *invariant, &id);
    }

    let servers = chaos::connect(&stack).await.unwrap();
    let mutated = mutate_servers(&stack, &servers, &healthy.snapshot).await;
    let snapshot = servers.read(healthy.snapshot.acknowledged, false).await.unwrap();
    let found = check(&snapshot);
    for (what, invariant, id) in mutated {
        assert_reported(&found, what, invariant, &id);
    }
}

#[track_caller]
fn assert_reported(found: &[Violation], what: &str, invariant: Invariant, id: &str) {
    let is_it =
        |violation: &Violation| violation.invariant == invariant && violation.what.contains(id);
    assert!(found.iter().any(is_it), "{what} ({id}) was not found in {found:#?}");
}

/// What a short load on a busy machine may lack: somebody comes in at a seller's own door, and a sale is refunded.
async fn sales(stack: &Stack) {
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let listing = json!({ "title": "Standing", "price": "5", "delivery": "checked_in_here" });
    let listing = seller.client.post("/api/tickets", listing).await.expect(201);
    let ticket = listing["id"].as_str().unwrap();
    let order = buyer.reserves(ticket).await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    let admissions = format!("/api/orders/{order}/admissions");
    let code = eventually("the code", || async {
        let shown = buyer.client.get(&admissions).await;
        shown.body["admissions"][0]["code"].as_str().map(str::to_owned)
    })
    .await;
    let scan = json!({ "code": code, "gate": "Gate 1" });
    seller.client.post(&format!("/api/tickets/{ticket}/checkin"), scan).await.expect(200);

    let order = buyer.reserves(&seller.offers("Seat", "5").await).await;
    let paid = buyer.pays(&order, "tok_visa").await.expect(201);
    seller.refunds(paid["id"].as_str().unwrap()).await.expect(202);
    buyer.sees_order(&order, "cancelled").await;
}

/// A mistake, and the invariant that it violates. `apply` returns what the report must contain.
struct Mutation {
    what: &'static str,
    invariant: Invariant,
    apply: fn(&mut Snapshot) -> String,
}

/// An order that ended without a payment.
fn expired(snapshot: &Snapshot) -> String {
    let ended = |order: &&Order| {
        order.status == OrderStatus::Cancelled
            && order.cancel_reason.as_deref() != Some("refunded")
            && snapshot
                .reservations
                .iter()
                .any(|one| one.order_id == order.id && one.status == ReservationStatus::Ended)
    };
    snapshot.orders.iter().find(ended).unwrap().id.clone()
}

/// The mail to the buyer of a complete order.
fn confirmation(snapshot: &Snapshot) -> String {
    let complete = |order: &&Order| order.status == OrderStatus::Complete;
    format!("paid:{}", snapshot.orders.iter().find(complete).unwrap().id)
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "a sale of which nobody was notified",
        invariant: Invariant::NoLostMail,
        apply: |snapshot| {
            let id = confirmation(snapshot);
            snapshot.mails.retain(|mail| mail.id != id);
            id
        },
    },
    Mutation {
        what: "a mail that counts as sent and has not arrived",
        invariant: Invariant::NoLostMail,
        apply: |snapshot| {
            let id = confirmation(snapshot);
            let message_id = id.replace(':', ".");
            snapshot.mailbox.retain(|arrived| !arrived.starts_with(&message_id));
            id
        },
    },
    Mutation {
        what: "a mail that has arrived twice for no reason",
        invariant: Invariant::NoLostMail,
        apply: |snapshot| {
            let id = confirmation(snapshot);
            snapshot.mailbox.push(format!("{}@localhost", id.replace(':', ".")));
            id
        },
    },
    Mutation {
        what: "a code that was admitted twice",
        invariant: Invariant::AdmittedOnce,
        apply: |snapshot| {
            let order = complete(snapshot);
            for _ in 0..2 {
                let admission = AcknowledgedAdmission { order: order.id.clone(), place: 1 };
                snapshot.acknowledged.admitted.push(admission);
            }
            format!("order {} was admitted twice", order.id)
        },
    },
    Mutation {
        what: "a check-in of an order that was never paid",
        invariant: Invariant::AdmittedOnce,
        apply: |snapshot| {
            let order = expired(snapshot);
            let mut reservations = snapshot.reservations.iter_mut();
            let reservation = reservations.find(|it| it.order_id == order).unwrap();
            reservation.check_ins.push(CheckIn { place: reservation.places[0] });
            format!("order {order} was never paid")
        },
    },
    Mutation {
        what: "a check-in after the end of its order",
        invariant: Invariant::AdmittedOnce,
        apply: |snapshot| {
            let (at, scan) = check_in_write(snapshot);
            let ended = OplogEntry {
                reservation: Some(ReservationStatus::Ended),
                checks_in: false,
                ..scan.clone()
            };
            snapshot.oplog.insert(at, ended);
            format!("order {} was checked in when", scan.id)
        },
    },
    Mutation {
        what: "an event that was never published",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let order = cancelled(snapshot).id.clone();
            let lost = |it: &system_tests::checker::Event| {
                it.is(Subject::OrderCancelled) && it.aggregate_id() == order
            };
            snapshot.events.retain(|event| !lost(event));
            order
        },
    },
    Mutation {
        what: "an event that the catalogue doesn't have",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let subject = "order.forgotten".to_owned();
            snapshot.events[0].subject.clone_from(&subject);
            subject
        },
    },
    Mutation {
        what: "an event that is still in its outbox",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let id = "ticket.updated:1:2".to_owned();
            snapshot.tickets[0].outbox.push(OutboxEntry { id: id.clone() });
            id
        },
    },
    Mutation {
        what: "a cancellation that never reached tickets",
        invariant: Invariant::NoStuckTicket,
        apply: lock_again,
    },
    Mutation {
        what: "the same, as a replica that disagrees",
        invariant: Invariant::NewerWins,
        apply: lock_again,
    },
    Mutation {
        what: "a second live order",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot);
            let (ticket, place) = (order.ticket_id.clone(), order.places[0]);
            snapshot.orders.push(Order { id: "second".to_owned(), ..order });
            format!("place {place} of ticket {ticket} belongs to two orders")
        },
    },
    Mutation {
        what: "a second live order that has ended since",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot);
            let inserted = OplogEntry {
                namespace: "orders.orders".to_owned(),
                id: "second".to_owned(),
                version: Some(1),
                status: Some(OrderStatus::Created),
                reservation: None,
                checks_in: false,
                withdrawn: Some(false),
                places: Some(order.places.clone()),
                ticket_id: Some(order.ticket_id.clone()),
            };
            let ended = OplogEntry {
                version: Some(2),
                status: Some(OrderStatus::Cancelled),
                places: None,
                ticket_id: None,
                ..inserted.clone()
            };
            snapshot.oplog.extend([inserted, ended]);
            let (ticket, place) = (order.ticket_id, order.places[0]);
            format!("place {place} of ticket {ticket} belonged to two orders at the same time")
        },
    },
    Mutation {
        what: "a place that was refunded without going back on sale, and sold again",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot);
            let (ticket, place) = (order.ticket_id.clone(), order.places[0]);
            let refunded = order_mut(snapshot, &order.id);
            (refunded.status, refunded.withdrawn) = (OrderStatus::Cancelled, true);
            snapshot.orders.push(Order { id: "second".to_owned(), ..order });
            format!("place {place} of ticket {ticket} belongs to two orders")
        },
    },
    Mutation {
        what: "a place that the listing doesn't have",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            order_mut(snapshot, &order).places[0] = 1001;
            format!("order {order} has place 1001")
        },
    },
    Mutation {
        what: "more buyers than places",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot);
            let ticket = order.ticket_id.clone();
            let quantity = snapshot.tickets.iter().find(|it| it.id == ticket).unwrap().quantity + 1;
            let more = Order { id: "more".to_owned(), quantity, ..order };
            snapshot.orders.push(more);
            format!("ticket {ticket} has {} places, and", quantity - 1)
        },
    },
    Mutation {
        what: "an order with fewer places than its buyer wanted",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = of_many(snapshot).id;
            order_mut(snapshot, &order).places.pop();
            order
        },
    },
    Mutation {
        what: "an order that has ended and still occupies its places",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order =
                snapshot.orders.iter().find(|order| !order.has_places()).unwrap().id.clone();
            order_mut(snapshot, &order).occupies = true;
            order
        },
    },
    Mutation {
        what: "a slot that two unpaid orders take",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot);
            for id in ["one", "other"] {
                let unpaid =
                    Order { id: id.to_owned(), unpaid: true, slot: Some(3), ..order.clone() };
                snapshot.orders.push(unpaid);
            }
            format!("slot 3 of user {} is taken by two orders, one and other", order.user_id)
        },
    },
    Mutation {
        what: "an outdated summary of a listing",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let ticket = snapshot.tickets.iter_mut().find(|ticket| !ticket.deleted).unwrap();
            ticket.summary.reserved += 1;
            format!("the summary of ticket {}", ticket.id)
        },
    },
    Mutation {
        what: "an order that never reached tickets",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            snapshot.reservations.retain(|it| it.order_id != order);
            order
        },
    },
    Mutation {
        what: "a reservation of another place than the order's",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            reservation_mut(snapshot, &order).places[0] += 1;
            order
        },
    },
    Mutation {
        what: "a reservation that an old event has brought back",
        invariant: Invariant::NoStuckTicket,
        apply: reserve_again,
    },
    Mutation {
        what: "the same, as a replica that disagrees",
        invariant: Invariant::NewerWins,
        apply: reserve_again,
    },
    Mutation {
        what: "a reservation that orders was never informed of",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            snapshot.events.retain(|event| {
                !(event.is(Subject::TicketReserved) && event.aggregate_id() == order)
            });
            order
        },
    },
    Mutation {
        what: "a total that isn't that of all places",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = of_many(snapshot);
            order_mut(snapshot, &order.id).total = order.ticket.price;
            format!("order {} of {}", order.id, order.quantity)
        },
    },
    Mutation {
        what: "a refund that put the places back on sale against the seller's will",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let refunded = order_mut(snapshot, &order);
            refunded.cancel_reason = Some("refunded".to_owned());
            let payment = snapshot.payments.iter().find(|it| it.order_id == order).unwrap();
            let payment = payment.state.as_ref().unwrap().id.clone();
            snapshot.acknowledged.refunds.push(AcknowledgedRefund { payment, relist: false });
            format!("the refund of order {order} was to put its places back on sale: false")
        },
    },
    Mutation {
        what: "an acknowledged order of more places than it has",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let order = &mut snapshot.acknowledged.orders[0];
            order.quantity += 1;
            order.id.clone()
        },
    },
    Mutation {
        what: "a charge without an order",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let mut charge = snapshot.ledger.charges[0].clone();
            let mut intent = snapshot.ledger.payment_intents[0].clone();
            (charge.id, charge.payment_intent) = ("ch_stray".to_owned(), "pi_stray".to_owned());
            (charge.status, intent.id) = ("succeeded".to_owned(), "pi_stray".to_owned());
            charge.captured = true;
            intent.metadata = Metadata { order_id: Some("no-such-order".to_owned()) };
            snapshot.ledger.charges.push(charge);
            snapshot.ledger.payment_intents.push(intent);
            "ch_stray".to_owned()
        },
    },
    Mutation {
        what: "a cent too much",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let index = charge_of(snapshot, &order);
            snapshot.ledger.charges[index].amount += 1;
            order
        },
    },
    Mutation {
        what: "a second charge",
        invariant: Invariant::NoDoubleCharge,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let mut charge = snapshot.ledger.charges[charge_of(snapshot, &order)].clone();
            charge.id = "ch_again".to_owned();
            snapshot.ledger.charges.push(charge);
            order
        },
    },
    Mutation {
        what: "a complete order without a charge",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let index = charge_of(snapshot, &order);
            snapshot.ledger.charges.remove(index);
            order
        },
    },
    Mutation {
        what: "an authorisation that was neither captured nor released",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let intent = snapshot.ledger.payment_intents.iter_mut();
            let intent = intent.last().unwrap();
            intent.status = "requires_capture".to_owned();
            format!("{} of order", intent.id)
        },
    },
    Mutation {
        what: "a lost dispute of a complete order",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot);
            let charge = snapshot.ledger.charges[charge_of(snapshot, &order.id)].id.clone();
            let (id, status, amount) = ("dp_1".to_owned(), "lost".to_owned(), order.total);
            snapshot.ledger.disputes.push(Dispute { id, charge, amount, status });
            order.id
        },
    },
    Mutation {
        what: "a lost dispute that payments doesn't know",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot);
            let charge = snapshot.ledger.charges[charge_of(snapshot, &order.id)].id.clone();
            let (id, status, amount) = ("dp_9".to_owned(), "lost".to_owned(), order.total);
            snapshot.ledger.disputes.push(Dispute { id, charge, amount, status });
            format!("payment {} has the dispute", payment_of(snapshot, &order.id).id)
        },
    },
    Mutation {
        what: "a dispute that is open only in payments",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let payment = payment_of(snapshot, &order);
            let (stripe_id, status) = ("dp_9".to_owned(), "open".to_owned());
            payment.dispute = Some(PaymentDispute { stripe_id, status });
            format!("payment {} has the dispute", payment.id)
        },
    },
    Mutation {
        what: "a complete order whose dispute is lost",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot);
            let charge = snapshot.ledger.charges[charge_of(snapshot, &order.id)].id.clone();
            let (id, status) = ("dp_9".to_owned(), "lost".to_owned());
            snapshot.ledger.disputes.push(Dispute { id, charge, amount: 1, status });
            format!("a dispute of order {} is lost", order.id)
        },
    },
    Mutation {
        what: "an order that has ended because of a dispute that nobody has lost",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = cancelled(snapshot).id;
            order_mut(snapshot, &order).cancel_reason = Some("disputed".to_owned());
            format!("order {order} has ended because of a dispute, and none is lost")
        },
    },
    Mutation {
        what: "a disputed place that is back on sale",
        invariant: Invariant::OneBuyer,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let disputed = order_mut(snapshot, &order);
            disputed.status = OrderStatus::Cancelled;
            disputed.cancel_reason = Some("disputed".to_owned());
            format!("order {order} has ended because of a dispute, and its places")
        },
    },
    Mutation {
        what: "a refund of a part that payments doesn't count",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let payment = payment_of(snapshot, &order);
            payment.amount_refunded += 1;
            format!("payment {} has {} cents refunded", payment.id, payment.amount_refunded)
        },
    },
    Mutation {
        what: "a challenge that outlives its order",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = cancelled(snapshot).id;
            let mut intent = snapshot.ledger.payment_intents[0].clone();
            (intent.id, intent.status) = ("pi_asks".to_owned(), "requires_action".to_owned());
            intent.metadata = Metadata { order_id: Some(order) };
            snapshot.ledger.payment_intents.push(intent);
            "pi_asks".to_owned()
        },
    },
    Mutation {
        what: "an event of Stripe's whose webhook was lost",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let event = snapshot.stripe_events[0].id.clone();
            snapshot.webhooks.retain(|webhook| webhook.id != event);
            format!("Stripe's event {event}")
        },
    },
    Mutation {
        what: "a webhook that could not be read",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let event = snapshot.stripe_events[0].id.clone();
            let webhook = snapshot.webhooks.iter_mut().find(|webhook| webhook.id == event);
            webhook.unwrap().intent = None;
            format!("Stripe's event {event}")
        },
    },
    Mutation {
        what: "a webhook that was never worked on",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let event = snapshot.stripe_events[0].id.clone();
            let webhook = snapshot.webhooks.iter_mut().find(|webhook| webhook.id == event);
            webhook.unwrap().next_run_at = Some(0);
            format!("Stripe's event {event}")
        },
    },
    Mutation {
        what: "a forged webhook that was believed",
        invariant: Invariant::NoLostEvent,
        apply: |snapshot| {
            let forged = Webhook { id: "evt_forged".to_owned(), ..snapshot.webhooks[0].clone() };
            snapshot
                .webhooks
                .push(Webhook { kind: snapshot.stripe_events[0].kind.clone(), ..forged });
            "evt_forged".to_owned()
        },
    },
    Mutation {
        what: "a refund that was never made",
        invariant: Invariant::NoLostMoney,
        apply: |snapshot| {
            let order = complete(snapshot).id;
            let refunded = order_mut(snapshot, &order);
            refunded.status = OrderStatus::Cancelled;
            refunded.cancel_reason = Some("refunded".to_owned());
            payment_of(snapshot, &order).status = PaymentStatus::Refunded;
            format!("order {order} is Cancelled and due 0 cents")
        },
    },
    Mutation {
        what: "an acknowledged order that is lost",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let order = snapshot.acknowledged.orders[0].id.clone();
            snapshot.orders.retain(|it| it.id != order);
            order
        },
    },
    Mutation {
        what: "an acknowledged payment that is lost",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let paid = snapshot.acknowledged.paid[0].clone();
            let index = charge_of(snapshot, &paid.order);
            snapshot.ledger.charges.remove(index);
            paid.id
        },
    },
    Mutation {
        what: "an acknowledged edit that is lost",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let edited = snapshot.acknowledged.tickets[0].id.clone();
            snapshot.tickets.iter_mut().find(|it| it.id == edited).unwrap().version = 0;
            edited
        },
    },
    Mutation {
        what: "an acknowledged deletion that is lost",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let deleted = snapshot.acknowledged.deleted[0].clone();
            snapshot.tickets.iter_mut().find(|it| it.id == deleted).unwrap().deleted = false;
            deleted
        },
    },
    Mutation {
        what: "a repeated request that was executed twice",
        invariant: Invariant::Acknowledged,
        apply: |snapshot| {
            let twice = Ticket { id: "twice".to_owned(), ..snapshot.tickets[0].clone() };
            snapshot.tickets.push(twice);
            snapshot.tickets[0].id.clone()
        },
    },
    Mutation {
        what: "an order that outlives its expiry",
        invariant: Invariant::NoStuckTicket,
        apply: |snapshot| {
            let id = cancelled(snapshot).id;
            let order = snapshot.orders.iter_mut().find(|it| it.id == id).unwrap();
            (order.status, order.occupies, order.unpaid) = (OrderStatus::Created, true, true);
            id
        },
    },
    Mutation {
        what: "a timer for an order that has ended",
        invariant: Invariant::NoStuckTicket,
        apply: |snapshot| {
            let id = cancelled(snapshot).id;
            snapshot.timers.push(id.clone());
            id
        },
    },
    Mutation {
        what: "a schedule for an order that has ended",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let schedule = &mut snapshot.schedules[0];
            schedule.state = ScheduleState::Scheduled;
            schedule.order_id.clone()
        },
    },
    Mutation {
        what: "an outdated replica of a ticket",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let ticket =
                snapshot.ticket_replicas.iter_mut().find(|ticket| ticket.version > 1).unwrap();
            ticket.version -= 1;
            ticket.id.clone()
        },
    },
    Mutation {
        what: "an outdated replica of an order",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let order = cancelled(snapshot).id;
            let payment = snapshot.payments.iter_mut().find(|it| it.order_id == order).unwrap();
            payment.order.status = OrderStatus::Created;
            order
        },
    },
    Mutation {
        what: "a document whose version decreased",
        invariant: Invariant::NewerWins,
        apply: |snapshot| {
            let last = snapshot.oplog.iter().rfind(|write| write.version > Some(1)).unwrap();
            let id = last.id.clone();
            snapshot.oplog.push(OplogEntry { version: Some(1), ..last.clone() });
            id
        },
    },
    Mutation {
        what: "a dead letter",
        invariant: Invariant::NothingDropped,
        apply: |snapshot| {
            let subject = "dead.orders.payment.created".to_owned();
            let letter =
                DeadLetter { subject, sequence: 7, reason: "why".to_owned(), data: json!({}) };
            snapshot.dead_letters.push(letter.clone());
            letter.subject
        },
    },
];

/// A write of the oplog by which somebody came in, and where it is.
fn check_in_write(snapshot: &Snapshot) -> (usize, OplogEntry) {
    let at = snapshot.oplog.iter().position(|write| write.checks_in).expect("a check-in");
    (at, snapshot.oplog[at].clone())
}

fn cancelled(snapshot: &Snapshot) -> Order {
    let mut orders = snapshot.orders.iter();
    orders.find(|order| order.status == OrderStatus::Cancelled).expect("a cancelled order").clone()
}

fn complete(snapshot: &Snapshot) -> Order {
    let mut orders = snapshot.orders.iter();
    orders.find(|order| order.status == OrderStatus::Complete).expect("a complete order").clone()
}

/// An order of several places.
fn of_many(snapshot: &Snapshot) -> Order {
    let mut orders = snapshot.orders.iter();
    orders.find(|order| order.quantity > 1).expect("an order of several places").clone()
}

fn order_mut<'a>(snapshot: &'a mut Snapshot, id: &str) -> &'a mut Order {
    snapshot.orders.iter_mut().find(|order| order.id == id).unwrap()
}

fn payment_of<'a>(snapshot: &'a mut Snapshot, order: &str) -> &'a mut PaymentState {
    let mut payments = snapshot.payments.iter_mut();
    payments.find(|payment| payment.order_id == order).unwrap().state.as_mut().unwrap()
}

fn reservation_mut<'a>(snapshot: &'a mut Snapshot, order: &str) -> &'a mut Reservation {
    snapshot.reservations.iter_mut().find(|it| it.order_id == order).unwrap()
}

/// Reserves the places of an order that has ended. Returns the order's id.
fn reserve_again(snapshot: &mut Snapshot) -> String {
    let is_ended = |it: &&mut Reservation| it.status == ReservationStatus::Ended;
    let ended = snapshot.reservations.iter_mut().find(is_ended).expect("a reservation that ended");
    ended.status = ReservationStatus::Reserved;
    ended.order_id.clone()
}

/// A single ticket that is available again, and an order that had it.
fn available_after_a_reservation(snapshot: &Snapshot) -> (String, String) {
    let is_available = |ticket: &&Ticket| {
        ticket.quantity == 1
            && ticket.order_id.is_none()
            && ticket.summary.withdrawn == 0
            && !ticket.deleted
    };
    let mut tickets = snapshot.tickets.iter().filter(is_available);
    let found = tickets.find_map(|ticket| {
        let order = snapshot.orders.iter().find(|order| order.ticket_id == ticket.id)?;
        Some((ticket.id.clone(), order.id.clone()))
    });
    found.expect("a ticket that was reserved")
}

/// Locks an available ticket for the last order that had it. Returns the ticket's id.
fn lock_again(snapshot: &mut Snapshot) -> String {
    let (ticket, order) = available_after_a_reservation(snapshot);
    let locked = snapshot.tickets.iter_mut().find(|it| it.id == ticket).unwrap();
    locked.order_id = Some(order);
    ticket
}

/// The index of the order's charge in the ledger.
fn charge_of(snapshot: &Snapshot, order: &str) -> usize {
    let mut intents = snapshot.ledger.payment_intents.iter();
    let is_its = |charge: &system_tests::checker::Charge, intent: &str| {
        charge.payment_intent == intent && charge.captured
    };
    let charges = &snapshot.ledger.charges;
    let at = intents.find_map(|intent| {
        let its = intent.metadata.order_id.as_deref() == Some(order);
        charges.iter().position(|charge| its && is_its(charge, &intent.id))
    });
    at.expect("a charge of the order")
}

/// The same in the servers, so that reading the snapshot is tested as well.
async fn mutate_servers(
    stack: &Stack,
    servers: &system_tests::checker::Servers,
    snapshot: &Snapshot,
) -> Vec<(&'static str, Invariant, String)> {
    // A ticket that is locked for an order that has ended.
    let (ticket, order) = available_after_a_reservation(snapshot);
    let tickets = servers.database("tickets").collection::<Document>("tickets");
    let lock = doc! { "$set": { "orderId": order } };
    tickets.update_one(doc! { "_id": &ticket }, lock).await.unwrap();

    // A second live order, which the index would refuse.
    let orders = servers.database("orders").collection::<Document>("orders");
    orders.drop_index("one_order_per_place").await.unwrap();
    let sold = complete(snapshot);
    let mut second = orders.find_one(doc! { "_id": &sold.id }).await.unwrap().unwrap();
    second.insert("_id", "00000000-0000-7000-8000-000000000000");
    second.remove("requests");
    orders.insert_one(second).await.unwrap();

    // Somebody comes in with an order that has ended.
    let reservations = servers.database("tickets").collection::<Document>("reservations");
    let ended = expired(snapshot);
    let scan = doc! { "place": 1, "at": mongodb::bson::DateTime::from_millis(0), "by": "x" };
    let let_in = doc! { "$push": { "checkIns": scan } };
    reservations.update_one(doc! { "_id": &ended }, let_in).await.unwrap();

    // A deleted event.
    let event = snapshot.events.iter().find(|event| event.is(Subject::OrderCompleted)).unwrap();
    let stream = jetstream::new(stack.nats().await.unwrap()).get_stream("ORDERS").await.unwrap();
    stream.delete_message(event.sequence).await.unwrap();
    let published = event.data["id"].as_str().map(str::to_owned).unwrap();

    // A charge without an order.
    charge_without_order(stack).await;
    vec![
        ("a stuck ticket", Invariant::NoStuckTicket, ticket),
        ("a second live order", Invariant::OneBuyer, sold.ticket_id.clone()),
        (
            "a second live order in the past",
            Invariant::OneBuyer,
            format!("of ticket {} belonged to two orders at the same time", sold.ticket_id),
        ),
        (
            "a check-in after the end",
            Invariant::AdmittedOnce,
            format!("order {ended} was checked in when"),
        ),
        ("a deleted event", Invariant::NoLostEvent, published),
        ("a charge without an order", Invariant::NoLostMoney, "no-such-order".to_owned()),
    ]
}

async fn charge_without_order(stack: &Stack) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = [
        ("amount", "777"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("allowed_payment_method_types[]", "card"),
        ("metadata[order_id]", "no-such-order"),
    ];
    let url = format!("http://127.0.0.1:{}/v1/payment_intents", stack.port("stripe"));
    let response = client.post(url).bearer_auth("sk_test_local").form(&form).send().await.unwrap();
    let response: Value = response.json().await.unwrap();
    assert_eq!(response["status"], "succeeded", "{response}");
}
