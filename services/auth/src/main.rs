//! Arguments in, connect, run.

use std::process::ExitCode;

use auth::app::{self, Settings};
use auth::keys;
use common::Clock;

#[tokio::main]
async fn main() -> ExitCode {
    // It makes the files that the settings name, so it can't ask for the settings.
    if std::env::args_os().nth(1).is_some_and(|command| command == "generate-keys") {
        return keys::main();
    }
    common::operate::main(
        "auth",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
        |settings| app::operator(settings, Clock::system()),
    )
    .await
}
