//! A marketplace that `cargo xtask up` started, with data and ports of its own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use mongodb::Database;
use serde_json::Value;
use testkit::{Client, Program, ProgramOutput, environment, eventually};

use crate::{Ledger, Person, PlainBrowser};

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
        let root = workspace().join(".dev/system-tests").join(name);
        Self::start_in(&root, replicas, settings).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`Stack::start_replicas`], in any folder.
    pub fn start_in(root: &Path, replicas: u16, settings: &[(&str, &str)]) -> Result<Stack> {
        // Whoever was killed may have left one.
        drop(xtask("down", root).output());
        let mut up = xtask("up", root);
        up.args(["--detach", "--fresh", "--no-build", "--port", "0"])
            .args(["--replicas", &replicas.to_string()])
            .envs(settings.iter().copied());
        up.arg("--bin-dir").arg(environment::required(environment::BIN_DIR));
        let output = up.output().context("running xtask")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "up: {said}{complaint}");
        let ports = fs::read(root.join("run/ports.json")).context("the list of ports")?;
        let ports = serde_json::from_slice(&ports).context("the list of ports")?;
        Ok(Stack { root: root.to_owned(), ports })
    }

    /// Where its data, logs and pid files are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The port of a server, such as `mongod`.
    pub fn port(&self, server: &str) -> u16 {
        port(&self.ports[server])
    }

    /// A service's second port: `/readyz`, `/metrics`.
    pub fn admin_port(&self, service: &str) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", port(&self.ports[service]["admin"])))
    }

    /// A service's database, for tests that look behind the door.
    pub async fn database(&self, service: &str) -> Database {
        let uri = self.mongo_uri_of(service);
        store::mongo::connect(&uri, "test").await.expect("mongod's address")
    }

    fn mongo_uri_of(&self, service: &str) -> String {
        let port = self.port("mongod");
        format!("mongodb://127.0.0.1:{port}/{service}?replicaSet=rs0&directConnection=true")
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

    /// Where a user of the bus connects: a service, or `operator`, who may do everything.
    pub fn nats_url(&self, user: &str) -> String {
        format!("nats://{user}:{}@127.0.0.1:{}", self.nats_password(user), self.port("nats"))
    }

    /// How a user of the bus connects, for tests that do it themselves.
    pub fn nats_options(&self, user: &str) -> async_nats::ConnectOptions {
        let (name, password) = (user.to_owned(), self.nats_password(user));
        async_nats::ConnectOptions::with_user_and_password(name, password)
            .custom_inbox_prefix(format!("_INBOX_{user}"))
    }

    /// A connection to the bus, of the user who may do everything.
    pub async fn nats(&self) -> Result<async_nats::Client> {
        let address = format!("nats://127.0.0.1:{}", self.port("nats"));
        self.nats_options(bus::OPERATOR).connect(address).await.context("NATS")
    }

    fn nats_password(&self, user: &str) -> String {
        let file = self.root.join("keys/nats").join(user);
        fs::read_to_string(file).expect("the user's password")
    }

    /// Someone who isn't signed in.
    pub fn visitor(&self) -> Client {
        Client::with_cookie_jar(&self.url())
    }

    /// Someone at a browser, who isn't signed in.
    pub fn browser(&self) -> PlainBrowser {
        PlainBrowser::new(&self.url())
    }

    /// One more web in front of the same services, with settings of its own: such as a service that isn't
    /// there, or https.
    pub async fn other_web(&self, settings: &[(&str, &str)]) -> OtherWeb {
        let (http, admin) = (free_port(), free_port());
        let service = |name: &str| format!("http://127.0.0.1:{}", self.ports[name]["http"]);
        let mut web = Command::new(format!("{}/web", environment::required(environment::BIN_DIR)));
        web.env("HOST", "127.0.0.1").env("PORT", http.to_string());
        web.env("ADMIN_PORT", admin.to_string()).env("PUBLIC_URL", self.url());
        web.env("NATS_URL", self.nats_url("web"));
        web.env("JWT_PUBLIC_KEYS", self.root.join("keys/public.pem"));
        for (setting, name) in [
            ("AUTH_URL", "auth"),
            ("TICKETS_URL", "tickets"),
            ("ORDERS_URL", "orders"),
            ("PAYMENTS_URL", "payments"),
        ] {
            web.env(setting, service(name));
        }
        web.envs(settings.iter().copied()).stdout(Stdio::null());
        let web = OtherWeb {
            process: web.spawn().expect("web starts"),
            url: format!("http://localhost:{http}"),
        };
        let ready = async || std::net::TcpStream::connect(("127.0.0.1", http)).ok();
        eventually("the other web to serve", ready).await;
        web
    }

    /// Someone who has just signed up.
    pub async fn person(&self, name: &str) -> Person {
        Person::sign_up(self, name).await
    }

    /// Stripe's own account of what was charged and given back.
    pub async fn stripe_ledger(&self) -> Ledger {
        Ledger(self.stripe().get("/_ledger").await.expect(200))
    }

    /// Stripe's double, whose doors for tests are named in its README.
    pub fn stripe(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port("stripe")))
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

    /// Runs an operator's command of a service, as it is typed.
    pub async fn operate(&self, service: &'static str, args: &[&str]) -> ProgramOutput {
        let local = |scheme: &str, name: &str| format!("{scheme}://127.0.0.1:{}", self.ports[name]);
        let program = Program::of(service)
            .with("MONGO_URI", self.mongo_uri_of(service))
            .with("NATS_URL", self.nats_url(service))
            .with("REDIS_URL", local("redis", "redis"))
            .with("STRIPE_URL", local("http", "stripe"))
            .with("STRIPE_KEY", "sk_test_local");
        program.run(args).await
    }

    /// The folder of a server's data.
    pub fn data(&self, server: &str) -> PathBuf {
        self.root.join("data").join(server)
    }

    /// A process's log, such as `orders`.
    pub fn log(&self, process: &str) -> String {
        fs::read_to_string(self.root.join("log").join(format!("{process}.log"))).unwrap_or_default()
    }
}

/// A web of a test's own. It ends with the test.
pub struct OtherWeb {
    process: Child,
    pub url: String,
}

impl OtherWeb {
    pub fn browser(&self) -> PlainBrowser {
        PlainBrowser::new(&self.url)
    }
}

impl Drop for OtherWeb {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// One that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that has already failed must not fail again in here.
        drop(xtask("down", &self.root).output());
    }
}

fn port(listed: &Value) -> u16 {
    let port = listed.as_u64().and_then(|port| u16::try_from(port).ok());
    port.expect("a port that is listed")
}

fn xtask(command: &str, root: &Path) -> Command {
    let mut xtask = Command::new(environment::required(environment::XTASK));
    xtask.arg(command).arg("--root").arg(root);
    xtask
}

fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
