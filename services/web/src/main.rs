//! The frontend: server-rendered pages in front of the services' API.

use std::process::ExitCode;

use common::Clock;
use web::app;
use web::state::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    httpkit::run::main(
        "web",
        |settings: &Settings| &settings.server,
        |settings| app::build(settings, Clock::system()),
    )
    .await
}
