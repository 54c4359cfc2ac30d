//! The orders service: who holds a ticket, until when, and who has bought it.

use std::process::ExitCode;

use common::Clock;
use orders::app::{self, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    common::operate::main(
        "orders",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
        |settings| app::operator(settings, Clock::system()),
    )
    .await
}
