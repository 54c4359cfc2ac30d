//! Pods with a mongod, without Kubernetes: each has a network, a host name and a hosts file of its own, on one bridge.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{environment, eventually, retry_for};

const SERVICE: &str = "orders";
const DOMAIN: &str = "ticketing.svc.cluster.local";
const TOOLS: [&str; 5] = ["unshare", "nsenter", "ip", "mount", "hostname"];

/// The name that only DNS resolves; earlier versions had it in the sets.
pub fn short_name(number: usize) -> String {
    format!("{SERVICE}-mongodb-{number}.{SERVICE}-mongodb")
}

/// The name that the kubelet writes into the pod's hosts file.
pub fn full_name(number: usize) -> String {
    format!("{}.{DOMAIN}", short_name(number))
}

/// Why this machine can't have such pods, if it can't.
fn reason_to_skip() -> Option<String> {
    // The owner of this process's own folder is the user that it runs as.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Some("network namespaces need root".to_owned());
    }
    let is_missing = |tool: &&&str| {
        let found = Command::new("which").arg(tool).stdout(Stdio::null()).status();
        !found.is_ok_and(|status| status.success())
    };
    if let Some(tool) = TOOLS.iter().find(is_missing) {
        return Some(format!("{tool} isn't installed"));
    }
    let mongosh = environment::optional(environment::MONGOSH);
    mongosh.is_none().then(|| "mongosh can't be had".to_owned())
}

/// The network of the pods, and its DNS.
pub struct Cluster {
    /// Holds the namespace of the bridge.
    bridge: Namespaces,
    folder: TempDir,
    /// The addresses that DNS has, by the pod's number: possibly those of replaced pods.
    dns: Vec<(usize, String)>,
    /// Of the last pod.
    address: u8,
}

/// A process that holds namespaces, which end with it.
struct Namespaces(Child);

impl Drop for Namespaces {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Namespaces {
    fn new(kinds: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(kinds).args(["--kill-child", "--", "bash", "-c", "echo; exec sleep infinity"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // Its first line says that they exist.
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }

    /// This command, inside.
    fn command(&self, kinds: &[&str], program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string()]).args(kinds);
        command.arg("--").arg(program).args(arguments);
        command
    }
}

const NETWORK: [&str; 1] = ["--net"];
const POD: [&str; 3] = ["--net", "--mount", "--uts"];

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout
}

impl Cluster {
    /// `None` where the test is skipped; the reason is printed.
    pub fn start(test: &str) -> Option<Self> {
        if let Some(reason) = reason_to_skip() {
            println!("{test} is skipped on this machine: {reason}");
            return None;
        }
        let bridge = Namespaces::new(&NETWORK);
        run(bridge.command(&NETWORK, "ip", &["link", "add", "pods", "type", "bridge"]));
        run(bridge.command(&NETWORK, "ip", &["link", "set", "pods", "up"]));
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("root-password"), "secret-of-root").unwrap();
        fs::write(secrets.join("password"), "secret-of-orders").unwrap();
        let keyfile = folder.path().join("keyfile");
        fs::write(&keyfile, "aKeyOfTheMembers").unwrap();
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(keyfile, owner_only).unwrap();
        Some(Self { bridge, folder, dns: Vec::new(), address: 10 })
    }

    /// For sets that start from nothing.
    pub fn delete_data(&self) {
        for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("data-") {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .unwrap();
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The pod of this number with its data, at an address that no pod has had. DNS doesn't know it yet.
    pub fn pod(&mut self, number: usize) -> Pod {
        self.address += 1;
        let address = format!("10.77.0.{}", self.address);
        let namespaces = Namespaces::new(&POD);
        let (process, name) = (namespaces.0.id().to_string(), format!("pod{}", self.address));
        let link =
            ["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &process];
        run(self.bridge.command(&NETWORK, "ip", &link));
        for arguments in
            [["link", "set", &name, "master", "pods"].as_slice(), &["link", "set", &name, "up"]]
        {
            run(self.bridge.command(&NETWORK, "ip", arguments));
        }
        let data = self.path(&format!("data-{number}"));
        fs::create_dir_all(&data).unwrap();
        let (home, hosts) =
            (self.path(&format!("home-{number}")), self.path(&format!("hosts-{number}")));
        fs::create_dir_all(&home).unwrap();
        let pod = Pod { number, address, namespaces, data, home, hosts, mongod: None };
        pod.write_hosts(&self.dns);
        let (inside, host) = (format!("{}/24", pod.address), format!("{SERVICE}-mongodb-{number}"));
        for (program, arguments) in [
            ("ip", ["link", "set", "lo", "up"].as_slice()),
            ("ip", &["address", "add", &inside, "dev", "eth0"]),
            ("ip", &["link", "set", "eth0", "up"]),
            ("hostname", &[&host]),
            ("mount", &["--bind", pod.hosts.to_str().unwrap(), "/etc/hosts"]),
        ] {
            run(pod.namespaces.command(&POD, program, arguments));
        }
        pod
    }

    /// DNS learns these pods' addresses, for all of them.
    pub fn publish(&mut self, pods: &[&Pod]) {
        for pod in pods {
            self.dns.retain(|(number, _)| *number != pod.number);
            self.dns.push((pod.number, pod.address.clone()));
        }
        for pod in pods {
            pod.write_hosts(&self.dns);
        }
    }
}

pub struct Pod {
    number: usize,
    address: String,
    namespaces: Namespaces,
    data: PathBuf,
    home: PathBuf,
    hosts: PathBuf,
    mongod: Option<Child>,
}

impl Drop for Pod {
    /// Deleted without a grace period.
    fn drop(&mut self) {
        self.kill();
    }
}

impl Pod {
    /// The pod's own name first, as the kubelet writes it; then what DNS has, which this file stands in for.
    fn write_hosts(&self, dns: &[(usize, String)]) {
        let own = format!(
            "{} {} {SERVICE}-mongodb-{}",
            self.address,
            full_name(self.number),
            self.number
        );
        let others = dns.iter().map(|(number, address)| {
            let full = if *number == self.number { String::new() } else { full_name(*number) };
            format!("{address} {} {full}", short_name(*number))
        });
        let lines: Vec<String> =
            ["127.0.0.1 localhost".to_owned(), own].into_iter().chain(others).collect();
        // In place: it is mounted.
        fs::write(&self.hosts, lines.join("\n") + "\n").unwrap();
    }

    /// mongod as the StatefulSet runs it; `options` in addition.
    pub async fn start_mongod(&mut self, folder: &Cluster, options: &[&str]) {
        let mongod = environment::required(environment::MONGOD);
        let (data, key) =
            (self.data.display().to_string(), folder.path("keyfile").display().to_string());
        let log = self.log().display().to_string();
        let mut arguments =
            vec!["--replSet=rs0", "--bind_ip_all", "--nounixsocket", "--logappend", "--quiet"];
        arguments.extend([
            "--wiredTigerCacheSizeGB=0.25",
            "--oplogSize=64",
            "--setParameter",
            "enableTestCommands=1",
        ]);
        arguments.extend(["--keyFile", &key, "--dbpath", &data, "--logpath", &log]);
        arguments.extend(options);
        let mut command = self.namespaces.command(&POD, &mongod, &arguments);
        self.mongod = Some(command.stdout(Stdio::null()).spawn().unwrap());
        eventually("mongod to accept connections", || async {
            self.run("bash", &["-c", "exec 3<>/dev/tcp/127.0.0.1/27017"])
                .status
                .success()
                .then_some(())
        })
        .await;
    }

    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn kill(&mut self) {
        if let Some(mut mongod) = self.mongod.take() {
            drop(mongod.kill());
            drop(mongod.wait());
        }
    }

    /// A program in the pod, with a home and a temporary folder of its own.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.namespaces.command(&POD, program, arguments);
        command.env("HOME", &self.home).env("TMPDIR", &self.home).current_dir(&self.home);
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().unwrap()
    }

    /// What the probe says: `ready` or `member`.
    pub fn is(&self, what: &str) -> bool {
        self.run("bash", &[&script("probe"), what]).status.success()
    }

    pub async fn becomes(&self, what: &str) {
        eventually(&format!("{} to be {what}", full_name(self.number)), || async {
            self.is(what).then_some(())
        })
        .await;
    }

    /// One run of the container `initiate`, for a set of that many members.
    pub fn initiate(&self, cluster: &Cluster, members: usize) -> Output {
        let mongosh = PathBuf::from(environment::required(environment::MONGOSH));
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(
            [mongosh.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path)),
        );
        let mut command = self.command("bash", &[&script("initiate"), "once"]);
        command.env("PATH", path.unwrap()).env("SECRETS", cluster.path("secrets"));
        command.env("SERVICE", SERVICE).env("MEMBERS", members.to_string());
        command.output().unwrap()
    }

    /// The same, again and again, as the container does until it succeeds.
    pub async fn until_initiated(&self, cluster: &Cluster, members: usize) {
        const TIMEOUT: Duration = Duration::from_secs(60);
        let result = retry_for(TIMEOUT, async || {
            let output = self.initiate(cluster, members);
            let text =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if output.status.success() { Ok(()) } else { Err(text) }
        });
        if let Err(text) = result.await {
            panic!("{text}");
        }
    }

    /// What this JavaScript prints in mongosh, with `db` of this user.
    pub fn eval(&self, user: &str, script: &str) -> String {
        let mongosh = environment::required(environment::MONGOSH);
        let (source, query) = match user {
            "" => ("admin", ""),
            "root" => ("admin", "root:secret-of-root@"),
            _ => (SERVICE, "orders:secret-of-orders@"),
        };
        let uri = format!("mongodb://{query}localhost/{source}?directConnection=true");
        run(self.command(&mongosh, &["--quiet", &uri, "--eval", script])).trim().to_owned()
    }

    /// The names in the set's configuration, and its version.
    pub fn configuration(&self) -> (Vec<String>, String) {
        let print = "const {config} = db.adminCommand({replSetGetConfig: 1}); \
                     print([config.version, ...config.members.map(member => member.host)].join(' '))";
        let printed = self.eval("root", print);
        let mut words = printed.split(' ').map(str::to_owned);
        let version = words.next().unwrap();
        (words.collect(), version)
    }
}

/// A script of the StatefulSet.
pub fn script(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/k8s/data/mongodb/template");
    format!("{folder}/{name}")
}
