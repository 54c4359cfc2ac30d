//! A session that has ended is refused by every replica of every service: by push, and after restarts and the loss of the
//! broker, too.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use system_tests::Stack;
use testkit::{Client, Method, retry_for};
use uuid::Uuid;

/// A private resource of each service: 200 with a valid token, 401 without.
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

#[tokio::test]
async fn an_ended_session_is_refused_everywhere_after_restarts_and_without_the_broker_s_disk() {
    let start = || Stack::start_replicas("revocations", REPLICAS, &[]);
    let stack = &tokio::task::spawn_blocking(start).await.unwrap();
    for everywhere in [false, true] {
        let email = format!("kim-{}@example.com", Uuid::now_v7());
        let credentials = json!({ "email": email, "password": "correct horse" });
        let signed_up = stack.visitor().post("/api/users/signup", credentials.clone()).await;
        signed_up.expect(201);
        let token = signed_up.cookie("session").unwrap().to_owned();
        refused(stack, &token, false).await;

        let browser = stack.visitor();
        browser.post("/api/users/signin", credentials.clone()).await.expect(200);
        if everywhere {
            browser.delete("/api/users/sessions").await.expect(204);
        } else {
            let sessions = browser.get("/api/users/sessions").await.expect(200);
            let other = &sessions["sessions"][1];
            assert_eq!(other["current"], false);
            let id = other["id"].as_str().unwrap();
            browser.delete(&format!("/api/users/sessions/{id}")).await.expect(204);
        }
        refused(stack, &token, true).await;

        kill_everything(stack, everywhere).await;
        refused(stack, &token, true).await;
        let again = stack.visitor().post("/api/users/signin", credentials).await;
        again.expect(200);
        refused(stack, again.cookie("session").unwrap(), false).await;
    }
}

/// Waits until every replica refuses the token, or accepts it.
async fn refused(stack: &Stack, token: &str, refused: bool) {
    for (service, path) in PRIVATE {
        for replica in 1..=REPLICAS {
            let replica = format!("{service}-{replica}");
            let client = Client::new(&stack.url_of(&replica)).cookie("session", token);
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
    stack.signal("nats", Signal::SIGSTOP);
    let killed: Vec<_> = replicas.iter().map(|name| stack.signal(name, Signal::SIGKILL)).collect();
    if wipe {
        std::fs::remove_dir_all(stack.data("nats")).unwrap();
    }
    stack.signal("nats", Signal::SIGKILL);
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
