//! The tickets service: what is for sale.

use std::process::ExitCode;

use tickets::app::Tickets;

#[tokio::main]
async fn main() -> ExitCode {
    service::main::<Tickets>().await
}
