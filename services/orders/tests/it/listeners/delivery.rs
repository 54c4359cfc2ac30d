//! Every listener has the same outcome, whether its events are delivered twice, late or in another order.

use common::events::Subject;
use std::sync::Arc;
use testkit::fixtures::{self, PaymentChanges as _, TicketChanges as _};

use common::Place;
use common::events::{
    CancelReason, DisputeStatus, Event, ExpirationComplete, OrderStatus, PaymentCaptured,
    PaymentCreated, PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentReleased, Ticket,
    TicketCreated, TicketDeleted, TicketReserved, TicketUpdated, User, UserCreated, UserStatus,
    UserUpdated,
};
use common::ids::UserId;
use futures::future::BoxFuture;
use orders::app;
use orders::domain::{self, Order};
use testkit::Bus;

use crate::world::{World, expiration, failed, payment, refund, reserved, reserved_for};

/// An event that can be delivered any number of times.
type Delivery = Box<dyn Fn(&Bus) -> BoxFuture<'_, ()>>;

fn event<E: Event>(event: E) -> Delivery {
    let event = Arc::new(event);
    Box::new(move |bus| {
        let event = Arc::clone(&event);
        Box::pin(async move { bus.publish_again(&*event).await })
    })
}

/// Some events, and the order and the replicas after they are delivered in any order.
struct Case {
    history: Vec<Delivery>,
    status: OrderStatus,
    reason: Option<CancelReason>,
    ticket: domain::TicketReplica,
    user: Option<domain::UserReplica>,
}

impl Case {
    fn of(history: Vec<Delivery>, status: OrderStatus, ticket: &Ticket) -> Case {
        let ticket = domain::TicketReplica::of(ticket, false);
        Case { history, status, reason: None, ticket, user: None }
    }

    fn because(self, reason: CancelReason) -> Case {
        Case { reason: Some(reason), ..self }
    }
}

/// The case of a ticket and its new order.
type MakeCase = fn(&Ticket, &Order) -> Case;

/// By subject, a history in which that event matters. Each listener needs an entry.
const TABLE: [(Subject, MakeCase); 13] = [
    (TicketCreated::SUBJECT, |ticket, _| {
        let [second, third] = [(2, "Tosca"), (3, "Carmen")]
            .map(|(version, title)| ticket.clone().with_title(title).with_version(version));
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(TicketUpdated(second)),
            event(TicketUpdated(third.clone())),
        ];
        Case::of(history, OrderStatus::Created, &third)
    }),
    (TicketUpdated::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let later = Ticket { order_id: None, version: 3, ..updated.clone() };
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(TicketUpdated(updated)),
            event(TicketUpdated(later.clone())),
        ];
        Case::of(history, OrderStatus::Created, &later)
    }),
    (TicketDeleted::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let deleted = Ticket { version: 3, ..updated.clone() };
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(TicketUpdated(updated)),
            event(TicketDeleted(deleted.clone())),
        ];
        let mut case = Case::of(history, OrderStatus::Cancelled, &deleted);
        case.ticket.deleted = true;
        case.because(CancelReason::TicketDeleted)
    }),
    (TicketReserved::SUBJECT, |ticket, order| {
        let mut again = reserved(order);
        again.0.version += 1;
        let history =
            vec![event(TicketCreated(ticket.clone())), event(reserved(order)), event(again)];
        Case::of(history, OrderStatus::AwaitingPayment, ticket)
    }),
    (ExpirationComplete::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let mut again = expiration(order);
        again.0.version += 1;
        let history =
            vec![event(TicketUpdated(updated.clone())), event(expiration(order)), event(again)];
        Case::of(history, OrderStatus::Cancelled, &updated).because(CancelReason::Expired)
    }),
    (PaymentCreated::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let history = vec![
            event(TicketUpdated(updated.clone())),
            event(PaymentFailed(failed(order, 1, false))),
            event(PaymentCreated(payment(order))),
        ];
        Case::of(history, OrderStatus::Complete, &updated)
    }),
    (PaymentCaptured::SUBJECT, |ticket, order| {
        let captured = payment(order).with_version(5);
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(PaymentCreated(payment(order))),
            event(PaymentCaptured(captured)),
        ];
        Case::of(history, OrderStatus::Complete, ticket)
    }),
    (PaymentReleased::SUBJECT, |ticket, order| {
        let payment = payment(order);
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(PaymentCreated(payment.clone())),
            event(PaymentReleased(fixtures::released(&payment))),
        ];
        Case::of(history, OrderStatus::Cancelled, ticket).because(CancelReason::Refunded)
    }),
    (PaymentDisputed::SUBJECT, |ticket, order| {
        let payment = payment(order);
        let lost = fixtures::disputed(&payment, DisputeStatus::Lost);
        let history = vec![
            event(TicketCreated(ticket.clone())),
            event(PaymentCaptured(payment)),
            event(PaymentDisputed(lost)),
        ];
        Case::of(history, OrderStatus::Cancelled, ticket).because(CancelReason::Disputed)
    }),
    (PaymentFailed::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let history = vec![
            event(TicketUpdated(updated.clone())),
            event(PaymentFailed(failed(order, 1, false))),
            event(PaymentFailed(failed(order, 2, true))),
        ];
        Case::of(history, OrderStatus::Cancelled, &updated).because(CancelReason::PaymentFailed)
    }),
    (PaymentRefunded::SUBJECT, |ticket, order| {
        let updated = reserved_for(ticket, order);
        let payment = payment(order);
        let history = vec![
            event(TicketUpdated(updated.clone())),
            event(PaymentRefunded(refund(&payment))),
            event(PaymentCreated(payment)),
        ];
        Case::of(history, OrderStatus::Cancelled, &updated).because(CancelReason::Refunded)
    }),
    (UserCreated::SUBJECT, |ticket, order| contact_details(ticket, order.user_id)),
    (UserUpdated::SUBJECT, |ticket, order| contact_details(ticket, order.seller_id)),
];

/// A user signs up, and changes the email address twice.
fn contact_details(ticket: &Ticket, id: UserId) -> Case {
    let [first, second, third] = [1, 2, 3].map(|version| User {
        id,
        email: format!("{version}@example.com"),
        email_verified: true,
        name: Some("Ada".to_owned()),
        status: UserStatus::Active,
        links: Vec::new(),
        password_change: None,
        ban: None,
        session_generation: 0,
        version,
    });
    let user = Some(domain::UserReplica::of(&third));
    let history =
        vec![event(UserCreated(first)), event(UserUpdated(second)), event(UserUpdated(third))];
    Case { user, ..Case::of(history, OrderStatus::Created, ticket) }
}

const PERMUTATIONS: [[usize; 3]; 6] =
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[tokio::test]
async fn every_listener_has_a_case_in_the_table() {
    let world = World::start().await;
    let mut cases = TABLE.map(|(subject, _)| subject).to_vec();
    cases.sort_unstable();
    assert_eq!(app::listeners(world.app.clone()).subjects(), cases);
}

#[tokio::test]
async fn every_event_has_the_same_outcome_twice_late_and_out_of_order() {
    for (subject, case) in TABLE {
        let world = World::start().await;
        for permutation in PERMUTATIONS {
            deliver(&world, subject, case, permutation).await;
        }
        assert!(world.bus().dead_letters().await.is_empty(), "{subject}");
    }
}

async fn deliver(world: &World, subject: Subject, case: MakeCase, permutation: [usize; 3]) {
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let case = case(&ticket, &order);
    if subject == ExpirationComplete::SUBJECT {
        world.advance_to_expiry();
    }
    for index in permutation {
        let deliver = &case.history[index];
        // Twice concurrently, and in this order relative to the others.
        futures::future::join(deliver(world.bus()), deliver(world.bus())).await;
        world.settled().await;
    }
    let what = format!("{subject} in the order {permutation:?}");
    let after = world.stored(order.id).await;
    assert_eq!((after.status, after.cancel_reason), (case.status, case.reason), "{what}");
    assert_eq!(after.places, [Place::FIRST], "{what}");
    assert_eq!(after.refund_required, None, "{what}");
    let replica = world.app.store.ticket(ticket.id).await.unwrap().unwrap();
    assert_eq!(replica, case.ticket, "{what}");
    if let Some(user) = &case.user {
        let replica = world.app.store.user(user.id).await.unwrap();
        assert_eq!(replica.as_ref(), Some(user), "{what}");
    }
    let published = world.events_of(&order).await;

    // All events once more, late: nothing changes, and nothing is published.
    for deliver in &case.history {
        deliver(world.bus()).await;
    }
    world.settled().await;
    assert_eq!(world.stored(order.id).await, after, "{what}, late");
    let replica = world.app.store.ticket(ticket.id).await.unwrap().unwrap();
    assert_eq!(replica, case.ticket, "{what}, late");
    if let Some(user) = &case.user {
        let replica = world.app.store.user(user.id).await.unwrap();
        assert_eq!(replica.as_ref(), Some(user), "{what}, late");
    }
    assert_eq!(world.events_of(&order).await, published, "{what}, late");
}
