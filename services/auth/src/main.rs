//! The auth service: signs users up, in and out.

use std::process::ExitCode;

use auth::app::Auth;
use auth::keys;

#[tokio::main]
async fn main() -> ExitCode {
    // This command creates the files that the settings name, so it can't depend on the settings.
    if std::env::args_os().nth(1).is_some_and(|command| command == "generate-keys") {
        return keys::main();
    }
    service::main::<Auth>().await
}
