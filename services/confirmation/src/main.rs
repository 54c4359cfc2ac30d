//! The confirmation service: writes and sends mails.

use std::process::ExitCode;

use confirmation::admin;
use confirmation::app::Confirmation;

#[tokio::main]
async fn main() -> ExitCode {
    // Beside the commands that every service has.
    if std::env::args_os().nth(1).is_some_and(|command| command == "mails") {
        admin::main().await;
    }
    service::main::<Confirmation>().await
}
