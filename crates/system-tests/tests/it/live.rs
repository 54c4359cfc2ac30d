//! Live pages: what their streams of server-sent events contain, who may subscribe, and that no failure loses an update.

use std::time::{Duration, Instant};

use common::Time;
use common::ids::OrderId;
use serde_json::{Value, json};
use system_tests::Person;
use testkit::{Client, EventStream, Method, Request, ServerSentEvent, eventually};

use crate::shared;

/// Opens the stream of a page that was rendered at this resume token.
async fn open(client: &Client, token: &str, topics: &[&str]) -> EventStream {
    request(client, token, topics).open().await.unwrap()
}

fn request(client: &Client, token: &str, topics: &[&str]) -> Request {
    let topics = topics.iter().map(|topic| format!("&topic={topic}"));
    let address = format!("/live?since={token}{}", topics.collect::<String>());
    client.request(Method::GET, &address)
}

/// The status with which a subscription is refused.
async fn refused(client: &Client, topics: &[&str]) -> u16 {
    let refused = request(client, "", topics).open().await.map(|_| ());
    refused.expect_err("it must be refused").as_u16()
}

/// Reads the beginning of the stream, up to the event that marks the end of the replay.
async fn replayed(stream: &mut EventStream) -> Vec<ServerSentEvent> {
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &ServerSentEvent| event.id.is_none()) {
        events.push(stream.next().await.expect("the end of the replay"));
    }
    events
}

/// The resume token in a page.
async fn resume_token(client: &Client, page: &str) -> String {
    let page = client.get(page).await;
    page.expect(200);
    let (_, rest) = page.text.split_once("<meta name=\"live\" content=\"").expect("a resume token");
    rest.split('"').next().unwrap().to_owned()
}

fn ticket_topic(ticket: &str) -> String {
    format!("ticket:{ticket}")
}

fn order_topic(order: &str) -> String {
    format!("order:{order}")
}

/// Waits for an invalidation of the topic after which its version is at least this one.
async fn wait_for_version(stream: &mut EventStream, client: &Client, topic: &str, version: i64) {
    loop {
        let changed = stream.event("changed").await;
        if changed["topic"] == topic && version_of(&changed, client, topic).await >= version {
            return;
        }
    }
}

/// The version in an invalidation. An invalidation of several topics has none: then the resource is fetched.
async fn version_of(changed: &Value, client: &Client, topic: &str) -> i64 {
    if let Some(version) = changed["version"].as_i64() {
        return version;
    }
    let (kind, id) = topic.split_once(':').unwrap();
    let resource = client.get(&format!("/api/{kind}s/{id}")).await.expect(200);
    resource["version"].as_i64().unwrap()
}

async fn listed(seller: &Person) -> String {
    let ticket = seller.offers("Tosca", "20.50").await;
    seller.sees_ticket(&ticket, "available").await;
    ticket
}

#[tokio::test]
async fn the_page_of_a_ticket_receives_its_reservation_and_its_release() {
    let stack = shared::default().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let page = format!("/tickets/{ticket}");
    let (topic, since) = (ticket_topic(&ticket), resume_token(&visitor, &page).await);
    let mut stream = open(&visitor.header("accept-encoding", "gzip, br"), &since, &[&topic]).await;
    let header = |name: &str| stream.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("content-encoding"), None);

    let order = buyer.reserves(&ticket).await;
    wait_for_version(&mut stream, &visitor, &topic, 2).await;
    assert_eq!(visitor.get(&format!("/api{page}")).await.expect(200)["status"], "reserved");
    buyer.cancels(&order).await.expect(204);
    wait_for_version(&mut stream, &visitor, &topic, 3).await;
    assert_eq!(visitor.get(&format!("/api{page}")).await.expect(200)["status"], "available");
}

#[tokio::test]
async fn no_change_between_page_and_stream_is_lost() {
    let stack = shared::default().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let topic = ticket_topic(&ticket);
    let since = resume_token(&visitor, &format!("/tickets/{ticket}")).await;
    let mut earlier = open(&visitor, &since, &[&topic]).await;
    buyer.reserves(&ticket).await;
    wait_for_version(&mut earlier, &visitor, &topic, 2).await;

    // No further change follows: the stream must replay this one.
    let mut late = open(&visitor, &since, &[&topic]).await;
    wait_for_version(&mut late, &visitor, &topic, 2).await;
    // A page that is rendered now shows it; its stream has nothing to replay.
    let since = resume_token(&visitor, &format!("/tickets/{ticket}")).await;
    let mut later = open(&visitor, &since, &[&topic]).await;
    let beginning = replayed(&mut later).await;
    assert!(beginning.iter().all(|event| event.event.is_none()), "{beginning:?}");
}

#[tokio::test]
async fn a_page_with_a_foreign_resume_token_or_without_one_is_reloaded() {
    let stack = shared::default().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let topic = ticket_topic(&listed(&seller).await);
    for since in ["0badcafe-17", ""] {
        let mut stream = open(&visitor, since, &[&topic]).await;
        assert_eq!(stream.event("changed").await, json!({}), "{since}");
    }
    // A browser that reconnects sends the last event id, and doesn't have to reload.
    let mut stream = open(&visitor, "", &[&topic]).await;
    let reached = replayed(&mut stream).await.pop().and_then(|event| event.id).unwrap();
    let again = request(&visitor, "", &[&topic]).header("last-event-id", &reached);
    let beginning = replayed(&mut again.open().await.unwrap()).await;
    assert!(beginning.iter().all(|event| event.event.is_none()), "{beginning:?}");
}

#[tokio::test]
async fn only_buyer_and_seller_may_follow_an_order_and_only_a_user_their_own_topic() {
    let stack = shared::default().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = listed(&seller).await;
    let order = buyer.reserves(&ticket).await;
    let topic = order_topic(&order);
    assert_eq!(refused(&other.client, &[&topic]).await, 403);
    assert_eq!(refused(&other.client, &["me", &ticket_topic(&ticket), &topic]).await, 403);
    assert_eq!(refused(&stack.visitor(), &[&topic]).await, 401);
    assert_eq!(refused(&stack.visitor(), &["me"]).await, 401);
    let unknown = order_topic(&OrderId::new(Time::from_millis(1_700_000_000_000)).to_string());
    assert_eq!(refused(&buyer.client, &[&unknown]).await, 404);

    let mut streams = Vec::new();
    for (person, topics) in
        [(&buyer, &[&*topic, "me"][..]), (&seller, &[&topic, "me"]), (&other, &["me"])]
    {
        let since = resume_token(&person.client, "/auth/signout").await;
        let mut stream = open(&person.client, &since, topics).await;
        replayed(&mut stream).await;
        streams.push((person, stream));
    }
    let (_, mut bystander) = streams.pop().unwrap();
    buyer.pays(&order, "tok_visa").await.expect(201);
    let complete = buyer.sees_order(&order, "complete").await["version"].as_i64().unwrap();
    for (person, stream) in &mut streams {
        let (mut me, mut version) = (false, 0);
        while !me || version < complete {
            let changed = stream.event("changed").await;
            if changed["topic"] == "me" {
                me = true;
            } else {
                assert_eq!(changed["topic"], topic);
                version = version.max(version_of(&changed, &person.client, &topic).await);
            }
        }
    }
    // Only a heartbeat.
    assert_eq!(bystander.next().await.unwrap().event, None);
}

#[tokio::test]
async fn invalid_topics_are_refused() {
    let stack = shared::default().await;
    let visitor = stack.visitor();
    let ticket = ticket_topic(&listed(&stack.person("seller").await).await);
    let many = vec![ticket.as_str(); 111];
    for topics in [&[][..], &["ticket:1"], &["everything"], &["user:1", &ticket], &many] {
        assert_eq!(refused(&visitor, topics).await, 400, "{topics:?}");
    }
    open(&visitor, "", &many[1..]).await.event("changed").await;
}

#[tokio::test]
async fn a_stream_sends_heartbeats() {
    let stack = shared::default().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let ticket = listed(&seller).await;
    let since = resume_token(&visitor, &format!("/tickets/{ticket}")).await;
    let mut stream = open(&visitor, &since, &[&ticket_topic(&ticket)]).await;
    replayed(&mut stream).await;
    let opened = Instant::now();
    let heartbeat = stream.next().await.unwrap();
    let after = opened.elapsed();
    assert!(heartbeat.event.is_none() && heartbeat.id.is_some(), "{heartbeat:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(19)).contains(&after), "{after:?}");
}

#[tokio::test]
async fn a_page_reloads_after_an_outage_of_the_broker_and_is_live_again() {
    let stack = shared::exclusive_with_two_streams().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let topic = ticket_topic(&ticket);
    let since = resume_token(&visitor, &format!("/tickets/{ticket}")).await;
    let mut stream = open(&visitor, &since, &[&topic]).await;
    replayed(&mut stream).await;

    stack.kill("nats").await;
    // The sale continues meanwhile.
    let order = buyer.reserves(&ticket).await;
    while stream.event("changed").await != json!({}) {}
    seller.sees_ticket(&ticket, "reserved").await;
    buyer.cancels(&order).await.expect(204);
    let back = seller.sees_ticket(&ticket, "available").await["version"].as_i64().unwrap();
    wait_for_version(&mut stream, &visitor, &topic, back).await;
}

#[tokio::test]
async fn a_graceful_shutdown_ends_all_streams_immediately() {
    let stack = shared::exclusive_with_two_streams().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let ticket = listed(&seller).await;
    let page = format!("/tickets/{ticket}");
    let topic = ticket_topic(&ticket);
    let since = resume_token(&visitor, &page).await;
    let mut stream = open(&visitor, &since, &[&topic]).await;
    replayed(&mut stream).await;

    let terminated = Instant::now();
    stack.terminate("web");
    while stream.next().await.is_some() {}
    let after = terminated.elapsed();
    assert!(after < Duration::from_secs(5), "{after:?}");
    // The new process doesn't know the resume token.
    let again = eventually("web to be back", || async {
        let mut stream = request(&visitor, &since, &[&topic]).open().await.ok()?;
        loop {
            let event = stream.next().await?;
            if event.event.is_some() {
                return Some(event.data);
            }
        }
    })
    .await;
    assert_eq!(again, json!({}));
}

#[tokio::test]
async fn a_stream_beyond_the_limit_is_refused_until_another_one_ends() {
    let stack = shared::exclusive_with_two_streams().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let topic = ticket_topic(&listed(&seller).await);
    let both = [open(&visitor, "", &[&topic]).await, open(&visitor, "", &[&topic]).await];
    // A visitor's own oldest stream gives way, but nobody else's does.
    assert_eq!(refused(&seller.client, &[&topic]).await, 503);
    drop(both);
    eventually("capacity for another stream", || async {
        request(&seller.client, "", &[&topic]).open().await.ok()
    })
    .await;
}
