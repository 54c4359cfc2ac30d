//! A purchase is one trace, from the click to the mail: the picture in docs/observability.md.

use std::fs;

use system_tests::{PURCHASE, Stack, Trace, commands, workspace};
use testkit::{Collector, environment};

use crate::people::{GOOD_CARD, member};
use crate::shared::Scripts;

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_one_trace_from_the_click_to_the_mail() {
    let collector = Collector::start().await;
    let url = collector.url.clone();
    let start = move || Stack::start("browser-tracing", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    let stack = tokio::task::spawn_blocking(start).await.expect("the marketplace starts");
    let seller = member(&stack, "seller", Scripts::On).await;
    let buyer = member(&stack, "buyer", Scripts::On).await;
    let ticket = seller.lists("Tosca, row 7", "20.50").await;
    buyer.reserves(&ticket).await;
    // Otherwise an event of the reservation may be handled together with one of the purchase, in a trace of its own.
    commands::settled(&stack).await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
    stack.mail(&buyer.email, "You bought: Tosca, row 7", 1).await;

    let trace = Trace::of_purchase(&collector).await;
    assert!(trace.early().is_empty(), "{:#?}", trace.early());
    let file = workspace::root().join("docs/plots/purchase.svg");
    if environment::updates() {
        fs::write(&file, trace.picture()).unwrap();
    }
    let picture = fs::read_to_string(file).unwrap();
    for (service, name) in PURCHASE.iter().copied().flatten() {
        assert!(picture.contains(&format!(">{service}</text>")), "no {service} in the picture");
        assert!(picture.contains(&format!(">{name}</text>")), "no {name} in the picture");
    }
}
