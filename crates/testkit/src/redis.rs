//! A redis-server for one test, with its append-only file.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::environment;
use crate::process::Process;
use crate::wait::eventually;

/// The timer queue's server, with the failures that tests inject.
pub struct Redis {
    folder: TempDir,
    port: u16,
    settings: &'static [&'static str],
    process: Mutex<Option<Process>>,
}

/// Configured as in production.
const DURABLE: &[&str] = &["--appendonly", "yes", "--maxmemory-policy", "noeviction"];

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(DURABLE).await
    }

    /// With other settings, as command-line options.
    pub async fn start_with(settings: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Redis can't choose a free port itself. If another process takes the chosen one, another is tried.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let port = free.expect("a free port").port();
            let mut process = spawn(folder.path(), port, settings);
            if is_ready(&mut process, port).await {
                return Redis { folder, port, settings, process: Mutex::new(Some(process)) };
            }
        }
        panic!("redis-server doesn't start: check {}", environment::REDIS_SERVER);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it with SIGKILL; its append-only file stays.
    pub fn kill(&self) {
        drop(self.replace(None));
    }

    /// Restarts it on the same port and with its data.
    pub async fn restart(&self) {
        self.kill();
        let mut process = spawn(self.folder.path(), self.port, self.settings);
        assert!(is_ready(&mut process, self.port).await, "redis-server doesn't restart");
        self.replace(Some(process));
    }

    /// Deletes all data: FLUSHALL.
    pub async fn flush(&self) {
        self.order("FLUSHALL").await;
    }

    /// From now on it accepts connections and commands, and answers none.
    pub async fn pause(&self) {
        self.order("CLIENT PAUSE 600000 ALL").await;
    }

    /// From now on it refuses writes, as if its memory were full.
    pub async fn refuse_writes(&self) {
        self.order("CONFIG SET maxmemory 1").await;
    }

    async fn order(&self, text: &str) {
        assert_eq!(command(self.port, text).await.as_deref(), Some("+OK"), "{text}");
    }

    /// Restarts it without its data: a lost disk.
    pub async fn wipe(&self) {
        self.kill();
        for file in std::fs::read_dir(self.folder.path()).expect("Redis' folder").flatten() {
            drop(std::fs::remove_dir_all(file.path()));
            drop(std::fs::remove_file(file.path()));
        }
        self.restart().await;
    }

    fn replace(&self, process: Option<Process>) -> Option<Process> {
        let mut running = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut running, process)
    }
}

fn spawn(folder: &Path, port: u16, settings: &[&str]) -> Process {
    let mut command = Command::new(environment::required(environment::REDIS_SERVER));
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    // A process title would overwrite the environment, in which `cargo xtask test` looks for its mark.
    command.args(["--set-proc-title", "no"]);
    command.args(settings).arg("--dir").arg(folder);
    Process::start(&mut command)
}

/// Whether it accepts connections; false if it exited first.
async fn is_ready(process: &mut Process, port: u16) -> bool {
    let process = Mutex::new(process);
    eventually("redis-server to accept connections", || async {
        if process.lock().unwrap_or_else(PoisonError::into_inner).has_exited() {
            return Some(false);
        }
        // It returns an error while it loads its data.
        (command(port, "PING").await.as_deref() == Some("+PONG")).then_some(true)
    })
    .await
}

/// Sends an inline command and returns the reply.
async fn command(port: u16, command: &str) -> Option<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    socket.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
    let mut reply = [0; 256];
    let length = socket.read(&mut reply).await.ok()?;
    Some(String::from_utf8_lossy(&reply[..length]).trim_end().to_owned())
}
