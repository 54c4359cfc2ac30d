//! Faults that tests inject into a running stack: into its processes, and into Stripe.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{Method, eventually};

use crate::Stack;
use crate::processes::Process;

impl Stack {
    /// Kills a process (SIGKILL). It is restarted within a second.
    pub async fn kill(&self, name: &str) {
        let process = self.signal(name, Signal::SIGKILL);
        eventually(&format!("{name} to exit"), || async { (!process.is_running()).then_some(()) })
            .await;
    }

    /// Sends SIGTERM to a process. It is restarted after its graceful shutdown.
    pub fn terminate(&self, name: &str) {
        self.signal(name, Signal::SIGTERM);
    }

    /// Kills a process, and prevents its restart until the return value is dropped.
    pub async fn keep_down(&self, name: &str) -> KeptDown {
        let hold = self.root().join(format!("run/{name}.hold"));
        fs::write(&hold, "").expect("the directory of pid files");
        let down = KeptDown { hold, data: self.data(name) };
        self.kill(name).await;
        down
    }

    /// Suspends a process (SIGSTOP) until the return value is dropped.
    pub async fn freeze(&self, name: &str) -> Frozen {
        let frozen = Frozen(self.signal(name, Signal::SIGSTOP));
        eventually(&format!("{name} to be suspended"), || async {
            frozen.0.is_suspended().then_some(())
        })
        .await;
        frozen
    }

    /// Waits until a service is ready.
    pub async fn is_ready(&self, service: &str) {
        eventually(&format!("{service} to be ready"), || async {
            let response =
                self.admin_port(service).request(Method::GET, "/readyz").try_send().await;
            response.ok().filter(|response| response.status == 200)
        })
        .await;
    }

    /// Injects a fault of Stripe's double into `POST` requests of this path.
    pub async fn inject_stripe_fault(
        &self,
        path: &str,
        kind: &str,
        times: Option<u64>,
        delay_ms: u64,
    ) {
        let mut fault = json!({
            "match": { "method": "POST", "path": path }, "kind": kind, "delay_ms": delay_ms,
        });
        if let Some(times) = times {
            fault["times"] = json!(times);
        }
        self.stripe().post("/_faults", fault).await.expect(201);
    }

    /// Stripe's webhooks are lost until the faults are cleared: what happens there is known only from its responses.
    pub async fn lose_webhooks(&self) {
        let fault = json!({ "match": { "event": "*" }, "kind": "webhook_lost", "times": 10_000 });
        self.stripe().post("/_faults", fault).await.expect(201);
    }

    pub async fn clear_stripe_faults(&self) {
        self.stripe().delete("/_faults").await.expect(200);
    }

    /// Sends a signal to a process. It is restarted if it exits.
    pub fn signal(&self, name: &str, signal: Signal) -> Process {
        let process = self.processes().get(name);
        let process = process.unwrap_or_else(|| panic!("{name} is not running"));
        assert!(process.send(signal), "{name} has exited");
        process
    }
}

/// A process that was killed and isn't restarted until this is dropped.
pub struct KeptDown {
    hold: PathBuf,
    data: PathBuf,
}

impl KeptDown {
    /// Deletes its data.
    pub fn wipe(&self) {
        fs::remove_dir_all(&self.data).expect("a server's data");
        fs::create_dir(&self.data).expect("a directory for a server's data");
    }
}

impl Drop for KeptDown {
    fn drop(&mut self) {
        // A test that has already failed must not panic again here.
        drop(fs::remove_file(&self.hold));
    }
}

/// A suspended process. It is resumed when this is dropped.
pub struct Frozen(Process);

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        self.0.send(Signal::SIGCONT);
    }
}
