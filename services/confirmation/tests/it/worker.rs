//! Sending: every mail arrives, whatever the server does; duplicates exist only where an outcome can't be known, and have the
//! same Message-ID.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::doc;
use common::Clock;
use common::events::{OrderCompleted, UserCreated};
use serde_json::json;
use testkit::{Infra, eventually, fixtures};

use crate::world::{FROM, Mailbox, World, always, order_of, serve, user_event};

/// Five sales: ten mails.
async fn sales(world: &World) -> usize {
    for _ in 0..5 {
        world.sale().await;
    }
    10
}

async fn failures(world: &World) -> i64 {
    let mails = world.mails().await;
    mails.iter().map(|mail| mail.get_i64("failures").unwrap()).sum()
}

/// Waits until so many attempts have led to nothing. Time passes while no mail is being sent.
async fn at_least_failures(world: &World, count: i64) {
    eventually("failed attempts", || async {
        if failures(world).await >= count {
            return Some(());
        }
        let statuses = world.statuses().await;
        if statuses.iter().all(|(_, status)| status != "sending") {
            world.infra.clock.advance(Duration::from_secs(60));
        }
        None
    })
    .await;
}

#[tokio::test]
async fn while_the_server_is_down_mails_wait_and_then_each_arrives_once() {
    let mut world = World::start().await;
    world.mailbox.stop().await;
    let mails = sales(&world).await;
    at_least_failures(&world, 30).await;
    world.mailbox.restart().await;
    world.all_final().await;
    world.mailbox.expect(mails).await;
    let stored = world.mails().await;
    assert!(stored.iter().all(|mail| mail.get_i64("unknownOutcomes").unwrap() == 0));
}

#[tokio::test]
async fn a_server_that_is_full_or_defers_gets_the_mail_later_once() {
    for kind in ["full", "temporary"] {
        for stage in ["connect", "mail", "rcpt", "data", "message"] {
            if (kind, stage) == ("full", "connect") {
                continue;
            }
            let world = World::start().await;
            world
                .mailbox
                .arm(json!({ "kind": kind, "match": { "stage": stage }, "times": 3 }))
                .await;
            world.sale().await;
            world.all_final().await;
            world.mailbox.expect(2).await;
            let stored = world.mails().await;
            let unknown = stored.iter().filter(|mail| mail.get_i64("unknownOutcomes").unwrap() > 0);
            assert_eq!(unknown.count(), 0, "{kind} at {stage}");
        }
    }
}

#[tokio::test]
async fn a_slow_server_gets_each_mail_once() {
    let world = World::start().await;
    world.mailbox.arm(json!({ "kind": "slow", "delay_ms": 300 })).await;
    let mails = sales(&world).await;
    world.all_final().await;
    world.mailbox.expect(mails).await;
    assert_eq!(world.mailbox.hits().await, 10);
}

#[tokio::test]
async fn without_a_reply_after_data_the_mail_is_sent_again_under_the_same_message_id() {
    for (kind, copies) in [("hang", 1), ("hang_accepted", 2), ("close", 1), ("close_accepted", 2)] {
        let world = World::start().await;
        world.mailbox.arm(json!({ "kind": kind, "times": 2, "delay_ms": 60_000 })).await;
        world.sale().await;
        world.all_final().await;
        let arrived = world.mailbox.expect(2 * copies).await;
        let ids: BTreeSet<_> = arrived.iter().map(|mail| &mail.message_id).collect();
        assert_eq!(ids.len(), 2, "{kind}: {arrived:?}");
        let stored = world.mails().await;
        let unknown: i64 = stored.iter().map(|it| it.get_i64("unknownOutcomes").unwrap()).sum();
        assert_eq!(unknown, 2, "{kind}");
        // The same to the letter, but for where the parts are divided.
        if copies == 2 {
            let mut dates = BTreeSet::new();
            for mail in &arrived {
                let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
                let headers = read["headers"].as_array().unwrap();
                let date = headers.iter().find(|header| header["name"] == "Date").unwrap();
                dates.insert((mail.message_id.clone(), date["value"].to_string()));
            }
            assert_eq!(dates.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_hanging_server_does_not_delay_mails_to_others() {
    let world = World::start().await;
    world
        .mailbox
        .arm(json!({ "kind": "hang", "delay_ms": 60_000, "match": { "recipient": "seller" } }))
        .await;
    for _ in 0..20 {
        world.sale().await;
    }
    eventually("the buyer's mails", || async {
        let arrived = world.mailbox.arrived().await;
        (arrived.len() == 20).then_some(())
    })
    .await;
    world.mailbox.disarm().await;
    world.all_final().await;
    world.mailbox.expect(40).await;
}

#[tokio::test]
async fn a_refused_mail_has_failed_and_is_not_sent_again() {
    let world = World::start().await;
    for stage in ["mail", "rcpt", "data", "message"] {
        world.mailbox.arm(json!({ "kind": "permanent", "match": { "stage": stage } })).await;
        let order = world.sale().await;
        world.all_final().await;
        world.mailbox.disarm().await;
        let statuses = world.statuses().await;
        let of_order = statuses.iter().filter(|(id, _)| id.contains(&order.id.to_string()));
        assert!(of_order.clone().all(|(_, status)| status == "failed"), "{stage}: {statuses:?}");
        assert_eq!(of_order.count(), 2);
    }
    world.infra.clock.advance(Duration::from_secs(24 * 60 * 60));
    world.sale().await;
    world.all_final().await;
    world.mailbox.expect(2).await;
    let failed = doc! { "status": "failed", "reason": { "$regex": "550.*no such mailbox" } };
    let database = world.infra.database("confirmation").await;
    let failed = database.collection::<bson::Document>("mails").count_documents(failed).await;
    assert_eq!(failed.unwrap(), 8);
    let metrics = world.service.admin_port().get("/metrics").await.text;
    assert!(metrics.contains("mails_failed_total{kind=\"sold\"}"), "{metrics}");
}

/// What is wrong with the account is no fault of the mail.
#[tokio::test]
async fn a_refused_password_or_connection_fails_no_mail() {
    let credentials = Some(("apikey".to_owned(), "secret".to_owned()));
    let mailbox = Mailbox::start_with(|config| mail_double::Config { credentials, ..config }).await;
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("ca.pem");
    std::fs::write(&certificate, mailbox.certificate()).unwrap();
    let certificate = certificate.display().to_string();
    let url =
        |password: &str| format!("smtp://apikey:{password}@localhost:{}", mailbox.smtp_port());
    let (wrong, right) = (url("guess"), url("secret"));

    let world =
        World::start_with(mailbox, &["--smtp-url", &wrong, "--smtp-ca", &certificate]).await;
    world.publish_user(&user_event(world.buyer.id, "kim@example.org", &world.infra)).await;
    at_least_failures(&world, 3).await;
    let reason = world.mails().await[0].get_str("reason").unwrap().to_owned();
    assert!(reason.contains("535"), "{reason}");

    // A replica with the right password, over a connection that is encrypted and verified.
    let World { infra, service, mailbox, .. } = world;
    service.stop().await;
    let (_, _service) = serve(&infra, &["--smtp-url", &right, "--smtp-ca", &certificate]).await;
    infra.clock.advance(Duration::from_secs(60));
    mailbox.expect(1).await;
    let list = mailbox.get_json("/api/mails").await;
    assert_eq!(list["mails"][0]["tls"], true);
    assert_eq!(list["mails"][0]["user"], "apikey");
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_whose_certificate_is_not_valid() {
    let mailbox = Mailbox::start().await;
    let url = format!("smtp://localhost:{}", mailbox.smtp_port());
    let world = World::start_with(mailbox, &["--smtp-url", &url]).await;
    world.publish_user(&user_event(world.buyer.id, "kim@example.org", &world.infra)).await;
    at_least_failures(&world, 3).await;
    assert!(world.mailbox.arrived().await.is_empty());
}

/// A mail to a new user, sent.
async fn welcome(world: &World) {
    let user = world.infra.user();
    world.publish_user(&user_event(user.id, "kim@example.org", &world.infra)).await;
    world.settled().await;
    world.all_final().await;
}

#[tokio::test]
async fn a_connection_is_used_for_several_mails() {
    let world = World::start_without_users().await;
    for _ in 0..5 {
        welcome(&world).await;
    }
    world.mailbox.expect(5).await;
    assert_eq!(world.mailbox.get_json("/_stats").await["connections"], 1);
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_costs_no_attempt() {
    let idle = Duration::from_millis(50);
    let mailbox = Mailbox::start_with(|config| mail_double::Config { idle, ..config }).await;
    let url = mailbox.smtp_url();
    let world = World::start_with(mailbox, &["--smtp-url", &url]).await;
    for closed in 1..4 {
        welcome(&world).await;
        eventually("the server to close it", || async {
            let stats = world.mailbox.get_json("/_stats").await;
            (stats["closed"].as_u64()? >= closed).then_some(())
        })
        .await;
    }
    world.mailbox.expect(3).await;
    for mail in world.mails().await {
        assert_eq!(mail.get_i64("attempts").unwrap(), 1, "{mail:?}");
    }
}

/// A process of its own: gauges are those of a process, and the other tests' services share this one.
#[tokio::test]
async fn without_a_server_the_service_says_so_and_queues() {
    let infra = Infra::start_at(Clock::system()).await;
    let mailbox = Mailbox::start().await;
    let program = infra.program("confirmation").with("MAIL_FROM", FROM);
    let program = program.without("JWT_PRIVATE_KEY").serve(&infra).await;
    let (seller, buyer) = (infra.user(), infra.user());
    infra.bus().publish(&UserCreated(user_event(buyer.id, "kim@example.org", &infra))).await;
    let complete = fixtures::completed(&order_of(&buyer, &seller, &infra));
    infra.bus().publish(&OrderCompleted(complete)).await;
    infra.bus().settled("confirmation").await;
    program.admin_port.get("/readyz").await.expect(200);
    let metrics = program.admin_port.get("/metrics").await.text;
    assert!(metrics.contains("mail_server_configured 0"), "{metrics}");
    let mails = infra.database("confirmation").await.collection::<bson::Document>("mails");
    let queued = mails.count_documents(doc! { "status": "queued" }).await.unwrap();
    assert_eq!(queued, 3);
    assert_eq!(mails.count_documents(doc! {}).await.unwrap(), 3);

    let url = mailbox.smtp_url();
    let (_, _second) = serve(&infra, &["--smtp-url", &url]).await;
    mailbox.expect(2).await;
}

/// Two replicas claim each mail once.
#[tokio::test]
async fn two_replicas_send_each_mail_once() {
    let world = World::start().await;
    let url = world.mailbox.smtp_url();
    let (_, _second) = serve(&world.infra, &["--smtp-url", &url]).await;
    for _ in 0..20 {
        world.sale().await;
    }
    world.all_final().await;
    world.mailbox.expect(40).await;
}

/// A control run of the lease: where it is taken away, a mail that is being sent is sent twice.
#[tokio::test]
async fn a_mail_whose_lease_has_expired_is_sent_by_another_process() {
    let world = World::start().await;
    world.mailbox.arm(json!({ "kind": "slow", "delay_ms": 800, "times": 2 })).await;
    world.sale().await;
    eventually("both to be sent", || async { (world.mailbox.hits().await == 2).then_some(()) })
        .await;
    // As if the process were stopped for so long.
    world.infra.clock.advance(Duration::from_secs(10));
    let arrived = world.mailbox.expect(4).await;
    let ids: BTreeSet<_> = arrived.iter().map(|mail| &mail.message_id).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_mail_that_is_deferred_for_days_has_failed() {
    let world = World::start().await;
    world.mailbox.arm(always("temporary")).await;
    world.sale().await;
    for _ in 0..3 {
        at_least_failures(&world, failures(&world).await + 2).await;
        world.infra.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    }
    world.all_final().await;
    let statuses = world.statuses().await;
    assert_eq!(statuses.iter().filter(|(_, status)| status == "failed").count(), 2, "{statuses:?}");
}

#[tokio::test]
async fn broken_promises_are_found_by_indexes() {
    let world = World::start().await;
    let (database, now) = (world.infra.database("confirmation").await, world.infra.clock.now());
    testkit::assert_promises_have_indexes(&database, &confirmation::promises::PROMISES, now).await;
}
