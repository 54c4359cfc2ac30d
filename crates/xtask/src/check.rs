//! `cargo xtask check`: everything that CI checks, except the long tests.

use std::{ffi::OsString, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    cargo,
    environment::Environment,
    needs,
    servers::on_path,
    stop::{INTERRUPTED, Stop},
};

#[derive(Args)]
#[command(after_help = "\
Formatting, lints, docs, unused dependencies, the policy for dependencies (deny.toml), and the tests that need no server: unit
tests and the model. cargo-machete and cargo-deny are skipped where they aren't installed.")]
pub struct Options {
    /// Leave out the tests, for a run of `cargo xtask test` that follows
    #[arg(long)]
    no_tests: bool,
}

struct Step {
    name: &'static str,
    /// The arguments of cargo.
    args: &'static [&'static str],
    /// The program that cargo needs for it, and how to install it.
    needs: Option<(&'static str, &'static str)>,
}

impl Step {
    const fn new(name: &'static str, args: &'static [&'static str]) -> Self {
        Self { name, args, needs: None }
    }

    const fn needs(self, program: &'static str, install: &'static str) -> Self {
        Self { needs: Some((program, install)), ..self }
    }
}

const STEPS: [Step; 5] = [
    Step::new("format", &["fmt", "--all", "--check"]),
    Step::new(
        "lints",
        &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    ),
    Step::new("docs", &["doc", "--workspace", "--no-deps", "--locked"]),
    Step::new("unused dependencies", &["machete", "--with-metadata"])
        .needs("cargo-machete", "cargo install --locked cargo-machete"),
    Step::new("dependency policy", &["deny", "check"])
        .needs("cargo-deny", "cargo install --locked cargo-deny"),
];

/// Selected in one command over the whole workspace, so that nothing is compiled twice.
const PURE_TESTS: Step = Step::new(
    "pure tests",
    &["test", "--workspace", "--lib", "--bins", "--test", "model", "--locked", "--quiet"],
);

enum Outcome {
    Passed,
    Failed,
    /// With the command that installs what is missing.
    Skipped(&'static str),
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    let steps = STEPS.iter().chain((!options.no_tests).then_some(&PURE_TESTS));
    let mut summary = Vec::new();
    let mut has_failed = false;
    // A later step runs after a failure too: one run reports everything.
    for step in steps {
        println!("\n== {}: cargo {}", step.name, step.args.join(" "));
        let begun = Instant::now();
        let outcome = tokio::select! {
            outcome = run_step(step, &environment) => outcome?,
            () = stop.requested() => return Ok(ExitCode::from(INTERRUPTED)),
        };
        has_failed |= matches!(outcome, Outcome::Failed);
        summary.push(line(step.name, &outcome, begun.elapsed().as_secs_f64()));
    }
    println!("\n{}", summary.join("\n"));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run_step(step: &Step, environment: &Environment) -> Result<Outcome> {
    if let Some((program, install)) = step.needs
        && on_path(&environment.path, program).is_none()
    {
        return Ok(Outcome::Skipped(install));
    }
    let args: Vec<OsString> = step.args.iter().map(OsString::from).collect();
    let mut command = cargo::command(environment, &args);
    if step.name == "docs" {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    let status = command.status().await.with_context(|| needs::shown(&args))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}

fn line(name: &str, outcome: &Outcome, seconds: f64) -> String {
    match outcome {
        Outcome::Passed => format!("ok       {name} ({seconds:.0} s)"),
        Outcome::Failed => format!("FAILED   {name} ({seconds:.0} s)"),
        Outcome::Skipped(install) => format!("skipped  {name}: {install}"),
    }
}
