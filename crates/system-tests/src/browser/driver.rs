//! chromedriver: one process per browser, with its own profile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use testkit::environment;

/// Precedes the port in its output.
const READY: &str = "started successfully on port ";
/// How long the browser may take to shut down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Terminated with its browser on drop.
pub(super) struct Driver {
    process: Child,
    port: u16,
    /// Where it puts the browser's profile, which starts empty.
    _folder: TempDir,
    /// Not read any more, but kept open: writing to a closed pipe would terminate the process.
    _output: BufReader<ChildStdout>,
}

impl Driver {
    pub(super) fn start() -> Driver {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new(environment::required(environment::CHROMEDRIVER))
            .arg(format!("--port={}", free_port()))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let port = port_in(&mut output);
        Driver { process, port, _folder: folder, _output: output }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Shuts down chromedriver, its browser and the browser's processes.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        socket.set_read_timeout(Some(SHUTDOWN_TIMEOUT))?;
        socket
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        socket.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A failed test must not panic again in drop. What doesn't shut down is killed.
        _ = self.shut_down();
        let group = Pid::from_raw(i32::try_from(self.process.id()).expect("a process id"));
        _ = killpg(group, Signal::SIGKILL);
        _ = self.process.wait();
    }
}

/// A port that is free for IPv4 and for IPv6. With `--port=0` chromedriver takes one that is free for IPv6, and exits if
/// another process uses it for IPv4.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let in_use = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
        if !TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_err_and(in_use) {
            return port;
        }
    }
}

fn port_in(output: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some((_, port)) = line.split_once(READY) {
            return port.trim_end().trim_end_matches('.').parse().expect("chromedriver's port");
        }
    }
    panic!("chromedriver doesn't start: {line}");
}
