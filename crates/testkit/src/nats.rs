//! A nats-server for one test, with JetStream as in production: what it acknowledges is durable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::environment;
use crate::process::Process;
use crate::wait::eventually;

/// The broker, with the failures that tests inject.
pub struct Nats {
    folder: TempDir,
    ports: Ports,
    jetstream: &'static str,
    process: Mutex<Option<Process>>,
}

/// The client and monitoring ports; before the first start -1, any free one.
#[derive(Clone, Copy)]
struct Ports {
    clients: i32,
    monitor: i32,
}

/// JetStream configured as in production.
const DURABLE: &str = "sync_interval: always";

impl Nats {
    pub(crate) async fn start() -> Self {
        Self::start_with(DURABLE).await
    }

    /// With other JetStream settings, as in its configuration file.
    pub async fn start_with(jetstream: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = spawn(folder.path(), Ports { clients: -1, monitor: -1 }, jetstream);
        let ports = ready(folder.path()).await;
        Nats { folder, ports, jetstream, process: Mutex::new(Some(process)) }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.ports.clients)
    }

    /// The monitoring endpoint, which reports its configuration.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitor)
    }

    /// Kills it with SIGKILL; its streams stay on disk.
    pub fn kill(&self) {
        drop(self.replace(None));
    }

    /// Restarts it on the same port and with the same streams.
    pub async fn restart(&self) {
        self.kill();
        drop(std::fs::remove_dir_all(ports(self.folder.path())));
        self.replace(Some(spawn(self.folder.path(), self.ports, self.jetstream)));
        ready(self.folder.path()).await;
    }

    /// Restarts it without its streams and consumers: a lost disk.
    pub async fn wipe(&self) {
        self.kill();
        std::fs::remove_dir_all(store(self.folder.path())).expect("the streams can be removed");
        self.restart().await;
    }

    fn replace(&self, process: Option<Process>) -> Option<Process> {
        let mut running = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut running, process)
    }
}

fn spawn(folder: &Path, Ports { clients, monitor }: Ports, jetstream: &str) -> Process {
    std::fs::create_dir_all(ports(folder)).expect("a folder for the ports");
    let settings = folder.join("nats.conf");
    let store = store(folder);
    let text = format!(
        "host: 127.0.0.1\nport: {clients}\nhttp: 127.0.0.1:{monitor}\n\
         jetstream {{\n  store_dir: \"{}\"\n  max_file_store: 8GB\n  {jetstream}\n}}\n",
        store.display()
    );
    std::fs::write(&settings, text).expect("a temporary file");
    let mut command = Command::new(environment::required(environment::NATS_SERVER));
    command.arg("-c").arg(&settings).arg("--ports_file_dir").arg(ports(folder));
    Process::start(&mut command)
}

/// Waits until it accepts connections, and returns the ports from its ports file.
async fn ready(folder: &Path) -> Ports {
    let ports = ports(folder);
    eventually("nats-server to accept connections", || async {
        let file = std::fs::read_dir(&ports).ok()?.next()?.ok()?;
        let written: Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
        let port = |what: &str| {
            let (_, port) = written[what][0].as_str()?.rsplit_once(':')?;
            port.parse::<u16>().ok()
        };
        let clients = port("nats")?;
        tokio::net::TcpStream::connect(("127.0.0.1", clients)).await.ok()?;
        Some(Ports { clients: clients.into(), monitor: port("monitoring")?.into() })
    })
    .await
}

fn ports(folder: &Path) -> PathBuf {
    folder.join("ports")
}

fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}
