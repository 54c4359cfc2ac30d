//! The tickets service: settings in, connect, serve.

use std::process::ExitCode;

use common::Clock;
use tickets::app::{self, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    common::operate::main(
        "tickets",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
        |settings| app::operator(settings, Clock::system()),
    )
    .await
}
