//! What has ended, a session, all of them, a banned user's or a program's token, is refused by every replica of every service: by push, and
//! after restarts and the loss of the broker, too.

use std::time::Duration;

use common::scopes::Scope;
use nix::sys::signal::Signal;
use serde_json::json;
use system_tests::Stack;
use testkit::{Client, Method, retry_for};
use uuid::Uuid;

/// A private resource of each service: 401 without a valid token, and something else with one.
const PRIVATE: [(&str, &str); 5] = [
    ("auth", "/api/users/sessions"),
    ("tickets", "/api/tickets?mine=true"),
    ("orders", "/api/orders"),
    ("payments", "/api/payments?orderId=01a1fdd0-5c59-7319-ab89-000000000001"),
    ("confirmation", "/api/orders/01a1fdd0-5c59-7319-ab89-000000000001/mails"),
];
const REPLICAS: u16 = 2;
/// What a push takes is far less; on a busy machine, processes take long to run.
const PUSHED_WITHIN: Duration = Duration::from_secs(5);

/// How somebody's credential ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OneSession,
    AllSessions,
    Ban,
    ApiToken,
}

/// What a request is sent with.
enum Credential {
    Session(String),
    /// A program's access token.
    Access(String),
}

/// The account that `ADMIN_EMAIL` names.
const ADMIN: &str = "root@example.com";
const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn what_has_ended_is_refused_everywhere_after_restarts_and_without_the_broker_s_disk() {
    let settings = &[("ADMIN_EMAIL", ADMIN)];
    let start = || Stack::start_replicas("revocations", REPLICAS, settings);
    let stack = &tokio::task::spawn_blocking(start).await.unwrap();
    let credentials = |email: &str| json!({ "email": email, "password": PASSWORD });
    stack.visitor().post("/api/users/signup", credentials(ADMIN)).await.expect(201);
    // It is appointed at the first restart.
    for (end, wipe) in [
        (End::OneSession, false),
        (End::AllSessions, true),
        (End::Ban, false),
        (End::Ban, true),
        (End::ApiToken, false),
        (End::ApiToken, true),
    ] {
        println!("{end:?}, wiped: {wipe}");
        let email = format!("kim-{}@example.com", Uuid::now_v7());
        let credentials = credentials(&email);
        let signed_up = stack.visitor().post("/api/users/signup", credentials.clone()).await;
        let user = signed_up.expect(201)["id"].as_str().unwrap().to_owned();
        let session = signed_up.cookie("session").unwrap().to_owned();
        let browser = stack.visitor();
        browser.post("/api/users/signin", credentials.clone()).await.expect(200);
        let scopes = Scope::ALL.map(Scope::as_str);
        let new = json!({ "name": "A program", "scopes": scopes });
        let token = browser.post("/api/users/tokens", new).await.expect(201);
        let program = Client::new(&stack.url()).bearer(token["token"].as_str().unwrap());
        let access = program.post("/api/users/tokens/access", json!({})).await.expect(200);
        let access = Credential::Access(access["accessToken"].as_str().unwrap().to_owned());
        let session = Credential::Session(session);
        for credential in [&session, &access] {
            refused(stack, credential, false).await;
        }

        match end {
            End::OneSession => {
                let sessions = browser.get("/api/users/sessions").await.expect(200);
                let other = &sessions["sessions"][1];
                assert_eq!(other["current"], false);
                let id = other["id"].as_str().unwrap();
                browser.delete(&format!("/api/users/sessions/{id}")).await.expect(204);
            }
            End::AllSessions => {
                browser.delete("/api/users/sessions").await.expect(204);
            }
            End::Ban => {
                let reason = json!({ "reason": "Fraud" });
                let ban = format!("/api/users/{user}/ban");
                administrator(stack).await.put(&ban, reason).await.expect(200);
            }
            End::ApiToken => {
                let id = token["id"].as_str().unwrap();
                browser.delete(&format!("/api/users/tokens/{id}")).await.expect(204);
            }
        }
        let session_ends = end != End::ApiToken;
        let access_ends = end != End::OneSession;
        for _ in 0..2 {
            refused(stack, &session, session_ends).await;
            refused(stack, &access, access_ends).await;
            let exchanged = program.post("/api/users/tokens/access", json!({})).await;
            exchanged.expect(if access_ends { 401 } else { 200 });
            if end == End::Ban {
                let banned = stack.visitor().post("/api/users/signin", credentials.clone()).await;
                banned.problem(403, "account-banned");
            }
            kill_everything(stack, wipe).await;
        }
        refused(stack, &session, session_ends).await;
        refused(stack, &access, access_ends).await;

        if end == End::Ban {
            let lifted = administrator(stack).await.delete(&format!("/api/users/{user}/ban")).await;
            lifted.expect(200);
        }
        let again = stack.visitor().post("/api/users/signin", credentials).await;
        again.expect(200);
        let again = Credential::Session(again.cookie("session").unwrap().to_owned());
        refused(stack, &again, false).await;
    }
}

async fn administrator(stack: &Stack) -> Client {
    let client = stack.visitor();
    let credentials = json!({ "email": ADMIN, "password": PASSWORD });
    client.post("/api/users/signin", credentials).await.expect(200);
    client
}

impl Credential {
    fn of(&self, client: Client) -> Client {
        match self {
            Credential::Session(token) => client.cookie("session", token),
            Credential::Access(token) => client.bearer(token),
        }
    }
}

/// Waits until every replica refuses the token, or accepts it.
async fn refused(stack: &Stack, credential: &Credential, refused: bool) {
    for (service, path) in PRIVATE {
        for replica in 1..=REPLICAS {
            let replica = format!("{service}-{replica}");
            let client = credential.of(Client::new(&stack.url_of(&replica)));
            let status = async || {
                let response = client.request(Method::GET, path).try_send().await;
                let status = response.map(|response| response.status.as_u16());
                if status.as_ref().is_ok_and(|status| (*status == 401) == refused) {
                    Ok(())
                } else {
                    Err(format!("{replica}: {status:?}, refused: {refused}"))
                }
            };
            retry_for(PUSHED_WITHIN, status).await.unwrap();
        }
    }
    // No program has pages.
    let Credential::Session(token) = credential else { return };
    for replica in 1..=REPLICAS {
        let client = Client::new(&stack.url_of(&format!("web-{replica}"))).cookie("session", token);
        let page = async || {
            let page = client.get("/account").await;
            let is_sign_in = page.header("location").is_some_and(|to| to.starts_with("/auth/"));
            if is_sign_in == refused { Ok(()) } else { Err(page.status) }
        };
        retry_for(PUSHED_WITHIN, page).await.unwrap();
    }
}

/// Every process of every service at once, and the broker, which may lose its disk.
async fn kill_everything(stack: &Stack, wipe: bool) {
    let services = PRIVATE.map(|(service, _)| service).into_iter().chain(["web"]);
    let replicas: Vec<String> = services
        .flat_map(|service| (1..=REPLICAS).map(move |replica| format!("{service}-{replica}")))
        .collect();
    let nats = stack.freeze("nats").await;
    let killed: Vec<_> = replicas.iter().map(|name| stack.signal(name, Signal::SIGKILL)).collect();
    if wipe {
        std::fs::remove_dir_all(stack.data("nats")).unwrap();
    }
    stack.signal("nats", Signal::SIGKILL);
    drop(nats);
    for process in killed {
        testkit::eventually("a process to exit", || async {
            (!process.is_running()).then_some(())
        })
        .await;
    }
    for name in &replicas {
        stack.is_ready(name).await;
    }
}
