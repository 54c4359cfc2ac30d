//! One trace from the click to the mail, and nothing about a person in it or in a log.

use bson::{Document, doc};
use serde_json::{Value, json};
use system_tests::{PlainBrowser, Stack, Trace, commands, link_in, workspace};
use testkit::{Client, Collector, eventually};

use crate::codes::{Written, sale};
use crate::shared;

/// What paying begins with, and what it leads to.
const PAYING: &str = "POST /orders/{id}/pay";
const CAPTURE: &str = "POST /v1/payment_intents/{intent}/capture";

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_leaves_one_trace_and_no_personal_data() {
    let collector = Collector::start().await;
    let url = collector.url.clone();
    let start =
        move || Stack::start("tracing", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("LOG", "debug")]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let (seller, buyer) = (stack.browser(), stack.browser());
    let mut secrets = vec![seller.signs_up("Adalbert").await];
    secrets.push(buyer.signs_up("Brunhilde").await);
    secrets
        .extend(["Adalbert", "Brunhilde", "correct horse", "tok_visa", "pm_"].map(str::to_owned));

    // Who confirms their address, signs in, and lets a program act.
    let welcome = stack.mail(&secrets[1], "Welcome to Ticketing", 1).await;
    let link = link_in(&welcome, "/verify");
    let form = buyer.opens(&link).await.form("/verify");
    buyer.sends(&form).await.expect(200);
    secrets.push(link.split_once('=').unwrap().1.to_owned());
    let session = stack.visitor();
    let credentials = json!({ "email": secrets[1], "password": "correct horse" });
    let signed_in = session.post("/api/users/signin", credentials).await;
    signed_in.expect(200);
    secrets.extend(["session", "refresh"].map(|it| signed_in.cookie(it).unwrap().to_owned()));
    let new = json!({ "name": "A program", "scopes": ["orders:read"] });
    let token = text(&session.post("/api/users/tokens", new).await.expect(201)["token"]);
    let program = Client::new(&stack.url());
    let exchanged = program.bearer(&token).post("/api/users/tokens/access", json!({})).await;
    let access = text(&exchanged.expect(200)["accessToken"]);
    program.bearer(&access).get("/api/orders").await.expect(200);
    secrets.extend([token, access]);

    // What came before is handled, so that nothing of it is handled together with what paying leads to. And it is a listing of
    // one: the summary of several may be written with others', by a pass that is in no trace.
    let ticket = seller.lists("Fidelio, row 1", "35").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    commands::settled(&stack).await;
    buyer.pays(&order, "tok_visa").await.expect(200);
    let trace = Trace::of_purchase(&collector).await;
    assert!(trace.early().is_empty(), "{:#?}", trace.early());
    let ticket = seller.lists("Aida, row 3", "35").await;
    a_capture_that_fails_is_continued_in_its_trace(&stack, &collector, &buyer, &ticket).await;
    let (_, _, codes) = sale(&seller, &buyer).await;
    secrets.extend(codes);
    // Its spans have arrived, too, up to the mail with the codes.
    let mailed = [("web", PAYING), ("confirmation", "send mail"), ("confirmation", "update mails")];
    eventually("the spans of the sale", async || {
        let spans = collector.spans();
        let mut roots = spans.iter().filter(|span| span.name == PAYING && span.parent.is_none());
        // The third purchase.
        let trace = Trace::of(&collector, &roots.nth(2)?.trace);
        (trace.missing(&mailed).is_empty() && trace.orphans().is_empty()).then_some(())
    })
    .await;
    commands::settled(&stack).await;

    let mut written = Written::default();
    for (number, span) in collector.spans().iter().enumerate() {
        written.add(format!("span {number}"), format!("{span:?}"));
    }
    for service in workspace::services() {
        let log = stack.log(&service);
        assert!(!log.is_empty(), "{service}");
        lines_have_a_trace(&service, &log);
        assert!(service == "auth" || log.contains(trace.id()), "{service} logs the trace's id");
        // Line by line, to see which it is.
        for (number, line) in log.lines().enumerate() {
            written.add(format!("line {number} of {service}: {line}"), line);
        }
    }
    assert_eq!(written.with(&secrets), Vec::<&str>::new());
    // What is looked for would be found.
    written.add("a log", format!("{{\"email\":\"{}\"}}", secrets[0]));
    assert_eq!(written.with(&secrets), ["a log"]);
}

/// The card is captured after the request, by the worker: what it does is part of the trace nevertheless.
async fn a_capture_that_fails_is_continued_in_its_trace(
    stack: &Stack,
    collector: &Collector,
    buyer: &PlainBrowser,
    ticket: &str,
) {
    let paid = collector.spans().into_iter().filter(|span| span.name == PAYING).count();
    let order = buyer.buys(ticket).await.path().to_owned();
    commands::settled(stack).await;
    stack.inject_stripe_fault("/v1/payment_intents/*/capture", "cut", Some(1), 0).await;
    buyer.pays(&order, "tok_visa").await.expect(200);
    let continued = [
        ("web", PAYING),
        ("payments", "process order.completed"),
        ("payments", CAPTURE),
        ("payments", "work on payment"),
        ("payments", CAPTURE),
        ("payments", "publish payment.captured"),
    ];
    let trace = eventually("the capture by the worker", async || {
        let spans = collector.spans();
        let mut roots = spans.iter().filter(|span| span.name == PAYING && span.parent.is_none());
        let trace = Trace::of(collector, &roots.nth(paid)?.trace);
        let is_whole = trace.missing(&continued).is_empty() && trace.orphans().is_empty();
        is_whole.then_some(trace)
    });
    let trace = trace.await;
    let first = trace.spans().iter().find(|span| span.name == CAPTURE).unwrap();
    assert!(first.is_error, "{first:#?}");
    let payments = stack.database("payments").await.collection::<Document>("payments");
    let id = order.rsplit('/').next().unwrap();
    let stored = payments.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    let stored = stored.get_str("traceparent").unwrap();
    assert!(stored.contains(trace.id()), "{stored}");
}

#[tokio::test]
async fn without_a_collector_nothing_is_stored_for_a_trace() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let order = buyer.reserves(&seller.offers("Tosca", "20").await).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    buyer.pays(&order, "tok_visa").await.expect(201);
    buyer.sees_payment(&order, "completed").await;
    for (service, collection, id) in [
        ("payments", "payments", "_id"),
        ("expiration", "schedules", "_id"),
        ("confirmation", "mails", "order.id"),
    ] {
        let documents = stack.database(service).await.collection::<Document>(collection);
        let stored = eventually("the document", async || {
            documents.find_one(doc! { id: &order }).await.unwrap()
        });
        let stored = stored.await;
        assert!(!stored.contains_key("traceparent"), "{service}: {stored}");
    }
}

/// Nobody has to look at a declined card: it is the buyer's. The history has the trace of the request.
#[tokio::test]
async fn a_declined_card_is_no_warning() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
    let order = buyer.reserves(&seller.offers("Tosca", "20").await).await;
    buyer.sees_order(&order, "awaiting:payment").await;
    buyer.pays(&order, "tok_chargeDeclined").await.problem(402, "card-declined");
    let payments = stack.database("payments").await.collection::<Document>("payments");
    let stored = payments.find_one(doc! { "_id": &order }).await.unwrap().unwrap();
    let history: store::History = bson::deserialize_from_document(stored).unwrap();
    let declined = &history.history[0];
    assert_eq!(declined.event, "payment.failed");
    let trace = declined.trace_id.as_deref().unwrap();
    let log = eventually("the line of the request", async || {
        let log = stack.log("payments");
        let is_of_it = |line: &str| line.contains(trace) && line.contains("request completed");
        log.lines().any(is_of_it).then_some(log)
    });
    let log = log.await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(trace)).collect();
    let is_loud = |line: &&&str| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    assert_eq!(lines.iter().find(is_loud), None);
}

/// Each line is an object; one of a request or an event names its trace.
fn lines_have_a_trace(service: &str, log: &str) {
    let (mut requests, mut events) = (0, 0);
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{service}: {error}: {line}"));
        let trace = line["trace_id"].as_str().or(line["span"]["trace_id"].as_str());
        let is_traced = trace.is_some_and(|trace| trace.len() == 32);
        match line["message"].as_str().unwrap_or_default() {
            "request completed" => {
                requests += 1;
                assert!(is_traced && line["span"]["request_id"].is_string(), "{service}: {line}");
            }
            "event handled" => {
                events += 1;
                assert!(is_traced, "{service}: {line}");
            }
            _ => {}
        }
    }
    assert!(requests > 0 || ["confirmation", "expiration"].contains(&service), "{service}");
    assert!(events > 0 || ["auth", "web"].contains(&service), "{service}");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
