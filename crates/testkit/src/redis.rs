//! A redis-server of the test's own, with its append-only file.

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

/// The timer queue's server, and what can go wrong with it.
pub struct Redis {
    folder: TempDir,
    port: u16,
    settings: &'static [&'static str],
    process: Mutex<Option<Process>>,
}

/// As in production.
const KEEPING: &[&str] = &["--appendonly", "yes", "--maxmemory-policy", "noeviction"];

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(KEEPING).await
    }

    /// One with other settings, as options of its command line.
    pub async fn start_with(settings: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Redis can't choose a port. Another test may take the one that was free: then it is tried again.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let port = free.expect("a free port").port();
            let mut process = spawn(folder.path(), port, settings);
            if is_ready(&mut process, port).await {
                return Redis { folder, port, settings, process: Mutex::new(Some(process)) };
            }
        }
        panic!("redis-server doesn't start: is {} one?", environment::REDIS_SERVER);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it as SIGKILL does; its append-only file stays.
    pub fn kill(&self) {
        drop(self.replace(None));
    }

    /// Starts it (after killing it, if it runs) on the same port and with what it had stored.
    pub async fn restart(&self) {
        self.kill();
        let mut process = spawn(self.folder.path(), self.port, self.settings);
        assert!(is_ready(&mut process, self.port).await, "redis-server doesn't start again");
        self.replace(Some(process));
    }

    /// Forgets everything: FLUSHALL.
    pub async fn flush(&self) {
        let answer = command(self.port, "FLUSHALL").await;
        assert_eq!(answer.as_deref(), Some("+OK"), "FLUSHALL");
    }

    /// Restarts it with an empty disk.
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
    // Its title would be written over the environment by which `cargo xtask test` knows what tests have left running.
    command.args(["--set-proc-title", "no"]);
    command.args(settings).arg("--dir").arg(folder);
    Process::start(&mut command)
}

/// Whether it serves; false if it ended before it did.
async fn is_ready(process: &mut Process, port: u16) -> bool {
    let process = Mutex::new(process);
    eventually("redis-server to serve", || async {
        if process.lock().unwrap_or_else(PoisonError::into_inner).has_ended() {
            return Some(false);
        }
        // It answers an error while it loads what it had stored.
        (command(port, "PING").await.as_deref() == Some("+PONG")).then_some(true)
    })
    .await
}

/// Sends an inline command and returns the line that is answered.
async fn command(port: u16, command: &str) -> Option<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    socket.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
    let mut answer = [0; 256];
    let length = socket.read(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned())
}
