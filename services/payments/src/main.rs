//! The payments service: charges and refunds.

use std::process::ExitCode;

use payments::app::Payments;

#[tokio::main]
async fn main() -> ExitCode {
    service::main::<Payments>().await
}
