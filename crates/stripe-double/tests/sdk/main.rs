//! Stripe's own client library, the one for Python, drives the whole flow.
//! `cargo xtask test -- -p stripe-double --test sdk` downloads it.

use std::process::Stdio;

use stripe_double::{Config, StripeDouble};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_library_takes_a_payment_through_every_state() {
    #[expect(clippy::disallowed_methods, reason = "a test has no main that could pass it in")]
    let library = std::env::var("TEST_STRIPE_SDK")
        .expect("TEST_STRIPE_SDK isn't set: run `cargo xtask test -- -p stripe-double`");
    let dir = tempfile::tempdir().unwrap();
    let double = StripeDouble::start(Config::in_dir(dir.path())).await.unwrap();
    let flow = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/flow.py");
    let output = Command::new("python3")
        .args(["-B", flow, &double.url()])
        .env("PYTHONPATH", library)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.trim() == "done", "{stdout}\n{stderr}");
    double.stop().await.unwrap();
}
