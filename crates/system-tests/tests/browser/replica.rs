//! An additional web process, which a test may kill.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use system_tests::Stack;
use testkit::{environment, eventually};
use tokio::net::TcpStream;

/// Killed on drop.
pub struct Replica {
    pub url: String,
    port: u16,
    command: Command,
    process: Child,
}

impl Replica {
    /// A replica that can't reach the service of this setting.
    pub async fn without(stack: &Stack, setting: &'static str) -> Replica {
        let unreachable = format!("http://127.0.0.1:{}", free_port());
        Replica::of_web(stack, &[(setting, unreachable)]).await
    }

    /// A replica with the marketplace's settings, except these.
    pub async fn of_web(stack: &Stack, settings: &[(&str, String)]) -> Replica {
        let port = free_port();
        let mut command =
            Command::new(format!("{}/web", environment::required(environment::BIN_DIR)));
        command.env_clear().envs(stack.environment_of("web"));
        command.env("PORT", port.to_string()).env("ADMIN_PORT", free_port().to_string());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let replica = Replica { url: format!("http://localhost:{port}"), port, command, process };
        replica.wait_until_ready().await;
        replica
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn restart(&mut self) {
        self.process = self.command.spawn().unwrap();
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&self) {
        let connects = || async { TcpStream::connect(("127.0.0.1", self.port)).await.ok() };
        eventually("web to serve", connects).await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// A free port below the ephemeral range; a different one each time.
fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let from = 14_000 + u16::try_from(std::process::id() % 2_000).unwrap();
    loop {
        let port = from + TRIED.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
