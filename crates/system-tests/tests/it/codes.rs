//! The codes that open a door are where their buyer is to see them, and nowhere else: no log, no trace, no event, no document and no
//! other page has one, whether it was admitted or refused. So are the codes of the links that users are mailed.

use std::collections::BTreeMap;
use std::fs;

use async_nats::jetstream::{self, consumer::AckPolicy, consumer::pull};
use bson::Document;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use system_tests::{PlainBrowser, Stack, link_in, workspace};
use testkit::{Client, eventually};
use url::form_urlencoded;

/// A code as people, forms and URLs write it.
fn spellings(code: &str) -> Vec<String> {
    let encoded: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
    let escaped = serde_json::to_string(code).unwrap().trim_matches('"').to_owned();
    let mut all = vec![code.to_owned(), encoded.clone(), encoded.replace('+', "%20"), escaped];
    all.extend(all.clone().iter().map(|spelling| spelling.to_lowercase()));
    all
}

/// Everything that was written somewhere: by its name, for the message of a failure.
#[derive(Default)]
pub struct Written(BTreeMap<String, String>);

impl Written {
    pub fn add(&mut self, name: impl Into<String>, text: impl AsRef<[u8]>) {
        self.0.insert(name.into(), String::from_utf8_lossy(text.as_ref()).into_owned());
    }

    /// Those with one of the codes.
    pub fn with(&self, codes: &[String]) -> Vec<&str> {
        let spellings: Vec<_> = codes.iter().flat_map(|code| spellings(code)).collect();
        let has_one = |text: &str| spellings.iter().any(|spelling| text.contains(spelling));
        let found = self.0.iter().filter(|(_, text)| has_one(text));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

#[tokio::test]
async fn codes_are_in_no_log_event_document_or_other_page() {
    let start = || Stack::start("codes", &[("LOG", "debug")]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    for (browser, name) in [(&seller, "Ada"), (&buyer, "Bert"), (&other, "Kim")] {
        browser.signs_up(name).await;
    }
    let (ticket, order, codes) = sale(&seller, &buyer).await;
    let (other_ticket, _, other_codes) = sale(&seller, &other).await;

    // Admitted, already in, for another door, and changed; by the form and by the API, with a key and without.
    let door = format!("{ticket}/door");
    let mut written = Written::default();
    let changed =
        format!("{}{}", if codes[0].starts_with('1') { "2" } else { "1" }, &codes[0][1..]);
    for (number, code) in [&codes[0], &codes[0], &other_codes[0], &changed].into_iter().enumerate()
    {
        let form = seller.opens(&door).await.form(&door).with("code", code).with("gate", "Gate 2");
        written.add(format!("the door after scan {number}"), seller.sends(&form).await.answer.text);
        let path = format!("/api{ticket}/checkin");
        let request = seller.client.request(testkit::Method::POST, &path);
        let request = request.header("idempotency-key", &format!("scan-{number}"));
        let answer = request.json(json!({ "code": code, "gate": "Gate 2" })).send().await;
        written.add(format!("the answer to scan {number}"), answer.text);
    }
    let door = seller.opens(&door).await;
    assert_eq!((door.part("in"), door.part("left")), ("1".to_owned(), "1".to_owned()));

    pages(
        &mut written,
        &[&seller, &buyer, &other, &stack.browser()],
        &[&ticket, &other_ticket, &order],
    )
    .await;
    mails(&mut written, &stack, &order, &buyer).await;
    // The mails are sent by now, and so everything before them is published.
    let messages = events(&mut written, &stack).await;
    assert!(messages > 10, "{messages} messages");
    documents(&mut written, &stack).await;
    for service in workspace::services() {
        let metrics = stack.admin_port(&service).get("/metrics").await;
        written.add(format!("the metrics of {service}"), metrics.text);
    }
    let logs = logs(&mut written, &stack);
    assert!(logs >= workspace::services().len(), "{logs} logs");

    let all: Vec<_> = codes.into_iter().chain(other_codes).chain([changed]).collect();
    assert_eq!(written.with(&all), Vec::<&str>::new());
    // What is looked for would be found.
    written.add("a log", format!("{{\"code\":\"{}\"}}", all[0]));
    written.add("an address", format!("/?code={}", spellings(&all[1])[1]));
    assert_eq!(written.with(&all), ["a log", "an address"]);
}

#[tokio::test]
async fn what_opens_a_link_is_in_no_log_event_or_document() {
    let start = || Stack::start("link-codes", &[("LOG", "debug")]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let browser = stack.browser();
    let email = browser.signs_up("Ada").await;
    let form = browser.opens("/recover").await.form("/recover").with("email", &email);
    browser.sends(&form).await.expect(200);
    let welcome = stack.mail(&email, "Welcome to Ticketing", 1).await;
    let recovery = stack.mail(&email, "Choose a new password", 1).await;
    let links = [
        ("/verify", link_in(&welcome, "/verify"), 200),
        ("/disown", link_in(&welcome, "/disown"), 409),
        ("/recover/new", link_in(&recovery, "/recover/new"), 200),
        ("/recover/new", link_in(&recovery, "/recover/new"), 409),
    ];
    for (page, link, status) in &links {
        let form = browser.opens(link).await.form(page);
        let has_password = form.value("password").is_some();
        let form = if has_password { form.with("password", "battery staple") } else { form };
        browser.sends(&form).await.expect(*status);
    }
    // The last mail is sent, so everything before it is published.
    stack.mail(&email, "Your password was changed", 1).await;
    let mut written = Written::default();
    let messages = events(&mut written, &stack).await;
    assert!(messages > 2, "{messages} messages");
    documents(&mut written, &stack).await;
    for service in workspace::services() {
        let metrics = stack.admin_port(&service).get("/metrics").await;
        written.add(format!("the metrics of {service}"), metrics.text);
    }
    logs(&mut written, &stack);
    let codes = links.map(|(_, link, _)| link.split_once('=').unwrap().1.to_owned());
    assert_eq!(written.with(&codes), Vec::<&str>::new());
    written.add("a log", format!("GET /verify?code={}", codes[0]));
    assert_eq!(written.with(&codes), ["a log"]);
}

/// Two places that are checked in at the seller's own door, paid. Returns the paths of listing and order, and the codes.
pub async fn sale(seller: &PlainBrowser, buyer: &PlainBrowser) -> (String, String, Vec<String>) {
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Motörhead").with("price", "20").with("quantity", "3");
    let form = form.with("delivery", "checked_in_here");
    let ticket = seller.sends(&form).await.path().to_owned();
    let order = buyer.buys_many(&ticket, 2).await.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);
    let path = format!("/api{order}/admissions");
    let codes = eventually("the codes", || async {
        let admissions = buyer.client.get(&path).await.body["admissions"].take();
        let code = |one: &Value| one["code"].as_str().unwrap().to_owned();
        admissions.as_array().map(|all| all.iter().map(code).collect::<Vec<_>>())
    });
    let codes = codes.await;
    assert_eq!(codes.len(), 2);
    (ticket, order, codes)
}

/// What everyone sees of everything, but for the one call that answers with codes. (The order's page draws them for its buyer.)
async fn pages(written: &mut Written, browsers: &[&PlainBrowser], things: &[&String]) {
    let mut addresses: Vec<String> =
        ["/", "/?q=mot%C3%B6rhead", "/orders", "/sales", "/account", "/api/orders", "/api/tickets"]
            .map(str::to_owned)
            .into();
    for thing in things {
        addresses.push((*thing).clone());
        addresses.push(format!("/api{thing}"));
        if thing.starts_with("/orders") {
            addresses.extend(
                ["tickets", "tickets.pdf", "ticket.ics", "receipt"]
                    .map(|part| format!("{thing}/{part}")),
            );
            addresses.push(format!("/api{thing}/mails"));
            addresses.push(format!("/api/payments?orderId={}", thing.rsplit('/').next().unwrap()));
        } else {
            addresses.extend(["door", "orders"].map(|part| format!("{thing}/{part}")));
            addresses.push(format!("/api{thing}/door"));
        }
    }
    for (number, browser) in browsers.iter().enumerate() {
        for address in &addresses {
            let answer = browser.opens(address).await.answer;
            let headers = format!("{:?}", answer.headers);
            written.add(format!("{address} for user {number}"), headers + &answer.text);
        }
    }
}

/// The mails about an order. (The picture of a code isn't text.)
async fn mails(written: &mut Written, stack: &Stack, order: &str, buyer: &PlainBrowser) {
    let path = format!("/api{order}/mails");
    eventually("the confirmation", || async {
        let mails = buyer.client.get(&path).await.body["mails"].take();
        let is_sent = |mail: &Value| mail["kind"] == "paid" && mail["status"] == "sent";
        mails.as_array()?.iter().any(is_sent).then_some(())
    })
    .await;
    let mailbox = Client::new(&format!("http://127.0.0.1:{}", stack.port("mail")));
    let list = mailbox.get("/api/mails").await.expect(200);
    for mail in list["mails"].as_array().unwrap() {
        let read = mailbox.get(&format!("/api/mails/{}", mail["id"])).await;
        written.add(format!("the mail {}", mail["messageId"]), read.text);
    }
}

/// Every message of every stream, with its headers. Returns how many there are.
async fn events(written: &mut Written, stack: &Stack) -> usize {
    let context = jetstream::new(stack.nats().await.unwrap());
    let mut names = context.stream_names();
    let mut count = 0;
    while let Some(name) = names.next().await {
        let name = name.unwrap();
        let stream = context.get_stream(&name).await.unwrap();
        // What is taken from a work queue is gone, and only the acknowledged is taken.
        if stream.cached_info().config.retention == jetstream::stream::RetentionPolicy::WorkQueue {
            continue;
        }
        let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        let total = usize::try_from(stream.cached_info().state.messages).unwrap();
        let mut messages = consumer.messages().await.unwrap().take(total);
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            let headers = format!("{:?}", message.headers);
            count += 1;
            written.add(
                format!("message {count}, {} in {name}", message.subject),
                headers + &String::from_utf8_lossy(&message.payload),
            );
        }
    }
    count
}

/// Every document of every service.
async fn documents(written: &mut Written, stack: &Stack) {
    for service in workspace::services_with_database() {
        let database = stack.database(&service).await;
        for name in database.list_collection_names().await.unwrap() {
            let documents = database.collection::<Document>(&name).find(Document::new()).await;
            let documents: Vec<_> = documents.unwrap().try_collect().await.unwrap();
            written.add(format!("the documents {service}.{name}"), format!("{documents:?}"));
        }
    }
}

/// The logs of all processes: services, servers, the gateway. Returns how many there are.
fn logs(written: &mut Written, stack: &Stack) -> usize {
    let files = fs::read_dir(stack.root().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.filter(|file| file.is_file()) {
        written.add(format!("the log {}", file.display()), fs::read(&file).unwrap());
        count += 1;
    }
    count
}
