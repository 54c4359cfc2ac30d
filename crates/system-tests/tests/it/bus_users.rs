//! Each service has its own NATS user, with the permissions that the event catalogue requires, and no others.

use std::collections::BTreeSet;
use std::path::Path;

use async_nats::jetstream;
use async_nats::{Client, Event};
use bus::{User, users};
use common::events::{Stream, Subject};
use futures::TryStreamExt;
use system_tests::{Stack, workspace};
use testkit::{environment, eventually};
use tokio::sync::mpsc;

use crate::shared;

#[test]
fn the_nats_users_match_the_catalogue() {
    let file =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/k8s/data/nats/users.conf"));
    let expected = bus::users::configuration();
    if environment::updates() {
        std::fs::write(file, &expected).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(committed == expected, "users.conf is outdated; its header says how to regenerate it");
}

/// A connection as a service's user, and the errors that it receives.
struct Intruder {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
}

impl Intruder {
    async fn of(stack: &Stack, name: &str) -> Intruder {
        let (sender, refusals) = mpsc::unbounded_channel();
        let options = stack.nats_options(name).event_callback(move |event| {
            if let Event::ServerError(error) = event {
                // The test may have ended.
                drop(sender.send(error.to_string()));
            }
            std::future::ready(())
        });
        let address = format!("nats://127.0.0.1:{}", stack.port("nats"));
        Intruder { client: options.connect(address).await.unwrap(), refusals }
    }

    async fn may_not_publish(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), "{}".into()).await.unwrap();
        self.is_refused("publish", subject).await;
    }

    async fn may_not_subscribe(&mut self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("subscription", subject).await;
    }

    async fn is_refused(&mut self, what: &str, subject: &str) {
        let refusal =
            tokio::time::timeout(std::time::Duration::from_secs(20), self.refusals.recv());
        let refusal = refusal.await.unwrap_or_else(|_| panic!("{what} to {subject} isn't refused"));
        let refusal = refusal.unwrap().to_lowercase();
        let expected =
            format!("permissions violation for {what} to \"{}\"", subject.to_lowercase());
        assert!(refusal.contains(&expected), "{expected}: {refusal}");
    }
}

/// Subjects to which only another user, or no user, may publish.
fn forbidden(user: &User) -> Vec<String> {
    let name = user.name;
    let mut forbidden = Vec::new();
    let others = Subject::ALL.iter().filter(|subject| subject.stream().publisher() != name);
    forbidden.extend(others.map(ToString::to_string));
    for stream in Stream::ALL {
        let own = stream.publisher() == name;
        let calls: &[&str] = if own {
            &["DELETE", "PURGE", "MSG.DELETE"]
        } else {
            &["CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE"]
        };
        let stream_name = stream.name();
        forbidden.extend(calls.iter().map(|call| format!("$JS.API.STREAM.{call}.{stream_name}")));
        for other in stream.consumers().into_iter().filter(|other| *other != name) {
            forbidden.extend([
                format!("$JS.API.CONSUMER.CREATE.{stream_name}.{other}"),
                format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream_name}.{other}"),
                format!("$JS.API.CONSUMER.DELETE.{stream_name}.{other}"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{stream_name}.{other}"),
                format!("$JS.ACK.{stream_name}.{other}.1.1.1.1.0"),
            ]);
        }
    }
    for stream in ["DEAD", "ADVISORIES"] {
        let calls = ["DELETE", "PURGE"];
        forbidden.extend(calls.map(|call| format!("$JS.API.STREAM.{call}.{stream}")));
    }
    for User { name: other, .. } in users().into_iter().filter(|other| other.name != name) {
        forbidden.extend([format!("dead.{other}.x"), format!("_INBOX_{other}.x")]);
    }
    forbidden
}

#[tokio::test]
async fn a_user_may_neither_publish_nor_subscribe_for_another_one() {
    let stack = shared::default().await;
    for user in users() {
        let name = user.name;
        let mut intruder = Intruder::of(stack, name).await;
        for subject in forbidden(&user) {
            intruder.may_not_publish(&subject).await;
        }
        let others = users().into_iter().filter(|other| other.name != name);
        for subject in others.map(|other| format!("_INBOX_{}.>", other.name)) {
            intruder.may_not_subscribe(&subject).await;
        }
        for subject in
            ["_INBOX.>", ">", "user.>", "order.created", "dead.>", "$JS.API.>", "$JS.ACK.>"]
        {
            intruder.may_not_subscribe(subject).await;
        }
    }
    // The control: a permitted request succeeds.
    let orders = Intruder::of(stack, "orders").await;
    let info = orders.client.request("$JS.API.STREAM.INFO.ORDERS", "".into()).await.unwrap();
    assert!(String::from_utf8_lossy(&info.payload).contains("\"ORDERS\""));
}

#[tokio::test]
async fn a_connection_without_a_valid_password_is_refused() {
    let stack = shared::default().await;
    let address = format!("nats://127.0.0.1:{}", stack.port("nats"));
    assert!(async_nats::connect(&address).await.is_err());
    let guessed =
        async_nats::ConnectOptions::with_user_and_password("orders".into(), "guess".into());
    assert!(guessed.connect(&address).await.is_err());
}

#[tokio::test]
async fn every_consumer_of_the_catalogue_exists_and_no_service_lacks_a_permission() {
    let stack = shared::default().await;
    let jetstream = jetstream::new(stack.nats().await.unwrap());
    for stream in Stream::ALL {
        let listeners: BTreeSet<String> =
            stream.consumers().into_iter().map(str::to_owned).collect();
        eventually(&format!("the consumers of {}", stream.name()), || async {
            let stream = jetstream.get_stream(stream.name()).await.ok()?;
            let consumers: Vec<_> = stream.consumers().try_collect().await.ok()?;
            let durable = consumers.into_iter().filter_map(|consumer| consumer.config.durable_name);
            (durable.collect::<BTreeSet<_>>() == listeners).then_some(())
        })
        .await;
    }
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Norma", "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    buyer.sees_ticket(&ticket, "sold").await;
    for service in workspace::services_with_database() {
        stack.operate(&service, &["dead-letters", "list"]).await.expect_success();
    }
    for service in workspace::services() {
        let log = stack.log(&service).to_lowercase();
        let refused = log.lines().find(|line| line.contains("permissions violation"));
        assert!(refused.is_none(), "{service}: {refused:?}");
    }
}
