//! web alone: its calls fail.

use clap::Parser;
use testkit::{Infra, TestService};
use web::app;
use web::state::Settings;

/// web as in production, in front of services that are all down.
pub async fn alone(infra: &Infra) -> TestService {
    in_front_of(infra, NOWHERE).await
}

const NOWHERE: &str = "http://127.0.0.1:9";

/// web as in production, in front of tickets; the other services are down.
pub async fn in_front_of(infra: &Infra, tickets: &str) -> TestService {
    let public_key = infra.public_key_file().display().to_string();
    let nats = infra.nats.url();
    let flags = [
        ("--public-url", infra.public_url.as_str()),
        ("--jwt-public-keys", &public_key),
        ("--nats-url", &nats),
        ("--auth-url", NOWHERE),
        ("--tickets-url", tickets),
        ("--orders-url", NOWHERE),
        ("--payments-url", NOWHERE),
        ("--confirmation-url", NOWHERE),
    ];
    let args = flags.into_iter().flat_map(|(name, value)| [name, value]);
    let settings = Settings::parse_from(std::iter::once("web").chain(args));
    TestService::serve(app::build(settings, infra.clock.clone()).await.unwrap()).await
}
