//! The payments service: charges and refunds.

use std::process::ExitCode;

use payments::admin;
use payments::app::Payments;

#[tokio::main]
async fn main() -> ExitCode {
    // Beside the commands that every service has.
    let command = std::env::args_os().nth(1);
    if command.and_then(|it| it.into_string().ok()).is_some_and(|it| admin::has_command(&it)) {
        admin::main().await;
    }
    service::main::<Payments>().await
}
