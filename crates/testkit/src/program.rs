//! The services' binaries, run as a supervisor or an operator runs them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::environment;
use crate::infra::Infra;
use crate::wait::eventually;

/// A service's binary and its environment.
#[derive(Clone, Debug)]
pub struct Program {
    service: String,
    environment: Vec<(String, String)>,
}

/// The output of a program that has exited.
#[derive(Clone, Debug)]
pub struct ProgramOutput {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// A service in a process of its own. It is killed when this is dropped.
pub struct RunningProgram {
    pub client: Client,
    /// That of `/healthz`, `/readyz` and `/metrics`.
    pub admin_port: Client,
    child: Child,
}

impl Infra {
    /// A service's binary with the settings of its servers.
    pub fn program(&self, service: &str) -> Program {
        Program::of(service)
            .with("MONGO_URI", self.mongo_uri(service))
            .with("NATS_URL", self.nats.url())
            .with("NATS_MONITOR_URL", self.nats.monitor_url())
    }
}

impl Program {
    /// A service's binary with an empty environment.
    pub fn of(service: &str) -> Program {
        Program { service: service.to_owned(), environment: Vec::new() }
    }

    /// The same with this variable.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same without this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// The same with the settings that it needs to serve, on these ports.
    pub fn serving(self, infra: &Infra, port: u16, admin_port: u16) -> Self {
        self.with("HOST", "127.0.0.1")
            .with("PORT", port)
            .with("ADMIN_PORT", admin_port)
            .with("PUBLIC_URL", &infra.public_url)
            .with("JWT_PUBLIC_KEYS", infra.public_key_file().display())
            // Of no meaning to those that neither sign nor verify codes.
            .with("ADMISSION_KEYS", infra.admission_key_file().display())
            .with("LINK_KEYS", infra.link_key_file().display())
            .with("JWT_PRIVATE_KEY", infra.private_key_file().display())
    }

    /// Runs it until it exits, for at most three minutes.
    pub async fn run(&self, args: &[&str]) -> ProgramOutput {
        let running = self.command(args).output();
        let output = tokio::time::timeout(Duration::from_secs(180), running).await;
        let output = output.unwrap_or_else(|_| panic!("{} {args:?} doesn't exit", self.service));
        let output = output.unwrap_or_else(|error| panic!("{} can't run: {error}", self.service));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        ProgramOutput { success: output.status.success(), stdout, stderr }
    }

    /// Starts it; it is killed when the child is dropped.
    pub fn start(&self) -> Child {
        let mut command = self.command(&[]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap_or_else(|error| panic!("{} can't run: {error}", self.service))
    }

    /// Starts it, and waits until it is ready.
    pub async fn serve(self, infra: &Infra) -> RunningProgram {
        let (port, admin_port) = (free_port().await, free_port().await);
        let child = self.serving(infra, port, admin_port).start();
        let client = |port| Client::new(&format!("http://127.0.0.1:{port}"));
        let (client, admin_port) = (client(port), client(admin_port));
        eventually("the program to be ready", || async {
            let ready = admin_port.request(Method::GET, "/readyz").try_send().await;
            ready.is_ok_and(|ready| ready.status == StatusCode::OK).then_some(())
        })
        .await;
        RunningProgram { client, admin_port, child }
    }

    fn command(&self, args: &[&str]) -> Command {
        let folder = environment::required(environment::BIN_DIR);
        let mut command = Command::new(Path::new(&folder).join(&self.service));
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(environment).args(args).kill_on_drop(true);
        command
    }
}

impl RunningProgram {
    /// The sum of a counter's series; 0 without any.
    pub async fn count(&self, name: &str) -> u64 {
        let metrics = self.admin_port.get("/metrics").await.text;
        let series = metrics.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<u64>().ok())?
        });
        series.sum()
    }

    /// See [`peak_memory`].
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id().expect("the program still runs"))
    }
}

/// The most resident memory that a process has had so far, in bytes.
pub fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("process {process}: {error}"));
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("process {process} has no VmHWM: {status}")) * 1024
}

async fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").await.and_then(|socket| socket.local_addr());
    socket.expect("a free port").port()
}

impl ProgramOutput {
    /// Its standard output, after asserting success.
    #[track_caller]
    pub fn expect_success(&self) -> &str {
        assert!(self.success, "{}{}", self.stdout, self.stderr);
        &self.stdout
    }

    /// Its standard error, after asserting failure.
    #[track_caller]
    pub fn expect_failure(&self) -> &str {
        assert!(!self.success, "{}{}", self.stdout, self.stderr);
        &self.stderr
    }
}
