//! What can break in a running marketplace: its processes, and Stripe.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use testkit::{Method, eventually};

use crate::Stack;

impl Stack {
    /// Kills a process (SIGKILL). Within a second it is started again.
    pub async fn kill(&self, process: &str) {
        let pid = self.signal(process, Signal::SIGKILL);
        eventually(&format!("{process} to be gone"), || async { kill(pid, None).err() }).await;
    }

    /// Tells a process to stop (SIGTERM). When it has, it is started again.
    pub fn terminate(&self, process: &str) {
        self.signal(process, Signal::SIGTERM);
    }

    /// Kills a process, and keeps it down until what is returned is dropped.
    pub async fn hold_down(&self, process: &str) -> HeldDown {
        let hold = self.root().join(format!("run/{process}.hold"));
        fs::write(&hold, "").expect("the folder of pid files");
        let held = HeldDown { hold, data: self.root().join("data").join(process) };
        self.kill(process).await;
        held
    }

    /// Stops a process (SIGSTOP), which is silent from then on until what is returned is dropped.
    pub fn freeze(&self, process: &str) -> Frozen {
        Frozen(self.signal(process, Signal::SIGSTOP))
    }

    /// Waits until a service is there and ready to answer requests.
    pub async fn is_ready(&self, service: &str) {
        eventually(&format!("{service} to be ready"), || async {
            let answer = self.admin_port(service).request(Method::GET, "/readyz").try_send().await;
            answer.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// Makes Stripe misbehave: a fault as its double takes it, at `POST` of this path.
    pub async fn stripe_fails(&self, path: &str, kind: &str, times: Option<u64>, delay_ms: u64) {
        let mut fault = json!({
            "match": { "method": "POST", "path": path }, "kind": kind, "delay_ms": delay_ms,
        });
        if let Some(times) = times {
            fault["times"] = json!(times);
        }
        self.stripe().post("/_faults", fault).await.expect(201);
    }

    pub async fn stripe_is_well(&self) {
        self.stripe().delete("/_faults").await.expect(200);
    }

    /// Sends a signal to a process. One that ends is started again.
    pub fn signal(&self, process: &str, signal: Signal) -> Pid {
        let file = self.root().join(format!("run/{process}.pid"));
        let pid = fs::read_to_string(&file).expect("a pid file");
        let pid = Pid::from_raw(pid.trim().parse().expect("a pid"));
        kill(pid, signal).expect("a running process");
        pid
    }
}

/// A process that is dead and stays so. It is started again when this is dropped.
pub struct HeldDown {
    hold: PathBuf,
    data: PathBuf,
}

impl HeldDown {
    /// Deletes what it had on the disk.
    pub fn wipe(&self) {
        fs::remove_dir_all(&self.data).expect("a server's data");
        fs::create_dir(&self.data).expect("a folder for a server's data");
    }
}

impl Drop for HeldDown {
    fn drop(&mut self) {
        // A test that has already failed must not fail again in here.
        drop(fs::remove_file(&self.hold));
    }
}

/// A process that is asleep. It goes on when this is dropped.
pub struct Frozen(Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        _ = kill(self.0, Signal::SIGCONT);
    }
}
