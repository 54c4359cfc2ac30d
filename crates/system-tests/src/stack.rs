//! A marketplace that `cargo xtask up` started, with data and ports of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::{Client, environment};

use crate::Person;

/// A running marketplace. It is stopped when this is dropped; what tests leave, `cargo xtask test` ends.
pub struct Stack {
    root: PathBuf,
    ports: Value,
}

impl Stack {
    /// Starts one in a folder of this name, with these settings.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Stack {
        Stack::start_replicas(name, 1, settings)
    }

    /// Starts one with so many of each service.
    pub fn start_replicas(name: &str, replicas: u16, settings: &[(&str, &str)]) -> Stack {
        let root = workspace().join(".dev").join("system-tests").join(name);
        // Tests that were killed may have left one.
        drop(xtask("down", &root).output());
        let mut up = xtask("up", &root);
        up.args(["--detach", "--fresh", "--no-build", "--port", "0"])
            .args(["--replicas", &replicas.to_string()])
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

    /// A replica's own address, past the gateway: the second of web is `web-2`.
    pub fn url_of(&self, replica: &str) -> String {
        format!("http://localhost:{}", self.ports[replica]["http"])
    }

    /// The database of a service, as nobody but the service sees it.
    pub fn mongo_uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.ports["mongod"])
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

    /// Has Stripe fail in a way that the double's own README describes.
    pub async fn stripe_fails(&self, how: Value) {
        let stripe = Client::new(&format!("http://127.0.0.1:{}", self.ports["stripe"]));
        stripe.post("/_faults", how).await;
    }

    /// The environment that a service runs in, such as `web`: of its first replica.
    pub fn environment_of(&self, service: &str) -> Vec<(OsString, OsString)> {
        let run = self.root.join("run");
        let pid = |name: String| std::fs::read_to_string(run.join(name)).ok();
        let pid = pid(format!("{service}.pid")).or_else(|| pid(format!("{service}-1.pid")));
        let pid = pid.expect("a pid file");
        let environment = std::fs::read(format!("/proc/{}/environ", pid.trim()));
        let environment = environment.expect("it is running");
        let variables = environment.split(|byte| *byte == 0).filter_map(|variable| {
            let equals = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&variable[..equals], &variable[equals + 1..]);
            Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value).to_owned()))
        });
        variables.collect()
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
