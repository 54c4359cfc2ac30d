//! A marketplace that `cargo xtask up` started, with data and ports of its own.

use std::path::PathBuf;
use std::process::Command;

use mongodb::Database;
use serde_json::Value;
use testkit::{Client, Ended, Program, environment, eventually};

use crate::Person;

/// A running marketplace. It is stopped when this is dropped; what tests leave, `cargo xtask test` ends.
pub struct Stack {
    root: PathBuf,
    ports: Value,
}

impl Stack {
    /// Starts one in a folder of this name, with these settings.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Stack {
        let root = workspace().join(".dev").join("system-tests").join(name);
        // Tests that were killed may have left one.
        drop(xtask("down", &root).output());
        let mut up = xtask("up", &root);
        up.args(["--detach", "--fresh", "--no-build", "--port", "0"])
            .envs(settings.iter().copied());
        up.arg("--bin-dir").arg(environment::required(environment::BIN_DIR));
        let output = up.output().expect("xtask runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "up: {said}{complaint}");
        let ports =
            std::fs::read_to_string(root.join("run/ports.json")).expect("the list of ports");
        Stack { root, ports: serde_json::from_str(&ports).expect("the list of ports is JSON") }
    }

    /// What a visitor types.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.ports["gateway"])
    }

    /// Someone who isn't signed in.
    pub fn visitor(&self) -> Client {
        Client::with_cookie_jar(&self.url())
    }

    /// Someone who has just signed up.
    pub async fn person(&self, name: &str) -> Person {
        Person::sign_up(self, name).await
    }

    /// Stripe's own account of what was charged and given back.
    pub async fn stripe_ledger(&self) -> Value {
        let stripe = Client::new(&format!("http://127.0.0.1:{}", self.ports["stripe"]));
        stripe.get("/_ledger").await.expect(200)
    }

    /// A service's database.
    pub async fn database(&self, service: &str) -> Database {
        let uri = self.mongo_uri(service);
        common::mongo::connect(&uri, "test").await.expect("mongod's address")
    }

    /// Runs an operator's command of a service, as it is typed.
    pub async fn operate(&self, service: &'static str, args: &[&str]) -> Ended {
        let local = |scheme: &str, name: &str| format!("{scheme}://127.0.0.1:{}", self.ports[name]);
        let program = Program::of(service)
            .with("MONGO_URI", self.mongo_uri(service))
            .with("NATS_URL", local("nats", "nats"))
            .with("REDIS_URL", local("redis", "redis"))
            .with("STRIPE_URL", local("http", "stripe"))
            .with("STRIPE_KEY", "sk_test_local");
        program.run(args).await
    }

    /// Sends a signal, such as `KILL`, to a process. One that dies is started again.
    pub fn signal(&self, process: &str, signal: &str) {
        let file = self.root.join("run").join(format!("{process}.pid"));
        let pid = std::fs::read_to_string(&file).expect("a running process");
        let pid = pid.split_whitespace().next().expect("its number");
        let sent = Command::new("kill").args([&format!("-{signal}"), pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{signal} {pid} ({process})");
    }

    /// Waits until a service that was killed answers again.
    pub async fn answers(&self, service: &str) {
        let admin = &self.ports[service]["admin"];
        eventually(&format!("{service} to answer"), || async {
            let port = u16::try_from(admin.as_u64()?).ok()?;
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            let answer = Client::new(&format!("http://127.0.0.1:{port}")).get("/readyz").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// The folder of a server's data.
    pub fn data(&self, server: &str) -> PathBuf {
        self.root.join("data").join(server)
    }

    fn mongo_uri(&self, service: &str) -> String {
        let port = &self.ports["mongod"];
        format!("mongodb://127.0.0.1:{port}/{service}?replicaSet=rs0&directConnection=true")
    }

    /// A process's log, such as `orders`.
    pub fn log(&self, process: &str) -> String {
        std::fs::read_to_string(self.root.join("log").join(format!("{process}.log")))
            .unwrap_or_default()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that has already failed must not fail again in here.
        drop(xtask("down", &self.root).output());
    }
}

fn xtask(command: &str, root: &PathBuf) -> Command {
    let mut xtask = Command::new(environment::required(environment::XTASK));
    xtask.arg(command).arg("--root").arg(root);
    xtask
}

fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
