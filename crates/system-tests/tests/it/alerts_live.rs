//! Alerts on a running system: none while it is well, and each of four faults raises its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use system_tests::{Prometheus, Stack, workspace};
use testkit::{environment, retry_every};
use tokio::time::{Instant, sleep};

const HEALTHY: Duration = Duration::from_secs(10 * 60);
/// Longer than any alert waits.
const RAISED_WITHIN: Duration = Duration::from_secs(15 * 60);
const QUIET_WITHIN: Duration = Duration::from_secs(8 * 60);
const LOOK: Duration = Duration::from_secs(1);
const PAUSE_BETWEEN_SALES: Duration = Duration::from_millis(500);
/// A session's token is valid for longer than these take.
const SALES_OF_A_SESSION: usize = 200;
/// Every so many sales, one is refunded.
const REFUNDED: usize = 4;

/// One sale after the other, whatever becomes of it; some are refunded.
async fn sell(stack: &Stack) {
    loop {
        let (seller, buyer) = (stack.person("seller").await, stack.person("buyer").await);
        for number in 0..SALES_OF_A_SESSION {
            let ticket = seller.offers("Lakmé", "20.50").await;
            let order = buyer.orders(&ticket).await;
            if let Some(order) = order.body["id"].as_str() {
                let payment = buyer.pays(order, "tok_visa").await;
                // What isn't paid would take one of the buyer's places for unpaid orders.
                buyer.cancels(order).await;
                if let (0, Some(payment)) = (number % REFUNDED, payment.body["id"].as_str()) {
                    seller.refunds(payment).await;
                }
            }
            sleep(PAUSE_BETWEEN_SALES).await;
        }
    }
}

/// The programs of the stack, of which some are replaced by faulty ones.
struct Programs {
    /// Those that tests use.
    sound: PathBuf,
    /// Those that the stack runs.
    running: PathBuf,
}

impl Programs {
    fn link() -> Programs {
        let sound = PathBuf::from(environment::required(environment::BIN_DIR));
        let running = workspace::root().join(".dev/system-tests/alerts-programs");
        drop(fs::remove_dir_all(&running));
        fs::create_dir_all(&running).unwrap();
        for entry in fs::read_dir(&sound).unwrap().flatten() {
            let is_program = entry.file_type().unwrap().is_file()
                && Path::new(&entry.file_name()).extension().is_none();
            if is_program {
                fs::hard_link(entry.path(), running.join(entry.file_name())).unwrap();
            }
        }
        Programs { sound, running }
    }

    /// From its next start on, the service lacks this task.
    fn leave_out(&self, task: &str, service: &str) {
        fs::write(self.running.join(service).with_extension("without"), task).unwrap();
        self.replace(service, "without");
    }

    fn mend(&self, service: &str) {
        self.replace(service, service);
    }

    fn replace(&self, service: &str, by: &str) {
        let program = self.running.join(service);
        fs::remove_file(&program).unwrap();
        fs::hard_link(self.sound.join(by), program).unwrap();
    }
}

async fn restart(stack: &Stack, service: &str) {
    let processes = stack.processes();
    let old = processes.wait_for(service).await.unwrap();
    old.send(Signal::SIGTERM);
    let restarted = retry_every(LOOK, QUIET_WITHIN, async || {
        processes.get(service).filter(|new| *new != old).ok_or(())
    });
    restarted.await.unwrap();
}

/// JetStream delivers no order to tickets until this time; without one, it does again.
async fn pause_consumer(stack: &Stack, until: Value) {
    let nats = stack.nats().await.unwrap();
    let call = "$JS.API.CONSUMER.PAUSE.ORDERS.tickets";
    let reply = nats.request(call, until.to_string().into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert!(reply["error"].is_null(), "{reply}");
}

async fn raised(prometheus: &Prometheus, alert: &str) {
    let begun = Instant::now();
    let raised = retry_every(LOOK, RAISED_WITHIN, async || {
        let firing = prometheus.firing().await.unwrap();
        if firing.contains(alert) { Ok(()) } else { Err(firing) }
    });
    if let Err(firing) = raised.await {
        panic!("{alert} wasn't raised, only {firing:?}");
    }
    println!("{alert}: raised after {} s", begun.elapsed().as_secs());
}

async fn quiet(prometheus: &Prometheus) {
    let quiet = retry_every(LOOK, QUIET_WITHIN, async || {
        let firing = prometheus.firing().await.unwrap();
        if firing.is_empty() { Ok(()) } else { Err(firing) }
    });
    if let Err(firing) = quiet.await {
        panic!("still raised: {firing:?}");
    }
}

#[tokio::test]
#[ignore = "takes three quarters of an hour: cargo xtask proof alerts"]
async fn four_faults_raise_their_alerts_and_health_raises_none() {
    let programs = Programs::link();
    let root = workspace::root().join(".dev/system-tests/alerts");
    let stack = Stack::start_programs(&programs.running, &root, 1, &[]).unwrap();
    let prometheus = Prometheus::start(&stack).await.unwrap().expect("a Prometheus");
    let faults = async {
        let begun = Instant::now();
        let mut seen = BTreeSet::new();
        while begun.elapsed() < HEALTHY {
            seen.extend(prometheus.firing().await.unwrap());
            sleep(LOOK).await;
        }
        assert!(seen.is_empty(), "raised without a fault: {seen:?}");
        println!("no alert in {} minutes of sales", HEALTHY.as_secs() / 60);

        programs.leave_out("worker", "payments");
        restart(&stack, "payments").await;
        raised(&prometheus, "PromiseBroken payment_is_worked_on").await;
        programs.mend("payments");
        restart(&stack, "payments").await;
        quiet(&prometheus).await;

        programs.leave_out("relay", "orders");
        restart(&stack, "orders").await;
        raised(&prometheus, "PromiseBroken orders_are_published").await;
        programs.mend("orders");
        restart(&stack, "orders").await;
        quiet(&prometheus).await;

        pause_consumer(&stack, json!({ "pause_until": "2100-01-01T00:00:00Z" })).await;
        raised(&prometheus, "ConsumerStuck tickets ORDERS").await;
        pause_consumer(&stack, json!({})).await;
        quiet(&prometheus).await;

        let mailbox = stack.freeze("mail").await;
        raised(&prometheus, "MailsWait").await;
        drop(mailbox);
        quiet(&prometheus).await;
    };
    tokio::select! {
        () = faults => {}
        () = sell(&stack) => unreachable!("it sells until it is dropped"),
    }
}
