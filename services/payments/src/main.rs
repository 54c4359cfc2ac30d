//! The payments service: charges and refunds.

use std::process::ExitCode;

use common::Clock;
use payments::app::{self, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    common::operate::main(
        "payments",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
        |settings| app::operator(settings, Clock::system()),
    )
    .await
}
