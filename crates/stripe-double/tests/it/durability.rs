//! What was acknowledged survives a SIGKILL.

use std::{io::Write, path::Path, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use stripe_double::ManualClock;

use crate::support::{Client, Double, NOW_MS, TWENTY_DOLLARS, confirm_path, text};

struct Program {
    child: Child,
    /// Kept open, so that the program can write to it.
    #[expect(dead_code, reason = "kept open, never read")]
    log: Lines<BufReader<ChildStdout>>,
    client: Client,
}

impl Program {
    async fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stripe-double"))
            .args(["--port", "0", "--data-dir"])
            .arg(dir)
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = async {
            loop {
                let line = log.next_line().await.unwrap().expect("the program has ended");
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                if let Some(url) = line["fields"]["url"].as_str() {
                    return url.to_owned();
                }
            }
        };
        let url = tokio::time::timeout(Duration::from_secs(20), url)
            .await
            .expect("the program doesn't start");
        Self { child, log, client: Client::new(url) }
    }

    async fn end(mut self, signal: Signal) -> std::process::ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap());
        kill(pid, signal).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.child.wait())
            .await
            .expect("the program doesn't end")
            .unwrap()
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path()).await;
    let intent =
        program.client.post_with_key("pi", "/v1/payment_intents", &TWENTY_DOLLARS).await.body;
    let path = confirm_path(&intent);
    let paid = program
        .client
        .post_with_key("confirm", &path, &[("payment_method", "pm_card_visa")])
        .await
        .body;
    let refund =
        program.client.post("/v1/refunds", &[("payment_intent", text(&intent["id"]))]).await.body;
    let before = program.client.ledger().await;
    program.end(Signal::SIGKILL).await;

    let program = Program::start(dir.path()).await;
    assert_eq!(program.client.ledger().await, before);
    let again =
        program.client.post_with_key("confirm", &path, &[("payment_method", "pm_card_visa")]).await;
    assert_eq!(
        (again.body, again.headers["idempotent-replayed"].as_bytes()),
        (paid, b"true".as_slice())
    );
    assert_eq!(
        program.client.get(&format!("/v1/refunds/{}", text(&refund["id"]))).await.body,
        refund
    );
}

#[tokio::test]
async fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path()).await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let client = program.client.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                // Until the kill cuts the connection.
                while let Ok(reply) = client
                    .send(
                        client
                            .request(reqwest::Method::POST, "/v1/payment_intents")
                            .form(&TWENTY_DOLLARS),
                    )
                    .await
                {
                    acknowledged.push(text(&reply.body["id"]).to_owned());
                }
                acknowledged
            })
        })
        .collect();
    while program.client.ledger().await["payment_intents"].as_array().unwrap().len() < 100 {
        tokio::task::yield_now().await;
    }
    program.end(Signal::SIGKILL).await;
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }

    let program = Program::start(dir.path()).await;
    let ledger = program.client.ledger().await;
    let stored: std::collections::BTreeSet<&str> =
        ledger["payment_intents"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), acknowledged.len());
}

#[tokio::test]
async fn sigterm_stops_the_program_gracefully() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path()).await;
    assert!(program.end(Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn an_incomplete_last_line_is_dropped_and_any_other_corruption_prevents_the_start() {
    let double = Double::start().await;
    double.client.intent(&[]).await;
    let before = double.client.ledger().await;
    let Double { clock, running, dir, .. } = double;
    running.stop().await.unwrap();
    let path = dir.path().join("journal.jsonl");
    let append = |bytes: &[u8]| {
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(bytes).unwrap();
    };

    append(br#"{"changes":[{"payment_int"#);
    let double = Double::start_in(dir, clock).await;
    assert_eq!(double.client.ledger().await, before);
    double.client.intent(&[]).await;
    let double = double.restarted().await;
    assert_eq!(double.client.ledger().await["payment_intents"].as_array().unwrap().len(), 2);

    let Double { running, dir, .. } = double;
    running.stop().await.unwrap();
    append(b"nonsense\n");
    let error = stripe_double::StripeDouble::start(stripe_double::Config::in_dir(dir.path()))
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("line 3 is damaged"), "{error:#}");
}

#[tokio::test]
async fn two_doubles_never_share_a_directory() {
    let double = Double::start().await;
    let error =
        stripe_double::StripeDouble::start(stripe_double::Config::in_dir(double.dir.path()))
            .await
            .unwrap_err();
    assert!(format!("{error:#}").contains("belongs to another process"), "{error:#}");
}

/// A payment as the journal had it before there were authorisations, challenges and disputes.
const OLD_JOURNAL: &str = r#"{"changes":[{"payment_method":{"id":"pm_1","created":1799999999,"number":"4242424242424242","exp_month":12,"exp_year":2034,"cvc_given":false,"billing_details":{"email":null,"name":null,"phone":null},"metadata":{},"used":true}},{"payment_intent":{"id":"pi_1","created":1799999999,"amount":2000,"currency":"usd","status":"succeeded","client_secret":"pi_1_secret_2","capture_method":"automatic_async","payment_method":"pm_1","payment_method_types":["card"],"automatic_payment_methods":null,"description":null,"receipt_email":null,"metadata":{},"canceled_at":null,"cancellation_reason":null,"last_payment_error":null,"next_action":null,"charges":["ch_1"]}},{"charge":{"id":"ch_1","created":1799999999,"amount":2000,"currency":"usd","status":"succeeded","payment_intent":"pi_1","payment_method":"pm_1","description":null,"receipt_email":null,"metadata":{},"failure_code":null,"failure_message":null,"decline_code":null,"refunds":["re_1"]}},{"refund":{"id":"re_1","created":1799999999,"amount":500,"currency":"usd","charge":"ch_1","payment_intent":"pi_1","reason":null,"metadata":{},"course":{"pends_until":{"ms":1800000060000}}}}]}
"#;

#[tokio::test]
async fn the_journal_of_an_earlier_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal.jsonl"), OLD_JOURNAL).unwrap();
    let double = Double::start_in(dir, ManualClock::at_ms(NOW_MS)).await;
    let paid = double.client.get("/v1/payment_intents/pi_1").await.body;
    assert_eq!((&paid["status"], &paid["amount_received"]), (&"succeeded".into(), &2000.into()));
    assert_eq!(double.client.get("/v1/refunds/re_1").await.body["status"], "pending");
    double.clock.advance(Duration::from_secs(60));
    assert_eq!(double.client.get("/v1/refunds/re_1").await.body["status"], "succeeded");
}
