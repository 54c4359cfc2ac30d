//! The services' binaries, run as a supervisor or an operator runs them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::environment;
use crate::infra::Infra;

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

    fn command(&self, args: &[&str]) -> Command {
        let folder = environment::required(environment::BIN_DIR);
        let mut command = Command::new(Path::new(&folder).join(&self.service));
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(environment).args(args).kill_on_drop(true);
        command
    }
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
