//! `cargo xtask up`: runs the whole system on real servers, until Ctrl-C.

use std::{convert::Infallible, ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};

use crate::{
    cargo, clean, detach,
    environment::Environment,
    gateway, mongo, nats, pidfile,
    ports::{self, Ports},
    probe::Probe,
    process::Spec,
    report::Report,
    root::{self, Root},
    servers::Servers,
    services::{self, LaunchContext, Service},
    stack::Stack,
    stop::{INTERRUPTED, Stop},
    watch::Watch,
};

#[derive(Args)]
#[command(after_help = "\
The environment is passed on to the services: `RESERVATION_SECONDS=5 cargo xtask up`.
With STRIPE_KEY set, payments uses the real Stripe (or the one at STRIPE_URL); otherwise a local double.
With SMTP_URL or SENDGRID_API_KEY set, confirmation sends its mails there; otherwise to a local mailbox.
Pid files and ports.json are in .dev/run, logs in .dev/log, data in .dev/data.")]
pub struct Options {
    /// The gateway's port; 0 for any free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Return when it is ready, and leave it running; `cargo xtask down` stops it
    #[arg(long)]
    pub detach: bool,
    /// Start with empty data
    #[arg(long)]
    pub fresh: bool,
    /// Build and run with optimisations
    #[arg(long)]
    pub release: bool,
    /// Rebuild after an edit, and restart the services that it changes
    #[arg(long, conflicts_with_all = ["detach", "no_build", "bin_dir"])]
    pub watch: bool,
    /// The number of replicas of each service
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=20))]
    pub replicas: u16,
    /// The folder of its run/, log/, data/ and keys/; each root is a system of its own [default: .dev in the repository]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Use the programs as they were last built
    #[arg(long, hide = true)]
    pub no_build: bool,
    /// The folder of the built programs
    #[arg(long, hide = true)]
    pub bin_dir: Option<PathBuf>,
    /// The background process of `--detach`
    #[arg(long, hide = true)]
    pub supervise: bool,
}

impl Options {
    /// The arguments of the background process.
    fn in_background(&self, root: &Root) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            ["up", "--supervise", "--no-build", "--port"].map(OsString::from).into();
        arguments.push(self.port.to_string().into());
        arguments.extend(["--replicas".into(), self.replicas.to_string().into()]);
        if self.release {
            arguments.push("--release".into());
        }
        if self.root.is_some() {
            arguments.extend(["--root".into(), root.dir().into()]);
        }
        if let Some(folder) = &self.bin_dir {
            arguments.extend(["--bin-dir".into(), folder.into()]);
        }
        arguments
    }
}

pub async fn run(options: Options) -> Result<ExitCode> {
    if options.supervise {
        // Out of the terminal's session, so that closing the terminal stops nothing.
        nix::unistd::setsid().context("leaving the terminal")?;
    }
    raise_file_limit()?;
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    let root = Root::open(options.root.as_deref(), ".dev")?;
    let Some(lock) = root.lock()? else { bail!(already_running(&root, &options)) };
    let report = Report::to(&root.log().join("up.log"))?;
    pidfile::write(&root.run(), clean::SUPERVISOR, Pid::this())?;
    let up = Up { options, environment, root: root.clone(), report };
    let outcome = if up.options.detach {
        let prepared = tokio::select! {
            prepared = up.prepare() => prepared.map(|_| true),
            () = stop.requested() => Ok(false),
        };
        pidfile::remove(&root.run(), clean::SUPERVISOR);
        // The background process locks it again.
        drop(lock);
        match prepared {
            Ok(true) => {
                return detach::start(up.options.in_background(&root), READY, &root, &mut stop)
                    .await;
            }
            Ok(false) => Ok(ExitCode::from(INTERRUPTED)),
            Err(error) => Err(error),
        }
    } else {
        let outcome = up.supervise(&mut stop).await;
        pidfile::remove(&root.run(), clean::SUPERVISOR);
        outcome
    };
    if let Err(error) = &outcome
        && up.options.supervise
    {
        // The terminal may be gone; the log stays.
        up.report.log(&format!("error: {error:#}"));
        return Ok(ExitCode::FAILURE);
    }
    outcome
}

/// Permits all servers to have as many open files as the system does: nginx takes two for each visitor, and begins with
/// often 1,024.
fn raise_file_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raising the limit of open files")
}

struct Up {
    options: Options,
    environment: Environment,
    root: Root,
    report: Report,
}

/// Where browsers go: the ports of the marketplace and of the local mailbox.
struct Addresses {
    gateway: u16,
    mailbox: Option<u16>,
}

struct Prepared {
    servers: Servers,
    ports: Ports,
    gateway: u16,
}

impl Up {
    /// Starts everything, keeps it running until a signal, and stops it.
    async fn supervise(&self, stop: &mut Stop) -> Result<ExitCode> {
        let mut stack = Stack::new(&self.root, &self.report);
        let started = tokio::select! {
            started = self.start(&mut stack) => started.map(Some),
            () = stop.requested() => Ok(None),
        };
        let code = match &started {
            Ok(Some((addresses, services))) => {
                stack.supervise();
                self.log_ready(addresses);
                tokio::select! {
                    () = stop.requested() => {}
                    never = self.watch(services, &stack) => match never {},
                }
                ExitCode::SUCCESS
            }
            Ok(None) => ExitCode::from(INTERRUPTED),
            Err(_) => ExitCode::FAILURE,
        };
        if !stack.is_empty() {
            self.report.log("Stopping …");
        }
        stack.stop().await;
        started.map(|_| code)
    }

    /// With `--watch`, rebuilds and restarts after edits; without it, waits indefinitely.
    async fn watch(&self, services: &[Service], stack: &Stack) -> Infallible {
        let Self { options, environment, report, .. } = self;
        if !options.watch {
            return std::future::pending().await;
        }
        let release = options.release;
        let binaries = environment.binaries(release);
        Watch { environment, report, services, binaries, release }.run(stack).await
    }

    /// Everything before the first process: stops stale ones, finds the servers, builds the services.
    async fn prepare(&self) -> Result<Prepared> {
        let Self { options, environment, root, report } = self;
        clean::stale_processes(root, report).await?;
        let mut ports = Ports::of(&root.run());
        let gateway = ports.gateway(options.port)?;
        if options.fresh {
            report.log(&format!("Deleting {}", root.data().display()));
            root.delete_data()?;
        }
        let servers = Servers::find(&environment.path, report).await?;
        if !options.no_build {
            report.log("Building the services");
            cargo::build_programs(environment, options.release).await?;
        }
        Ok(Prepared { servers, ports, gateway })
    }

    async fn start(&self, stack: &mut Stack) -> Result<(Addresses, Vec<Service>)> {
        let Prepared { servers, mut ports, gateway } = self.prepare().await?;
        let Self { options, environment, root, report } = self;
        let built = environment.binaries(options.release);
        let binaries = options.bin_dir.as_deref().unwrap_or(&built);
        services::generate_keys(binaries, root).await?;
        let is_missing = |name: &&str| !root.keys().join(name).is_file();
        if ["admissions.pem", "links.key"].iter().any(is_missing) {
            // The version before, which is started first, doesn't know this key.
            services::generate_keys(&built, root).await?;
        }

        let (mongod, redis_port) = (ports.server("mongod")?, ports.server("redis")?);
        let (broker, nats_monitor) = (ports.server("nats")?, ports.server("nats-monitor")?);
        let stripe = if environment.has_stripe_key { None } else { Some(ports.server("stripe")?) };
        let mail = if environment.has_mail_server {
            None
        } else {
            Some((ports.server("mail")?, ports.server("smtp")?))
        };
        let services = services::with_ports(services::names()?, options.replicas, &mut ports)?;
        ports.save()?;

        report.log("Starting mongod, nats, redis");
        let mut launch = |spec: Spec, stack: &mut Stack| {
            ports.release(&spec.ports);
            stack.start(spec)
        };
        launch(mongo::spec(&servers.mongod, &root.data_of("mongod")?, mongod), stack)?;
        let passwords = nats::Passwords::prepare(root)?;
        launch(nats::spec(servers.nats, root, [broker, nats_monitor], &passwords)?, stack)?;
        launch(redis(servers.redis, root, redis_port)?, stack)?;
        stack.until_ready().await?;
        mongo::initiate(mongod).await?;

        if let Some(port) = stripe {
            report.log("Starting stripe, the local double (STRIPE_KEY is not set)");
            launch(services::stripe_double(binaries, root, port, gateway)?, stack)?;
        }
        if let Some((port, smtp)) = mail {
            report.log("Starting mail, the local mailbox (SMTP_URL is not set)");
            launch(services::mail_double(binaries, root, port, smtp)?, stack)?;
        }
        let started: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        report.log(&format!("Starting {}", started.join(", ")));
        let context = LaunchContext {
            root,
            binaries,
            environment,
            mongod,
            nats: broker,
            nats_monitor,
            passwords: &passwords,
            redis: redis_port,
            stripe,
            smtp: mail.map(|(_, smtp)| smtp),
            gateway,
        };
        for service in &services {
            for replica in &service.replicas {
                launch(context.spec(&service.name, replica, &services)?, stack)?;
            }
        }
        stack.until_ready().await?;

        launch(gateway::spec(&servers.nginx, root, gateway, &services)?, stack)?;
        stack.until_ready().await?;
        Ok((Addresses { gateway, mailbox: mail.map(|(port, _)| port) }, services))
    }

    fn log_ready(&self, addresses: &Addresses) {
        let Self { options, root, report, .. } = self;
        let Addresses { gateway, mailbox } = addresses;
        report.log(&format!("Logs: {}/NAME.log", root.log().display()));
        if let Some(port) = mailbox {
            report.log(&format!("Mailbox: http://localhost:{port}"));
        }
        let how = if options.supervise { down(options) } else { "Ctrl-C".to_owned() };
        report.log(&format!("{READY}: http://localhost:{gateway}  ({how} stops it)"));
    }
}

/// How to start it, with infra/redis.conf.
fn redis(program: PathBuf, root: &Root, port: u16) -> Result<Spec> {
    let (configuration, port_text) = (root::workspace().join("infra/redis.conf"), port.to_string());
    let mut args: Vec<OsString> = vec![configuration.into()];
    args.extend(["--bind", "127.0.0.1", "--port", &port_text, "--dir"].map(OsString::from));
    args.push(root.data_of("redis")?.into());
    Ok(Spec {
        name: "redis".to_owned(),
        program,
        args,
        env: Vec::new(),
        without: Vec::new(),
        ports: vec![port],
        probe: Probe::Accepts(port),
    })
}

/// The prefix of the line with the address.
pub const READY: &str = "Ticketing is ready";

fn down(options: &Options) -> String {
    let root = options.root.as_ref().map(|root| format!(" --root {}", root.display()));
    format!("`cargo xtask down{}`", root.unwrap_or_default())
}

fn already_running(root: &Root, options: &Options) -> String {
    let run = root.run();
    let pid = pidfile::read(&run, clean::SUPERVISOR)
        .map(|up| format!(", pid {}", up.pid))
        .unwrap_or_default();
    let url = ports::gateway_of(&run)
        .map(|port| format!(", http://localhost:{port}"))
        .unwrap_or_default();
    format!(
        "`up` is already running in {}{pid}{url}. Stop it with {}, or start another system with \
         `cargo xtask up --root DIR --port 0`",
        root.dir().display(),
        down(options)
    )
}
