//! Which port each process listens on: free ones on loopback, picked once per root and kept in `run/ports.json`.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher as _, RandomState},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::probe::Probe;

/// Below the kernel's range for outgoing connections, any of which could take the port of a service while it restarts.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// The ports of one root. A picked port stays bound until [`Ports::release`], so that no other process takes it.
pub struct Ports {
    file: PathBuf,
    before: Value,
    listed: BTreeMap<String, Value>,
    held: Vec<TcpListener>,
}

impl Ports {
    pub fn of(run: &Path) -> Self {
        let file = run.join("ports.json");
        let before = fs::read(&file)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default();
        Self { file, before, listed: BTreeMap::new(), held: Vec::new() }
    }

    /// The gateway's: the requested one, or, for 0, any that is free.
    pub fn gateway(&mut self, wanted: u16) -> Result<u16> {
        let port = match wanted {
            0 => self.pick(&["gateway"])?,
            wanted => match bind(wanted) {
                Ok(listener) => {
                    self.held.push(listener);
                    wanted
                }
                Err(error) => bail!(taken(wanted, &error)),
            },
        };
        self.listed.insert("gateway".to_owned(), json!(port));
        Ok(port)
    }

    /// A server's one port.
    pub fn server(&mut self, name: &str) -> Result<u16> {
        let port = self.pick(&[name])?;
        self.listed.insert(name.to_owned(), json!(port));
        Ok(port)
    }

    /// A service's two: for requests, and the admin port.
    pub fn service(&mut self, name: &str) -> Result<(u16, u16)> {
        let (http, admin) = (self.pick(&[name, "http"])?, self.pick(&[name, "admin"])?);
        self.listed.insert(name.to_owned(), json!({ "http": http, "admin": admin }));
        Ok((http, admin))
    }

    /// The same as before, if it is still free.
    fn pick(&mut self, name: &[&str]) -> Result<u16> {
        let before = name.iter().try_fold(&self.before, |value, key| value.get(key));
        let before = before.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        // From a random place in the range, so that two processes that pick at once rarely collide.
        let size = RANGE.end - RANGE.start;
        let start =
            u16::try_from(RandomState::new().hash_one(name) % u64::from(size)).unwrap_or_default();
        let candidates = (0..size).map(|step| RANGE.start + (start + step) % size);
        for port in before.into_iter().filter(|port| *port != 0).chain(candidates) {
            if let Ok(listener) = bind(port) {
                self.held.push(listener);
                return Ok(port);
            }
        }
        bail!("no port from {} to {} is free on 127.0.0.1", RANGE.start, RANGE.end)
    }

    /// Unbinds ports, for the process that is about to listen there.
    pub fn release(&mut self, ports: &[u16]) {
        self.held.retain(|listener| {
            listener.local_addr().is_ok_and(|address| !ports.contains(&address.port()))
        });
    }

    pub fn save(&self) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.listed)?;
        fs::write(&self.file, json + "\n")
            .with_context(|| format!("writing {}", self.file.display()))
    }
}

/// The gateway's port, from the file of a root that is or was running.
pub fn gateway_of(run: &Path) -> Option<u16> {
    u16::try_from(Ports::of(run).before.get("gateway")?.as_u64()?).ok()
}

/// Where a process listens and how to probe it, from the same file.
pub fn of_process(run: &Path, name: &str) -> Option<(u16, Probe)> {
    let ports = Ports::of(run).before;
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok();
    let process = ports.get(name)?;
    match (process.get("http"), process.get("admin")) {
        (Some(http), Some(admin)) => Some((port(http)?, Probe::Http(port(admin)?, "/readyz"))),
        _ => port(process).map(|port| (port, Probe::Accepts(port))),
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn taken(port: u16, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!("port {port} is reserved for root: choose one from 1024 up with `--port`");
    }
    let by = listener(port).map(|process| format!(" by {process}")).unwrap_or_default();
    format!(
        "port {port} is in use{by}: stop it, or choose another with `--port` (`--port 0` takes any free one)"
    )
}

/// The process that listens on a port, as `NAME (pid N)`, as far as our permissions show it.
fn listener(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let has_socket = |process: &Path| {
        let Ok(mut files) = fs::read_dir(process.join("fd")) else { return false };
        files.any(|file| {
            file.is_ok_and(|file| fs::read_link(file.path()).is_ok_and(|link| link == socket))
        })
    };
    // Only the folders of processes, without aliases such as `/proc/self`.
    let is_process = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit())
    };
    let mut processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let process = processes.find(|path| is_process(path) && has_socket(path))?;
    let name = fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("{} (pid {})", name.trim(), process.file_name()?.to_str()?))
}

/// Column 2 is the local address in hex, 4 the state (`0A` is listening), 10 the inode.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
        let listens = *columns.get(3)? == "0A" && u16::from_str_radix(local_port, 16) == Ok(port);
        if listens { columns.get(9).map(|&inode| inode.to_owned()) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_distinct_and_reused_the_next_time() {
        let run = tempfile::tempdir().unwrap();
        let mut first = Ports::of(run.path());
        let gateway = first.gateway(0).unwrap();
        let (http, admin) = first.service("orders").unwrap();
        assert!(gateway != http && http != admin && admin != gateway);
        first.save().unwrap();
        drop(first);

        let mut second = Ports::of(run.path());
        assert_eq!(gateway_of(run.path()), Some(gateway));
        assert_eq!(second.service("orders").unwrap(), (http, admin));
    }

    #[test]
    fn a_port_is_held_until_it_is_released() {
        let run = tempfile::tempdir().unwrap();
        let mut ports = Ports::of(run.path());
        let port = ports.server("redis").unwrap();
        assert!(bind(port).is_err());
        ports.release(&[port]);
        assert!(bind(port).is_ok());
    }

    #[test]
    fn the_error_for_a_port_in_use_names_the_process() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let run = tempfile::tempdir().unwrap();
        let message = Ports::of(run.path()).gateway(port).unwrap_err().to_string();
        assert!(message.contains(&format!("(pid {})", std::process::id())), "{message}");
        assert!(message.contains("--port"), "{message}");
    }
}
