//! A running confirmation service with a mailbox of its own, and the events that other services would publish.

use std::time::Duration;

use clap::Parser;
use common::events::{
    Order, OrderCancelled, OrderCompleted, OrderCreated, Stream, User, UserCreated,
};
use common::ids::UserId;
use confirmation::app;
use confirmation::mailer::Mailer;
use confirmation::message::Letterhead;
use confirmation::state::{App, Settings};
use mail_double::{Config, MailDouble};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _, UserChanges as _};
use testkit::{Bus, Client, Infra, TestService, TestUser, eventually};

/// The streams that confirmation consumes.
pub const CONSUMED: [Stream; 3] = [Stream::Users, Stream::Orders, Stream::Payments];
/// The sender in tests.
pub const FROM: &str = "Ticketing <tickets@example.com>";

pub struct World {
    pub infra: Infra,
    pub app: App,
    pub service: TestService,
    pub mailbox: Mailbox,
    pub seller: TestUser,
    pub buyer: TestUser,
}

impl World {
    /// With a mailbox that works, and a buyer and a seller whose addresses are known and who were welcomed.
    pub async fn start() -> World {
        let world = World::start_without_users().await;
        for (user, email) in
            [(&world.buyer, "buyer@example.org"), (&world.seller, "seller@example.org")]
        {
            world.publish_user(&user_event(user.id, email, &world.infra)).await;
        }
        world.settled().await;
        world.mailbox.expect(2).await;
        world.mailbox.clear().await;
        world
    }

    pub async fn start_without_users() -> World {
        let mailbox = Mailbox::start().await;
        let url = mailbox.smtp_url();
        World::start_with(mailbox, &["--smtp-url", &url]).await
    }

    /// With these settings beside those of the servers.
    pub async fn start_with(mailbox: Mailbox, arguments: &[&str]) -> World {
        let infra = Infra::start().await;
        let (app, service) = serve(&infra, arguments).await;
        let (seller, buyer) = (infra.user(), infra.user());
        World { infra, app, service, mailbox, seller, buyer }
    }

    pub fn bus(&self) -> &Bus {
        self.infra.bus()
    }

    pub fn client(&self, user: &TestUser) -> Client {
        self.service.client_as(user)
    }

    /// Waits until every published event is handled.
    pub async fn settled(&self) {
        self.bus().settled("confirmation").await;
    }

    pub async fn publish_user(&self, user: &User) {
        self.bus().publish(&UserCreated(user.clone())).await;
    }

    /// An order of the buyer's for the seller's ticket, not published yet.
    pub fn order(&self) -> Order {
        order_of(&self.buyer, &self.seller, &self.infra)
    }

    /// The same, created and complete by now. Returns it complete.
    pub async fn sale(&self) -> Order {
        let order = self.order();
        self.bus().publish(&OrderCreated(order.clone())).await;
        let complete = fixtures::completed(&order);
        self.bus().publish(&OrderCompleted(complete.clone())).await;
        self.settled().await;
        complete
    }

    /// Publishes the next version of an order: cancelled for this reason.
    pub async fn cancel(&self, order: &Order, reason: common::events::CancelReason) {
        let cancelled = fixtures::cancelled(order, reason);
        self.bus().publish(&OrderCancelled(cancelled)).await;
        self.settled().await;
    }

    /// Waits until each mail is sent, while no time passes.
    pub async fn all_sent(&self) {
        eventually("every mail to be sent", || async {
            let statuses = self.statuses().await;
            statuses.iter().all(|(_, status)| status == "sent").then_some(())
        })
        .await;
    }

    /// Waits until each mail is sent, has failed, or is suppressed. Time passes while none is being sent, or about to be.
    pub async fn all_final(&self) {
        eventually("every mail to have its outcome", || async {
            let mails = self.mails().await.into_iter();
            let open: Vec<bson::Document> =
                mails.filter(|mail| !is_final(mail.get_str("status").unwrap())).collect();
            let now = self.infra.clock.now().millis();
            let pauses = |mail: &bson::Document| {
                let due = mail.get_datetime("nextRunAt").unwrap().timestamp_millis();
                mail.get_str("status").unwrap() != "sending" && due > now
            };
            if !open.is_empty() && open.iter().all(pauses) {
                self.infra.clock.advance(Duration::from_secs(15 * 60));
            }
            open.is_empty().then_some(())
        })
        .await;
    }

    /// The status of each mail, by id.
    pub async fn statuses(&self) -> Vec<(String, String)> {
        let mails = self.mails().await.into_iter();
        mails
            .map(|mail| {
                (mail.get_str("_id").unwrap().into(), mail.get_str("status").unwrap().into())
            })
            .collect()
    }

    /// The mails as they are stored, by id.
    pub async fn mails(&self) -> Vec<bson::Document> {
        use futures::TryStreamExt as _;
        let database = self.infra.database("confirmation").await;
        let mails = database.collection::<bson::Document>("mails");
        let found = mails.find(bson::doc! {}).sort(bson::doc! { "_id": 1 }).await.unwrap();
        found.try_collect().await.unwrap()
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "sent" | "failed" | "suppressed")
}

/// Serves a replica with these settings beside those of the servers.
pub async fn serve(infra: &Infra, arguments: &[&str]) -> (App, TestService) {
    let settings = settings(infra, arguments);
    let app = App::connect(&settings.state, infra.clock.clone()).await.unwrap();
    let from = settings.mail.mail_from.clone();
    let relay = settings.mail.relay().unwrap();
    let mailer = relay.map(|relay| Mailer::new(relay, from.email.domain()).unwrap());
    let keys = settings.admissions.read().unwrap();
    let link_keys = settings.links.read().unwrap();
    let public_url = settings.server.public_url.clone();
    let letterhead = Letterhead { from, public_url, keys, link_keys };
    let service = app::service(app.clone(), infra.verifier(), letterhead, mailer);
    let service = TestService::serve(service).await;
    infra.bus().wait_for_consumers("confirmation", &CONSUMED).await;
    (app, service)
}

pub fn settings(infra: &Infra, arguments: &[&str]) -> Settings {
    let mut all = infra.args("confirmation");
    all.extend(["--mail-from", FROM, "--smtp-timeout-seconds", "1"].map(str::to_owned));
    all.extend(["--admission-keys".to_owned(), infra.admission_key_file().display().to_string()]);
    all.extend(["--link-keys".to_owned(), infra.link_key_file().display().to_string()]);
    all.extend(arguments.iter().map(ToString::to_string));
    Settings::parse_from(all)
}

pub fn user_event(id: UserId, email: &str, infra: &Infra) -> User {
    fixtures::user(infra.clock.now()).with_id(id).with_email(email)
}

pub fn order_of(buyer: &TestUser, seller: &TestUser, infra: &Infra) -> Order {
    let now = infra.clock.now();
    let ticket = fixtures::ticket(now).with_seller(seller.id).with_title("Tosca, row 7");
    fixtures::order(&ticket, now).with_buyer(buyer.id)
}

/// The local mailbox.
pub struct Mailbox {
    server: Option<MailDouble>,
    config: Config,
    url: String,
    http: reqwest::Client,
    _folder: TempDir,
}

/// A mail as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    pub id: u64,
    pub to: String,
    pub subject: String,
    pub message_id: String,
}

impl Mailbox {
    pub async fn start() -> Mailbox {
        Self::start_with(|config| config).await
    }

    pub async fn start_with(configure: impl FnOnce(Config) -> Config) -> Mailbox {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(Config::in_dir(folder.path()));
        let server = MailDouble::start(config.clone()).await.unwrap();
        let url = server.url();
        let port = |url: &str| url.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
        // After a restart it has the same ports.
        let config = Config { port: port(&url), smtp_port: server.smtp_port(), ..config };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Mailbox { server: Some(server), config, url, http, _folder: folder }
    }

    /// For clients that don't encrypt.
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=never", self.config.smtp_port)
    }

    pub fn smtp_port(&self) -> u16 {
        self.config.smtp_port
    }

    pub fn certificate(&self) -> &str {
        self.server.as_ref().unwrap().certificate()
    }

    /// Nothing listens at its ports from then on.
    pub async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }

    pub async fn restart(&mut self) {
        self.server = Some(MailDouble::start(self.config.clone()).await.unwrap());
    }

    pub async fn arrived(&self) -> Vec<Arrived> {
        let list = self.get_json("/api/mails").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mails = list["mails"].as_array().unwrap().iter();
        let mail = |mail: &Value| Arrived {
            id: mail["id"].as_u64().unwrap(),
            to: text(&mail["to"][0]),
            subject: text(&mail["subject"]),
            message_id: text(&mail["messageId"]),
        };
        mails.map(mail).collect()
    }

    /// Waits for so many mails.
    pub async fn expect(&self, count: usize) -> Vec<Arrived> {
        eventually(&format!("{count} mails"), || async {
            let arrived = self.arrived().await;
            assert!(arrived.len() <= count, "{arrived:?}");
            (arrived.len() == count).then_some(arrived)
        })
        .await
    }

    /// To whom, and the first part of the Message-ID.
    pub async fn summary(&self) -> Vec<(String, String)> {
        let arrived = self.arrived().await.into_iter();
        let kind = |id: &str| id.split('.').next().unwrap().to_owned();
        let mut all: Vec<_> = arrived.map(|mail| (mail.to, kind(&mail.message_id))).collect();
        all.sort();
        all
    }

    pub async fn get_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get_text(path).await).unwrap()
    }

    pub async fn get_text(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        response.error_for_status().unwrap().text().await.unwrap()
    }

    pub async fn get_bytes(&self, path: &str) -> Vec<u8> {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        response.error_for_status().unwrap().bytes().await.unwrap().to_vec()
    }

    pub async fn clear(&self) {
        self.delete("/api/mails").await;
    }

    pub async fn arm(&self, fault: Value) {
        let request = self.http.post(format!("{}/_faults", self.url));
        let request = request.header("content-type", "application/json").body(fault.to_string());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    pub async fn disarm(&self) {
        self.delete("/_faults").await;
    }

    /// How often the armed faults have hit.
    pub async fn hits(&self) -> u64 {
        let faults = self.get_json("/_faults").await;
        faults.as_array().unwrap().iter().map(|fault| fault["hits"].as_u64().unwrap()).sum()
    }

    async fn delete(&self, path: &str) {
        let request = self.http.delete(format!("{}{path}", self.url));
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// A fault that hits every message until it is disarmed.
pub fn always(kind: &str) -> Value {
    json!({ "kind": kind, "delay_ms": 60_000 })
}
