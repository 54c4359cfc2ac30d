//! A stack that `cargo xtask up` started, with its own data and ports.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use mongodb::Database;
use serde_json::Value;
use testkit::{Client, Program, ProgramOutput, environment, eventually};

use crate::{Ledger, PlainBrowser, Processes, workspace};

/// A running stack. It is stopped when this is dropped; `cargo xtask test` ends what tests leave running.
pub struct Stack {
    root: PathBuf,
    ports: Value,
}

impl Stack {
    /// Starts one in a directory of this name, with these settings.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Stack {
        Stack::start_replicas(name, 1, settings)
    }

    /// Starts one with so many replicas of each service.
    pub fn start_replicas(name: &str, replicas: u16, settings: &[(&str, &str)]) -> Stack {
        let root = workspace::root().join(".dev/system-tests").join(name);
        Self::start_in(&root, replicas, settings).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`Stack::start_replicas`], in any directory.
    pub fn start_in(root: &Path, replicas: u16, settings: &[(&str, &str)]) -> Result<Stack> {
        let binaries = environment::required(environment::BIN_DIR);
        Self::start_programs(Path::new(&binaries), root, replicas, settings)
    }

    /// As [`Stack::start_in`], with the programs in another directory, such as those of an earlier version.
    pub fn start_programs(
        binaries: &Path,
        root: &Path,
        replicas: u16,
        settings: &[(&str, &str)],
    ) -> Result<Stack> {
        // A killed test may have left one running.
        drop(xtask("down", root).output());
        let mut up = xtask("up", root);
        up.args(["--detach", "--fresh", "--no-build", "--port", "0"])
            .args(["--replicas", &replicas.to_string()])
            .envs(settings.iter().copied());
        up.arg("--bin-dir").arg(binaries);
        let output = up.output().context("running xtask")?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "up: {stdout}{stderr}");
        let ports = fs::read(root.join("run/ports.json")).context("ports.json")?;
        let ports = serde_json::from_slice(&ports).context("ports.json")?;
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

    /// A client of a service's admin port: `/readyz`, `/metrics`.
    pub fn admin_port(&self, service: &str) -> Client {
        Client::new(&format!("http://{}", self.admin_address(service)))
    }

    /// The address of that port.
    pub fn admin_address(&self, service: &str) -> String {
        format!("127.0.0.1:{}", port(&self.ports[service]["admin"]))
    }

    /// A service's database, for tests that read or write it directly.
    pub async fn database(&self, service: &str) -> Database {
        let uri = self.mongo_uri_of(service);
        store::mongo::connect(&uri, "test").await.expect("mongod's address")
    }

    fn mongo_uri_of(&self, service: &str) -> String {
        let port = self.port("mongod");
        format!("mongodb://127.0.0.1:{port}/{service}?replicaSet=rs0&directConnection=true")
    }

    /// The public URL.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.ports["gateway"])
    }

    /// The address of a replica, bypassing the gateway: the second one of web is `web-2`.
    pub fn url_of(&self, replica: &str) -> String {
        format!("http://localhost:{}", self.ports[replica]["http"])
    }

    /// The connection string of MongoDB, without a database.
    pub fn mongo_uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.ports["mongod"])
    }

    /// The URL of the bus with the credentials of a user: a service, or `operator`, which has all permissions.
    pub fn nats_url(&self, user: &str) -> String {
        format!("nats://{user}:{}@127.0.0.1:{}", self.nats_password(user), self.port("nats"))
    }

    /// The connection options of a user of the bus.
    pub fn nats_options(&self, user: &str) -> async_nats::ConnectOptions {
        let (name, password) = (user.to_owned(), self.nats_password(user));
        async_nats::ConnectOptions::with_user_and_password(name, password)
            .custom_inbox_prefix(format!("_INBOX_{user}"))
    }

    /// A connection to the bus with all permissions.
    pub async fn nats(&self) -> Result<async_nats::Client> {
        let address = format!("nats://127.0.0.1:{}", self.port("nats"));
        self.nats_options(bus::OPERATOR).connect(address).await.context("NATS")
    }

    fn nats_password(&self, user: &str) -> String {
        let file = self.root.join("keys/nats").join(user);
        fs::read_to_string(file).expect("the user's password")
    }

    /// A client without a session.
    pub fn visitor(&self) -> Client {
        Client::with_cookie_jar(&self.url())
    }

    /// A browser without JavaScript and without a session.
    pub fn browser(&self) -> PlainBrowser {
        PlainBrowser::new(&self.url())
    }

    /// Another web in front of the same services, with other settings: such as an unreachable service, or https.
    pub async fn other_web(&self, settings: &[(&str, &str)]) -> OtherWeb {
        let (http, admin) = (free_port(), free_port());
        let url_of = |name: &str| format!("http://127.0.0.1:{}", self.ports[name]["http"]);
        let mut web = Command::new(format!("{}/web", environment::required(environment::BIN_DIR)));
        web.env("HOST", "127.0.0.1").env("PORT", http.to_string());
        web.env("ADMIN_PORT", admin.to_string()).env("PUBLIC_URL", self.url());
        web.env("NATS_URL", self.nats_url("web"));
        web.env("JWT_PUBLIC_KEYS", self.root.join("keys/public.pem"));
        for service in workspace::services().iter().filter(|service| *service != "web") {
            web.env(format!("{}_URL", service.to_uppercase()), url_of(service));
        }
        web.envs(settings.iter().copied()).stdout(Stdio::null());
        let web = OtherWeb {
            process: web.spawn().expect("web starts"),
            url: format!("http://localhost:{http}"),
        };
        let ready = async || std::net::TcpStream::connect(("127.0.0.1", http)).ok();
        eventually("the other web to accept connections", ready).await;
        web
    }

    /// What was really charged and refunded.
    pub async fn stripe_ledger(&self) -> Ledger {
        Ledger(self.stripe().get("/_ledger").await.expect(200))
    }

    /// Stripe's double, with its endpoints for tests.
    pub fn stripe(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port("stripe")))
    }

    /// The environment of a service's first replica.
    pub fn environment_of(&self, service: &str) -> Vec<(OsString, OsString)> {
        let processes = self.processes();
        let process = processes.get(service).or_else(|| processes.get(&format!("{service}-1")));
        process.expect("a running service").environment()
    }

    /// Runs an operator's command of a service.
    pub async fn operate(&self, service: &str, args: &[&str]) -> ProgramOutput {
        let local = |scheme: &str, name: &str| format!("{scheme}://127.0.0.1:{}", self.ports[name]);
        let program = Program::of(service)
            .with("MONGO_URI", self.mongo_uri_of(service))
            .with("NATS_URL", self.nats_url(service))
            .with("REDIS_URL", local("redis", "redis"))
            .with("STRIPE_URL", local("http", "stripe"))
            .with("STRIPE_KEY", "sk_test_local");
        program.run(args).await
    }

    /// The processes of this stack.
    pub fn processes(&self) -> Processes {
        Processes::of(&self.root)
    }

    /// The data directory of a server.
    pub fn data(&self, server: &str) -> PathBuf {
        self.root.join("data").join(server)
    }

    /// A process's log, such as `orders`.
    pub fn log(&self, process: &str) -> String {
        fs::read_to_string(self.root.join("log").join(format!("{process}.log"))).unwrap_or_default()
    }
}

/// A web that belongs to one test.
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
        // It may have exited already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that has already failed must not panic again here.
        drop(xtask("down", &self.root).output());
    }
}

fn port(listed: &Value) -> u16 {
    let port = listed.as_u64().and_then(|port| u16::try_from(port).ok());
    port.expect("a port in ports.json")
}

fn xtask(command: &str, root: &Path) -> Command {
    let mut xtask = Command::new(environment::required(environment::XTASK));
    xtask.arg(command).arg("--root").arg(root);
    xtask
}
