//! Each event leads to exactly one mail to each addressee: delivered twice, late, and out of order.

use std::collections::BTreeMap;
use std::time::Duration;

use common::events::{
    CancelReason, Handover, HandoverState, Order, OrderCancelled, OrderCompleted, OrderCreated,
    OrderStatus, OrderUpdated, PaymentRefunded, PaymentReleased, UserCreated, UserUpdated,
};
use confirmation::listeners::follow_orders;
use testkit::fixtures::{self, OrderChanges as _, UserChanges as _};
use testkit::{Infra, eventually};

use crate::world::{Mailbox, World, order_of, serve, user_event};

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(to, kind)| ((*to).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn a_new_user_is_welcomed_once() {
    let world = World::start_without_users().await;
    let user = user_event(world.buyer.id, "kim@example.org", &world.infra);
    world.publish_user(&user).await;
    world.bus().publish_again(&UserCreated(user.clone())).await;
    let moved = user.clone().with_email("kim@new.example.org").with_version(2);
    world.bus().publish(&UserUpdated(moved)).await;
    world.settled().await;
    world.all_final().await;
    let arrived = world.mailbox.expect(1).await;
    assert_eq!(arrived[0].message_id, format!("welcome.{}@example.com", user.id));
    assert_eq!(arrived[0].subject, "Welcome to Ticketing");
}

#[tokio::test]
async fn a_sale_is_confirmed_to_its_buyer_and_its_seller_once() {
    let world = World::start().await;
    let complete = world.sale().await;
    world.bus().publish_again(&OrderCompleted(complete.clone())).await;
    // Late, and republished after a restore, in a version beyond all others.
    world.bus().publish_again(&OrderCreated(world.order().with_id(complete.id))).await;
    let restored = complete.clone().with_version(complete.version + 1_000_000);
    world.bus().publish(&OrderCompleted(restored)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let expected = pairs(&[("buyer@example.org", "paid"), ("seller@example.org", "sold")]);
    assert_eq!(world.mailbox.summary().await, expected);
}

#[tokio::test]
async fn an_expired_reservation_and_a_refund_are_reported() {
    let world = World::start().await;
    let expired = world.order();
    world.bus().publish(&OrderCreated(expired.clone())).await;
    world.cancel(&expired, CancelReason::Expired).await;
    world.all_final().await;
    world.mailbox.expect(1).await;
    assert_eq!(world.mailbox.summary().await, pairs(&[("buyer@example.org", "expired")]));
    world.mailbox.clear().await;

    let complete = world.sale().await;
    world.cancel(&complete, CancelReason::Refunded).await;
    // Payments say so, too.
    let refund = fixtures::refund(&fixtures::payment(complete.id, world.infra.clock.now()));
    world.bus().publish(&PaymentRefunded(refund.clone())).await;
    world.bus().publish_again(&PaymentRefunded(refund)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(4).await;
    let expected = [
        ("buyer@example.org", "paid"),
        ("buyer@example.org", "refunded"),
        ("seller@example.org", "sale_refunded"),
        ("seller@example.org", "sold"),
    ];
    assert_eq!(world.mailbox.summary().await, pairs(&expected));
}

#[tokio::test]
async fn other_ends_of_an_order_lead_to_no_mail() {
    let world = World::start().await;
    for reason in [
        CancelReason::User,
        CancelReason::PaymentFailed,
        CancelReason::TicketDeleted,
        CancelReason::Banned,
    ] {
        world.cancel(&world.order(), reason).await;
    }
    let written = world.mails().await;
    assert_eq!(written.len(), 2, "the welcomes alone: {written:?}");
}

#[tokio::test]
async fn events_of_an_order_may_arrive_in_the_opposite_order() {
    let world = World::start().await;
    let order = world.order();
    let complete = fixtures::completed(&order);
    let refunded = fixtures::cancelled(&complete, CancelReason::Refunded);
    world.bus().publish(&OrderCancelled(refunded)).await;
    world.settled().await;
    world.bus().publish(&OrderCompleted(complete)).await;
    world.settled().await;
    world.bus().publish(&OrderCreated(order)).await;
    world.settled().await;
    world.all_final().await;
    let arrived = world.mailbox.expect(4).await;
    let mut ids: Vec<_> = arrived.iter().map(|mail| &mail.message_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn an_order_that_was_paid_after_all_is_not_reported_as_expired() {
    // The expiry is known first, and its mail still waits when the payment completes the order.
    let mut world = World::start().await;
    world.mailbox.stop().await;
    let order = world.order();
    let expired = fixtures::cancelled(&order, CancelReason::Expired);
    world.bus().publish(&OrderCancelled(expired.clone())).await;
    world.settled().await;
    let complete = fixtures::completed(&order).with_version(expired.version + 1);
    world.bus().publish(&OrderCompleted(complete.clone())).await;
    world.settled().await;
    eventually("an attempt", || async {
        let statuses = world.statuses().await;
        statuses.iter().all(|(_, status)| status != "sending").then_some(())
    })
    .await;
    world.mailbox.restart().await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let statuses = world.statuses().await;
    let id = format!("expired:{}", order.id);
    assert!(statuses.contains(&(id, "suppressed".to_owned())), "{statuses:?}");

    // Or the expiry is known last.
    let order = world.order();
    let expired = fixtures::cancelled(&order, CancelReason::Expired);
    let complete = fixtures::completed(&order).with_version(expired.version + 1);
    world.bus().publish(&OrderCompleted(complete)).await;
    world.settled().await;
    world.bus().publish(&OrderCancelled(expired)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(4).await;
    assert!(world.mailbox.summary().await.iter().all(|(_, kind)| kind != "expired"));
}

#[tokio::test]
async fn a_refund_of_a_payment_that_came_too_late_waits_for_its_order() {
    let world = World::start().await;
    let order = world.order();
    let refund = fixtures::refund(&fixtures::payment(order.id, world.infra.clock.now()));
    world.bus().publish(&PaymentRefunded(refund)).await;
    eventually("the event to be put off", || async {
        world
            .bus()
            .is_redelivered("confirmation", common::events::Stream::Payments)
            .await
            .then_some(())
    })
    .await;
    world.bus().publish(&OrderCreated(order.clone())).await;
    world.cancel(&order, CancelReason::Expired).await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let expected = pairs(&[("buyer@example.org", "expired"), ("buyer@example.org", "refunded")]);
    assert_eq!(world.mailbox.summary().await, expected);
    assert!(world.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_mail_waits_for_its_address_and_is_sent_to_the_newest() {
    let world = World::start_without_users().await;
    world.sale().await;
    eventually("both mails to wait", || async {
        let mails = world.mails().await;
        let waits = |mail: &bson::Document| mail.get_bool("awaitsAddress").unwrap();
        (mails.len() == 2 && mails.iter().all(waits)).then_some(())
    })
    .await;
    // Without any time passing: the user's event makes it due.
    let old = user_event(world.buyer.id, "old@example.org", &world.infra);
    let new = old.clone().with_email("new@example.org").with_version(2);
    world.bus().publish(&UserUpdated(new)).await;
    world.mailbox.expect(1).await;
    world.bus().publish(&UserCreated(old)).await;
    world.settled().await;
    world.mailbox.expect(2).await;
    let expected = pairs(&[("new@example.org", "paid"), ("new@example.org", "welcome")]);
    assert_eq!(world.mailbox.summary().await, expected);
}

#[tokio::test]
async fn nobody_gets_mail_about_what_was_before_the_service() {
    let infra = Infra::start().await;
    let (seller, buyer) = (infra.user(), infra.user());
    let (old_user, old_order) =
        (user_event(buyer.id, "kim@example.org", &infra), order_of(&buyer, &seller, &infra));
    infra.clock.advance(Duration::from_secs(24 * 60 * 60));
    let mailbox = Mailbox::start().await;
    let url = mailbox.smtp_url();
    let (_, service) = serve(&infra, &["--smtp-url", &url]).await;

    infra.bus().publish(&UserCreated(old_user)).await;
    let complete = fixtures::completed(&old_order);
    infra.bus().publish(&OrderCompleted(complete.clone())).await;
    infra.bus().settled("confirmation").await;
    let client = service.client_as(&buyer);
    let path = format!("/api/orders/{}/mails", complete.id);
    assert_eq!(client.get(&path).await.expect(200)["mails"], serde_json::json!([]));
    // They may ask for it.
    let resend = format!("/api/orders/{}/resend-confirmation", complete.id);
    client.post(&resend, serde_json::json!({})).await.expect(201);
    mailbox.expect(1).await;
    // A second start is not another beginning.
    let began = |app: &confirmation::state::App| app.began_at;
    let (again, _service) = serve(&infra, &["--smtp-url", &url]).await;
    assert!(began(&again) <= infra.clock.now());
}

#[tokio::test]
async fn a_buyer_who_paid_too_late_reads_that_nothing_was_charged() {
    let world = World::start().await;
    let order = world.order();
    let released = fixtures::released(&fixtures::payment(order.id, world.infra.clock.now()));
    // Before the order, and twice.
    world.bus().publish(&PaymentReleased(released.clone())).await;
    world.bus().publish(&OrderCreated(order.clone())).await;
    world.cancel(&order, CancelReason::Expired).await;
    world.bus().publish_again(&PaymentReleased(released)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let expected = pairs(&[("buyer@example.org", "expired"), ("buyer@example.org", "released")]);
    assert_eq!(world.mailbox.summary().await, expected);
    assert!(world.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_release_that_ends_the_order_leads_to_one_mail() {
    let world = World::start().await;
    let order = world.order();
    let released = fixtures::released(&fixtures::payment(order.id, world.infra.clock.now()));
    world.bus().publish(&OrderCreated(order.clone())).await;
    world.cancel(&order, CancelReason::Refunded).await;
    world.bus().publish(&PaymentReleased(released)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let expected =
        pairs(&[("buyer@example.org", "refunded"), ("seller@example.org", "sale_refunded")]);
    assert_eq!(world.mailbox.summary().await, expected);
}

#[tokio::test]
async fn a_seller_reads_that_a_charge_was_taken_back() {
    let world = World::start().await;
    let complete = world.sale().await;
    world.cancel(&complete, CancelReason::Disputed).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(3).await;
    let expected = [
        ("buyer@example.org", "paid"),
        ("seller@example.org", "sale_disputed"),
        ("seller@example.org", "sold"),
    ];
    assert_eq!(world.mailbox.summary().await, pairs(&expected));
}

#[tokio::test]
async fn batches_lead_to_the_same_mails_however_they_are_drawn() {
    let world = World::start().await;
    for seed in 0..3 {
        let orders: Vec<_> = (0..5).map(|_| world.order()).collect();
        let completed =
            |order: &Order| order.clone().with_status(OrderStatus::Complete).with_version(3);
        let mut events = orders.clone();
        events.extend(orders[..3].iter().map(completed));
        for batch in testkit::batches(seed, &events) {
            follow_orders(world.app.clone(), batch).await.unwrap();
        }
        world.all_final().await;
    }
    let kinds = world.mailbox.summary().await.into_iter().map(|(_, kind)| kind);
    let kinds = kinds.fold(BTreeMap::<String, usize>::new(), |mut kinds, kind| {
        *kinds.entry(kind).or_default() += 1;
        kinds
    });
    assert_eq!(kinds, BTreeMap::from([("paid".to_owned(), 9), ("sold".to_owned(), 9)]));
}

/// The next version of an order: its delivery has changed for the so-manyth time.
fn delivered(order: &Order, state: HandoverState, changes: i64) -> Order {
    let handover = Some(Handover { state, changes });
    order.clone().with_handover(handover).with_version(order.version + 1)
}

#[tokio::test]
async fn what_seller_and_buyer_say_of_the_delivery_is_reported_to_the_other_once() {
    let world = World::start().await;
    let complete = fixtures::completed(&world.order());
    let sent = delivered(&complete, HandoverState::Sent, 1);
    let problem = delivered(&sent, HandoverState::Problem, 2);
    let reworded = delivered(&problem, HandoverState::Problem, 2);
    let sent_again = delivered(&reworded, HandoverState::Sent, 3);
    let received = delivered(&sent_again, HandoverState::Received, 4);
    // Before the sale, twice, and late.
    for order in [&sent, &complete, &problem, &sent, &reworded, &sent_again, &problem, &received] {
        if order.handover.is_none() {
            world.bus().publish(&OrderCompleted(order.clone())).await;
        } else {
            world.bus().publish_again(&OrderUpdated(order.clone())).await;
        }
        // Each is sent before the next one makes it untrue.
        world.settled().await;
        world.all_sent().await;
    }
    world.mailbox.expect(5).await;
    let expected = [
        ("buyer@example.org", "paid"),
        ("buyer@example.org", "ticket_sent"),
        ("buyer@example.org", "ticket_sent"),
        ("seller@example.org", "problem_reported"),
        ("seller@example.org", "sold"),
    ];
    assert_eq!(world.mailbox.summary().await, pairs(&expected));
    for mail in world.mailbox.arrived().await {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let fact = match mail.message_id.split('.').next().unwrap() {
            "ticket_sent" => "The seller has sent your ticket.",
            "problem_reported" => "something is wrong with the ticket.",
            _ => continue,
        };
        for kind in ["text", "html"] {
            assert!(read[kind].as_str().unwrap().contains(fact), "{}", read[kind]);
        }
    }
}

#[tokio::test]
async fn a_problem_that_is_solved_and_a_delivery_of_a_refunded_order_are_not_reported() {
    let mut world = World::start().await;
    world.mailbox.stop().await;
    let complete = world.sale().await;
    let problem = delivered(&complete, HandoverState::Problem, 1);
    world.bus().publish(&OrderUpdated(problem.clone())).await;
    world.settled().await;
    let solved = delivered(&problem, HandoverState::Received, 2);
    world.bus().publish(&OrderUpdated(solved)).await;
    let other = world.sale().await;
    let sent = delivered(&other, HandoverState::Sent, 1);
    world.bus().publish(&OrderUpdated(sent.clone())).await;
    world.settled().await;
    world.cancel(&sent, CancelReason::Refunded).await;
    world.mailbox.restart().await;
    world.all_final().await;
    let statuses = world.statuses().await;
    for id in [format!("problem_reported:{}:1", complete.id), format!("ticket_sent:{}:1", other.id)]
    {
        assert!(statuses.contains(&(id, "suppressed".to_owned())), "{statuses:?}");
    }
}

#[tokio::test]
async fn nobody_makes_us_send_without_end() {
    let world = World::start().await;
    let mut order = world.sale().await;
    for changes in 1..=30 {
        let state = if changes % 2 == 0 { HandoverState::Sent } else { HandoverState::Problem };
        order = delivered(&order, state, changes);
        world.bus().publish(&OrderUpdated(order.clone())).await;
        world.settled().await;
    }
    let written = world.mails().await;
    // Of the sale, and the two welcomes.
    assert_eq!(written.len(), 20 + 4, "{written:?}");
}

#[tokio::test]
async fn both_parties_read_that_a_sale_could_not_be_charged() {
    let world = World::start().await;
    let complete = fixtures::completed(&world.order());
    let complete = complete.with_paid_at(Some(world.infra.clock.now()));
    let failed = fixtures::cancelled(&complete, CancelReason::PaymentFailed);
    // The end is known first.
    world.bus().publish(&OrderCancelled(failed.clone())).await;
    world.bus().publish(&OrderCompleted(complete)).await;
    world.bus().publish_again(&OrderCancelled(failed)).await;
    world.settled().await;
    world.all_final().await;
    world.mailbox.expect(4).await;
    let expected = [
        ("buyer@example.org", "paid"),
        ("buyer@example.org", "payment_failed"),
        ("seller@example.org", "sale_failed"),
        ("seller@example.org", "sold"),
    ];
    assert_eq!(world.mailbox.summary().await, pairs(&expected));
    for mail in world.mailbox.arrived().await {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let text = read["text"].as_str().unwrap();
        let fact = match mail.message_id.split('.').next().unwrap() {
            "payment_failed" => "you haven’t been charged",
            "sale_failed" => "Please don’t hand the ticket over",
            _ => continue,
        };
        assert!(text.contains(fact), "{text}");
    }
}
