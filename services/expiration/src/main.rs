//! The expiration service: when each hold runs out.

use std::process::ExitCode;

use common::Clock;
use expiration::app::{self, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    common::operate::main(
        "expiration",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
        |settings| app::operator(settings, Clock::system()),
    )
    .await
}
