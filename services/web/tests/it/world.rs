//! web alone: all its calls fail.

use clap::Parser;
use testkit::{Infra, TestService};
use web::app;
use web::state::Settings;

/// web as in production, in front of services that are all down.
pub async fn alone(infra: &Infra) -> TestService {
    let nowhere = "http://127.0.0.1:9";
    let public_key = infra.public_key_file().display().to_string();
    let nats = infra.nats.url();
    let flags = [
        ("--public-url", infra.public_url.as_str()),
        ("--jwt-public-keys", &public_key),
        ("--nats-url", &nats),
        ("--auth-url", nowhere),
        ("--tickets-url", nowhere),
        ("--orders-url", nowhere),
        ("--payments-url", nowhere),
        ("--confirmation-url", nowhere),
    ];
    let args = flags.into_iter().flat_map(|(name, value)| [name, value]);
    let settings = Settings::parse_from(std::iter::once("web").chain(args));
    TestService::serve(app::build(settings, infra.clock.clone()).await.unwrap()).await
}
