//! Each service is a user of NATS of its own, who may do what the catalogue of events says, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use async_nats::jetstream;
use async_nats::{Client, Event};
use bus::{User, users};
use common::events::{Stream, Subject};
use futures::TryStreamExt;
use system_tests::Stack;
use testkit::{environment, eventually};
use tokio::sync::mpsc;

use crate::shared;

#[test]
fn the_users_of_nats_are_those_of_the_catalogue() {
    let file =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/k8s/data/nats/users.conf"));
    let wanted = bus::users::configuration();
    if environment::updates() {
        std::fs::write(file, &wanted).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(
        committed == wanted,
        "users.conf isn't what the catalogue says; its head says what to do"
    );
}

/// A connection as a service's user, and what NATS refuses it.
struct Intruder {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
}

impl Intruder {
    async fn of(stack: &Stack, name: &str) -> Intruder {
        let (sender, refusals) = mpsc::unbounded_channel();
        let options = stack.nats_options(name).event_callback(move |event| {
            if let Event::ServerError(error) = event {
                // The test may be over.
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

    async fn may_not_hear(&mut self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("subscription", subject).await;
    }

    async fn is_refused(&mut self, what: &str, subject: &str) {
        let told = tokio::time::timeout(std::time::Duration::from_secs(20), self.refusals.recv());
        let told = told.await.unwrap_or_else(|_| panic!("{what} to {subject} isn't refused"));
        let told = told.unwrap().to_lowercase();
        let expected =
            format!("permissions violation for {what} to \"{}\"", subject.to_lowercase());
        assert!(told.contains(&expected), "{expected}: {told}");
    }
}

/// What nobody but its owner, or nobody at all, may say.
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
        for who in stream.listeners().iter().filter(|who| **who != name) {
            forbidden.extend([
                format!("$JS.API.CONSUMER.CREATE.{stream_name}.{who}"),
                format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream_name}.{who}"),
                format!("$JS.API.CONSUMER.DELETE.{stream_name}.{who}"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{stream_name}.{who}"),
                format!("$JS.ACK.{stream_name}.{who}.1.1.1.1.0"),
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
async fn nobody_may_speak_or_listen_in_another_s_place() {
    let stack = shared::usual().await;
    for user in users() {
        let name = user.name;
        let mut intruder = Intruder::of(stack, name).await;
        for subject in forbidden(&user) {
            intruder.may_not_publish(&subject).await;
        }
        let others = users().into_iter().filter(|other| other.name != name);
        for subject in others.map(|other| format!("_INBOX_{}.>", other.name)) {
            intruder.may_not_hear(&subject).await;
        }
        for subject in
            ["_INBOX.>", ">", "user.>", "order.created", "dead.>", "$JS.API.>", "$JS.ACK.>"]
        {
            intruder.may_not_hear(subject).await;
        }
    }
    // The control: what is one's own is answered.
    let orders = Intruder::of(stack, "orders").await;
    let info = orders.client.request("$JS.API.STREAM.INFO.ORDERS", "".into()).await.unwrap();
    assert!(String::from_utf8_lossy(&info.payload).contains("\"ORDERS\""));
}

#[tokio::test]
async fn who_has_no_password_is_not_let_in() {
    let stack = shared::usual().await;
    let address = format!("nats://127.0.0.1:{}", stack.port("nats"));
    assert!(async_nats::connect(&address).await.is_err());
    let guessed =
        async_nats::ConnectOptions::with_user_and_password("orders".into(), "guess".into());
    assert!(guessed.connect(&address).await.is_err());
}

#[tokio::test]
async fn whoever_the_catalogue_names_listens_and_nobody_is_refused_anything() {
    let stack = shared::usual().await;
    let jetstream = jetstream::new(stack.nats().await.unwrap());
    for stream in Stream::ALL {
        let listeners: BTreeSet<String> =
            stream.listeners().iter().map(ToString::to_string).collect();
        eventually(&format!("the listeners of {}", stream.name()), || async {
            let stream = jetstream.get_stream(stream.name()).await.ok()?;
            let there: Vec<_> = stream.consumers().try_collect().await.ok()?;
            let durable = there.into_iter().filter_map(|consumer| consumer.config.durable_name);
            (durable.collect::<BTreeSet<_>>() == listeners).then_some(())
        })
        .await;
    }
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let ticket = seller.offers("Norma", "20.50").await;
    let order = buyer.holds(&ticket).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    buyer.sees_ticket(&ticket, "sold").await;
    for service in shared::SERVICES {
        stack.operate(service, &["dead-letters", "list"]).await.expect_success();
    }
    for process in shared::SERVICES.into_iter().chain(["web"]) {
        let log = stack.log(process).to_lowercase();
        let refused = log.lines().find(|line| line.contains("permissions violation"));
        assert!(refused.is_none(), "{process}: {refused:?}");
    }
}
