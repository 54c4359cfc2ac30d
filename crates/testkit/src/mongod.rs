//! A mongod for one test, with a configuration that the shared one doesn't have.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::environment;
use crate::process::Process;
use crate::wait::eventually;

/// A standalone server, which services must refuse.
pub struct StandaloneMongod {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl StandaloneMongod {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("a free port").port();
        let mut command = Command::new(environment::required(environment::MONGOD));
        command.args(["--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--nounixsocket"]);
        command.args(["--wiredTigerCacheSizeGB", "0.25", "--dbpath"]).arg(folder.path());
        let process = Process::start(&mut command);
        eventually("mongod to serve", || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        StandaloneMongod { port, _process: process, _folder: folder }
    }

    /// Its connection string with these options.
    pub fn uri(&self, options: &str) -> String {
        format!("mongodb://127.0.0.1:{}/test?{options}", self.port)
    }
}
