//! The auth service: signs users up, in and out.

use std::process::ExitCode;

use auth::app::Auth;
use auth::keys;

#[tokio::main]
async fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    match keys::main(&command) {
        Some(outcome) => outcome,
        None => service::main::<Auth>().await,
    }
}
