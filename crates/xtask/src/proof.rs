//! `cargo xtask proof`: proofs that take too long for CI, to be run before a release.

use std::{
    ffi::OsString,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::process::Command;

use crate::{
    environment::Environment,
    process, root,
    stop::{INTERRUPTED, Stop},
};

#[derive(Args)]
#[command(after_help = "Without a name, lists the proofs and how long each takes.")]
pub struct Options {
    /// Which proof to run
    name: Option<String>,
    /// Passed on to its command: `cargo xtask proof upgrade -- --from COMMIT`
    #[arg(last = true)]
    args: Vec<OsString>,
}

struct Proof {
    name: &'static str,
    takes: &'static str,
    shows: &'static str,
    program: Program,
    args: &'static [&'static str],
    repeat: Repeat,
}

enum Program {
    /// A command of `cargo xtask` itself.
    Xtask,
    /// Tests of `crates/system-tests` that CI ignores; the arguments select them.
    IgnoredTest { suite: &'static str },
    /// A program on the PATH, run in the repository.
    Other(&'static str),
}

enum Repeat {
    Once,
    Times(u32),
    For(Duration),
}

const PROOFS: [Proof; 9] = [
    Proof {
        name: "chaos-500",
        takes: "40 minutes",
        shows: "no invariant is violated by 500 kills and all other faults under load",
        program: Program::Xtask,
        args: &["chaos", "--kills", "500"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "upgrade",
        takes: "5 minutes",
        shows: "a rolling upgrade from the last release under load fails no request and violates no invariant",
        program: Program::Xtask,
        args: &["upgrade"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "soak",
        takes: "8 hours",
        shows: "the same for chaos runs with new seeds, one after another, until one fails",
        program: Program::Xtask,
        args: &["chaos", "--kills", "120"],
        repeat: Repeat::For(Duration::from_secs(8 * 60 * 60)),
    },
    Proof {
        name: "no-flakes",
        takes: "3 hours on two cores",
        shows: "every test passes ten times in a row",
        program: Program::Xtask,
        args: &["test", "--", "--no-fail-fast"],
        repeat: Repeat::Times(10),
    },
    Proof {
        name: "one-core",
        takes: "70 minutes",
        shows: "the whole CI passes on a single core",
        program: Program::Other("taskset"),
        args: &["--cpu-list", "0", ".ci/run"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "late-payments",
        takes: "6 minutes",
        shows: "each of a hundred payments that become known late is honoured or released",
        program: Program::IgnoredTest { suite: "chaos" },
        args: &["late_payments"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "alerts",
        takes: "30 minutes; needs Debian's package prometheus",
        shows: "a missing worker, a missing relay, a stuck consumer and a dead mail server raise their alerts, and health raises none",
        program: Program::IgnoredTest { suite: "it" },
        args: &["alerts_live"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "replica-sets",
        takes: "3 minutes; needs root and npm",
        shows: "a replica set of three is renamed while it serves, and after all of its members were replaced",
        program: Program::IgnoredTest { suite: "it" },
        args: &["replica_sets"],
        repeat: Repeat::Once,
    },
    Proof {
        name: "images",
        takes: "30 minutes from nothing; needs Docker and root",
        shows: "the system runs from its images, confined, and each shuts down without dropping a request",
        program: Program::Xtask,
        args: &["images"],
        repeat: Repeat::Once,
    },
];

pub async fn run(options: Options) -> Result<ExitCode> {
    let Some(name) = options.name else {
        println!("{}", list());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(proof) = PROOFS.iter().find(|proof| proof.name == name) else {
        bail!("no proof {name}; there are:\n{}", list());
    };
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    println!("{}: {} ({})", proof.name, proof.shows, proof.takes);
    let begun = Instant::now();
    let mut runs = 0;
    loop {
        let code = run_once(proof, &options.args, &environment, &mut stop).await?;
        runs += 1;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        if code != ExitCode::SUCCESS {
            println!("{name}: run {runs} FAILED after {minutes:.1} minutes in all");
            return Ok(code);
        }
        println!("{name}: run {runs} passed, after {minutes:.1} minutes in all");
        let is_last = match proof.repeat {
            Repeat::Once => true,
            Repeat::Times(times) => runs >= times,
            Repeat::For(duration) => begun.elapsed() >= duration,
        };
        if is_last {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

async fn run_once(
    proof: &Proof,
    more: &[OsString],
    environment: &Environment,
    stop: &mut Stop,
) -> Result<ExitCode> {
    let xtask = || Command::new(environment.binaries(false).join("xtask"));
    let mut command = match proof.program {
        Program::Xtask => xtask(),
        Program::IgnoredTest { suite } => {
            let mut test = xtask();
            test.args(["test", "--", "-p", "system-tests", "--test", suite, "--", "--ignored"]);
            test
        }
        Program::Other(program) => Command::new(program),
    };
    let mut child = command
        .args(proof.args)
        .args(more)
        .current_dir(root::workspace())
        .env("CARGO", &environment.cargo)
        .spawn()
        .with_context(|| format!("starting {}", proof.args.join(" ")))?;
    tokio::select! {
        status = child.wait() => {
            Ok(if status?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        () = stop.requested() => {
            process::terminate_and_wait(&mut child).await;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn list() -> String {
    let line = |proof: &Proof| {
        format!("  {:<13} {}\n                takes {}", proof.name, proof.shows, proof.takes)
    };
    PROOFS.iter().map(line).collect::<Vec<_>>().join("\n")
}
