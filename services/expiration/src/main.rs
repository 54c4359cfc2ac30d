//! The expiration service: when each reservation expires.

use std::process::ExitCode;

use expiration::app::Expiration;

#[tokio::main]
async fn main() -> ExitCode {
    service::main::<Expiration>().await
}
