//! Pages that follow what happens: what their streams say, to whom, and what is lost when something breaks (nothing).

use std::time::{Duration, Instant};

use common::Time;
use common::ids::OrderId;
use serde_json::{Value, json};
use system_tests::Person;
use testkit::{Client, EventStream, Method, Request, ServerSentEvent, eventually};

use crate::shared;

/// Opens the stream of a page that was asked for when the hub was at `position`.
async fn open(client: &Client, position: &str, topics: &[&str]) -> EventStream {
    request(client, position, topics).open().await.unwrap()
}

fn request(client: &Client, position: &str, topics: &[&str]) -> Request {
    let topics = topics.iter().map(|topic| format!("&topic={topic}"));
    let address = format!("/live?since={position}{}", topics.collect::<String>());
    client.request(Method::GET, &address)
}

/// The status that a stream is refused with.
async fn refused(client: &Client, topics: &[&str]) -> u16 {
    let refused = request(client, "", topics).open().await.map(|_| ());
    refused.expect_err("it must be refused").as_u16()
}

/// Reads how the stream begins, up to where it says that all before has been told.
async fn begins(stream: &mut EventStream) -> Vec<ServerSentEvent> {
    let mut told = Vec::new();
    while told.last().is_none_or(|told: &ServerSentEvent| told.id.is_none()) {
        told.push(stream.next().await.expect("a stream that begins"));
    }
    told
}

/// The position that a page carries.
async fn position(client: &Client, page: &str) -> String {
    let page = client.get(page).await;
    page.expect(200);
    let (_, rest) = page.text.split_once("<meta name=\"live\" content=\"").expect("a position");
    rest.split('"').next().unwrap().to_owned()
}

fn ticket_topic(ticket: &str) -> String {
    format!("ticket:{ticket}")
}

fn order_topic(order: &str) -> String {
    format!("order:{order}")
}

/// Until the stream has said that the topic is at this version, or a newer one.
async fn is_told(stream: &mut EventStream, client: &Client, topic: &str, version: i64) {
    loop {
        let changed = stream.event("changed").await;
        if changed["topic"] == topic && version_of(&changed, client, topic).await >= version {
            return;
        }
    }
}

/// The version that a nudge says. Of what changed together with something else it says none: then one looks.
async fn version_of(changed: &Value, client: &Client, topic: &str) -> i64 {
    if let Some(version) = changed["version"].as_i64() {
        return version;
    }
    let (kind, id) = topic.split_once(':').unwrap();
    let thing = client.get(&format!("/api/{kind}s/{id}")).await.expect(200);
    thing["version"].as_i64().unwrap()
}

async fn listed(seller: &Person) -> String {
    let ticket = seller.offers("Tosca", "20.50").await;
    seller.sees_ticket(&ticket, "available").await;
    ticket
}

#[tokio::test]
async fn whoever_looks_at_a_ticket_is_told_that_someone_takes_it_and_that_it_is_back() {
    let stack = shared::usual().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let page = format!("/tickets/{ticket}");
    let (topic, since) = (ticket_topic(&ticket), position(&visitor, &page).await);
    let mut stream = open(&visitor.header("accept-encoding", "gzip, br"), &since, &[&topic]).await;
    let header = |name: &str| stream.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("content-encoding"), None);

    let order = buyer.holds(&ticket).await;
    is_told(&mut stream, &visitor, &topic, 2).await;
    assert_eq!(visitor.get(&format!("/api{page}")).await.expect(200)["status"], "reserved");
    buyer.cancels(&order).await.expect(204);
    is_told(&mut stream, &visitor, &topic, 3).await;
    assert_eq!(visitor.get(&format!("/api{page}")).await.expect(200)["status"], "available");
}

#[tokio::test]
async fn nothing_between_page_and_stream_is_lost() {
    let stack = shared::usual().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let topic = ticket_topic(&ticket);
    let since = position(&visitor, &format!("/tickets/{ticket}")).await;
    let mut earlier = open(&visitor, &since, &[&topic]).await;
    buyer.holds(&ticket).await;
    is_told(&mut earlier, &visitor, &topic, 2).await;

    // It has happened, and nothing more will: only who remembers can tell it.
    let mut late = open(&visitor, &since, &[&topic]).await;
    is_told(&mut late, &visitor, &topic, 2).await;
    // A page that was asked for now shows it; its stream has nothing to add.
    let since = position(&visitor, &format!("/tickets/{ticket}")).await;
    let mut later = open(&visitor, &since, &[&topic]).await;
    let beginning = begins(&mut later).await;
    assert!(beginning.iter().all(|told| told.event.is_none()), "{beginning:?}");
}

#[tokio::test]
async fn a_page_of_another_process_and_one_without_a_position_are_asked_for_once_more() {
    let stack = shared::usual().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let topic = ticket_topic(&listed(&seller).await);
    for since in ["0badcafe-17", ""] {
        let mut stream = open(&visitor, since, &[&topic]).await;
        assert_eq!(stream.event("changed").await, json!({}), "{since}");
    }
    // A browser that opens a broken stream again says how far it got, and need not look again.
    let mut stream = open(&visitor, "", &[&topic]).await;
    let reached = begins(&mut stream).await.pop().and_then(|told| told.id).unwrap();
    let again = request(&visitor, "", &[&topic]).header("last-event-id", &reached);
    let beginning = begins(&mut again.open().await.unwrap()).await;
    assert!(beginning.iter().all(|told| told.event.is_none()), "{beginning:?}");
}

#[tokio::test]
async fn an_order_is_followed_by_its_two_sides_alone_and_all_of_one_s_own_by_oneself() {
    let stack = shared::usual().await;
    let (seller, buyer, other) =
        (stack.person("seller").await, stack.person("buyer").await, stack.person("other").await);
    let ticket = listed(&seller).await;
    let order = buyer.holds(&ticket).await;
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
        let since = position(&person.client, "/auth/signout").await;
        let mut stream = open(&person.client, &since, topics).await;
        begins(&mut stream).await;
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
    // Nothing but that the stream is there.
    assert_eq!(bystander.next().await.unwrap().event, None);
}

#[tokio::test]
async fn what_can_t_be_followed_is_refused() {
    let stack = shared::usual().await;
    let visitor = stack.visitor();
    let ticket = ticket_topic(&listed(&stack.person("seller").await).await);
    let many = vec![ticket.as_str(); 111];
    for topics in [&[][..], &["ticket:1"], &["everything"], &["user:1", &ticket], &many] {
        assert_eq!(refused(&visitor, topics).await, 400, "{topics:?}");
    }
    open(&visitor, "", &many[1..]).await.event("changed").await;
}

#[tokio::test]
async fn a_stream_says_that_it_is_there_before_anybody_in_between_gives_it_up() {
    let stack = shared::usual().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let ticket = listed(&seller).await;
    let since = position(&visitor, &format!("/tickets/{ticket}")).await;
    let mut stream = open(&visitor, &since, &[&ticket_topic(&ticket)]).await;
    begins(&mut stream).await;
    let opened = Instant::now();
    let heartbeat = stream.next().await.unwrap();
    let after = opened.elapsed();
    assert!(heartbeat.event.is_none() && heartbeat.id.is_some(), "{heartbeat:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(19)).contains(&after), "{after:?}");
}

#[tokio::test]
async fn a_page_that_was_open_while_the_broker_was_away_looks_again_and_is_live_again() {
    let (stack, _turn) = shared::breakable().await;
    let (seller, buyer, visitor) =
        (stack.person("seller").await, stack.person("buyer").await, stack.visitor());
    let ticket = listed(&seller).await;
    let topic = ticket_topic(&ticket);
    let since = position(&visitor, &format!("/tickets/{ticket}")).await;
    let mut stream = open(&visitor, &since, &[&topic]).await;
    begins(&mut stream).await;

    stack.kill("nats").await;
    // The sale goes on meanwhile.
    let order = buyer.holds(&ticket).await;
    while stream.event("changed").await != json!({}) {}
    seller.sees_ticket(&ticket, "reserved").await;
    buyer.cancels(&order).await.expect(204);
    let back = seller.sees_ticket(&ticket, "available").await["version"].as_i64().unwrap();
    is_told(&mut stream, &visitor, &topic, back).await;
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_ends_its_streams_at_once() {
    let (stack, _turn) = shared::breakable().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let ticket = listed(&seller).await;
    let page = format!("/tickets/{ticket}");
    let topic = ticket_topic(&ticket);
    let since = position(&visitor, &page).await;
    let mut stream = open(&visitor, &since, &[&topic]).await;
    begins(&mut stream).await;

    let told = Instant::now();
    stack.terminate("web");
    while stream.next().await.is_some() {}
    let after = told.elapsed();
    assert!(after < Duration::from_secs(5), "{after:?}");
    // It is another process then, which knows nothing of that position.
    let again = eventually("web to be back", || async {
        let mut stream = request(&visitor, &since, &[&topic]).open().await.ok()?;
        loop {
            let told = stream.next().await?;
            if told.event.is_some() {
                return Some(told.data);
            }
        }
    })
    .await;
    assert_eq!(again, json!({}));
}

#[tokio::test]
async fn beyond_the_limit_a_page_is_not_live_until_another_one_goes() {
    let (stack, _turn) = shared::breakable().await;
    let (seller, visitor) = (stack.person("seller").await, stack.visitor());
    let topic = ticket_topic(&listed(&seller).await);
    let both = [open(&visitor, "", &[&topic]).await, open(&visitor, "", &[&topic]).await];
    assert_eq!(refused(&visitor, &[&topic]).await, 503);
    drop(both);
    eventually("room for another one", || async {
        request(&visitor, "", &[&topic]).open().await.ok()
    })
    .await;
}
