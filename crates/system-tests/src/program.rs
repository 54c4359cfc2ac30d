//! What the programs of this crate have in common.

use std::process::ExitCode;

use anyhow::Result;

/// Runs a program to its end, or until Ctrl-C. An error is printed.
pub async fn run(program: impl Future<Output = Result<ExitCode>>) -> ExitCode {
    let outcome = tokio::select! {
        outcome = program => outcome,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
