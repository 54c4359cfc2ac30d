//! The orders service: who has reserved a ticket, until when, and who has bought it.

use std::process::ExitCode;

use orders::app::Orders;

#[tokio::main]
async fn main() -> ExitCode {
    service::main::<Orders>().await
}
